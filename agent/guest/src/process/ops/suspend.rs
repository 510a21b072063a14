//! Operations that suspend other processes: the cgroup freezer and ptrace.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::{Result, errno::Errno};
use scenarios::plan::Op;
use scenarios::wire::Outcome;

use super::{done, misplaced};
use crate::process::PlanProcess;
use crate::sys::errno;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Time limit for freezing, sufficient for the slowest back end.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(10);

impl PlanProcess<'_> {
    /// `pids` are those of the suspended processes.
    pub(super) fn suspend_op(&mut self, op: &Op, pids: &[i32]) -> Outcome {
        let hold = match op {
            Op::Freeze { .. } => freeze,
            Op::Thaw { .. } => thaw,
            Op::Seize { .. } => seize,
            Op::Detach { .. } => |pid| ptrace(libc::PTRACE_DETACH, pid),
            _ => return misplaced(op),
        };
        done(pids.iter().try_for_each(|pid| hold(*pid)))
    }
}

fn freeze(pid: i32) -> Result<()> {
    let group = group_of(pid);
    let frozen = fs::create_dir(&group)
        .and_then(|()| fs::write(group.join("cgroup.procs"), pid.to_string()))
        .and_then(|()| fs::write(group.join("cgroup.freeze"), "1"));
    frozen.map_err(errno::from_io)?;
    let begun = Instant::now();
    while !fs::read_to_string(group.join("cgroup.events")).map_err(errno::from_io)?.contains("frozen 1") {
        if begun.elapsed() > FREEZE_TIMEOUT {
            return Err(Errno::ETIMEDOUT);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn thaw(pid: i32) -> Result<()> {
    let group = group_of(pid);
    fs::write(group.join("cgroup.freeze"), "0")
        .and_then(|()| fs::write(Path::new(CGROUPS).join("cgroup.procs"), pid.to_string()))
        .and_then(|()| fs::remove_dir(&group))
        .map_err(errno::from_io)
}

fn group_of(pid: i32) -> PathBuf {
    Path::new(CGROUPS).join(format!("frozen-{pid}"))
}

fn seize(pid: i32) -> Result<()> {
    ptrace(libc::PTRACE_SEIZE, pid)?;
    ptrace(libc::PTRACE_INTERRUPT, pid)?;
    // SAFETY: takes numbers and a null pointer, so no status is written.
    Errno::result(unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) }).map(drop)
}

fn ptrace(request: libc::c_uint, pid: i32) -> Result<()> {
    // SAFETY: these requests read and write no memory of the caller.
    Errno::result(unsafe { libc::ptrace(request, pid, 0, 0) }).map(drop)
}
