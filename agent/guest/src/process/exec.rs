//! execve(2) of the guest's own program, which continues as the same process.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

use keyring::KeySerial;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::execve;
use scenarios::wire::{Done, EventKind, Outcome, Value};
use serde::{Deserialize, Serialize};

use super::{Cause, PlanProcess, ProcessContext, RunContext};
use crate::ipc::{CommandReceiver, ReportSender};
use crate::sys::process::exit_now;

/// `argv[0]` of the program when it continues as a process of a plan.
pub(crate) const EXEC_NAME: &str = "keyagents-process";

/// Path of the program's set-user-id copy that this user owns. Only the root file system honours the bit.
pub(crate) fn setuid_copy(uid: u32) -> PathBuf {
    PathBuf::from(format!("/setuid-{uid}"))
}

/// State that the new program needs, in `argv[1]`.
#[derive(Serialize, Deserialize)]
struct State {
    name: String,
    run: RunContext,
    session: Option<KeySerial>,
    depth: usize,
    step: Option<usize>,
    begun_us: u64,
    commands: RawFd,
    reports: RawFd,
    proc: RawFd,
}

impl PlanProcess<'_> {
    /// Executes the program, which reports the step. Returns only on failure.
    pub(super) fn exec(&self, setuid: Option<u32>, cause: Cause) -> Errno {
        let state = State {
            name: self.name.clone(),
            run: self.context.run.clone(),
            session: self.context.session,
            depth: self.context.depth,
            step: cause.step,
            begun_us: self.context.run.now_us(),
            commands: self.commands.0.as_raw_fd(),
            reports: self.context.reporter.0.as_raw_fd(),
            proc: self.context.proc.as_raw_fd(),
        };
        let result = keep_open(self).and_then(|()| {
            let state = serde_json::to_string(&state).ok().and_then(|state| CString::new(state).ok());
            let name = CString::new(EXEC_NAME).map_err(|_| Errno::EINVAL)?;
            let program = setuid.map_or("/proc/self/exe".into(), setuid_copy);
            let program = CString::new(program.into_os_string().into_vec()).map_err(|_| Errno::EINVAL)?;
            execve(&program, &[name, state.ok_or(Errno::EINVAL)?], &[] as &[CString])
        });
        match result {
            Err(errno) => errno,
        }
    }
}

fn keep_open(process: &PlanProcess<'_>) -> Result<(), Errno> {
    fcntl(&process.commands.0, FcntlArg::F_SETFD(FdFlag::empty()))?;
    fcntl(&process.context.reporter.0, FcntlArg::F_SETFD(FdFlag::empty()))?;
    fcntl(&process.context.proc, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Continues as the process that `state` describes. Returns only if `state` is invalid.
pub(crate) fn resume(state: &str) -> ExitCode {
    let Ok(state) = serde_json::from_str::<State>(state) else { return ExitCode::from(2) };
    let (Some(commands), Some(reports), Some(proc)) =
        (inherited_fd(state.commands), inherited_fd(state.reports), inherited_fd(state.proc))
    else {
        return ExitCode::from(2);
    };
    let mut context = ProcessContext {
        run: state.run,
        session: state.session,
        reporter: ReportSender(reports.into()),
        receivers: Default::default(),
        outputs: Default::default(),
        proc: proc.into(),
        depth: state.depth,
    };
    let commands = CommandReceiver(commands.into());
    let Ok(mut process) = PlanProcess::new(state.name, &mut context, commands, None) else { exit_now(1) };
    let begun_us = state.begun_us;
    let elapsed_us = process.context.run.now_us().saturating_sub(begun_us);
    let done = Done { outcome: Outcome::Ok(Value::None), begun_us, elapsed_us };
    process.report_event(Cause { step: state.step, ..Cause::default() }, EventKind::Done(done));
    process.event_loop()
}

/// A file descriptor that execve left open; `None` if it is not open.
fn inherited_fd(fd: RawFd) -> Option<OwnedFd> {
    if fd < 0 {
        return None;
    }
    // SAFETY: only borrowed to check whether it is open.
    fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    // SAFETY: it is open, and has no other owner in this program.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}
