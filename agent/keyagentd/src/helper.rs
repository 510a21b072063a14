//! A helper: a child process that answers a request, or finds the answer.

use std::ffi::OsString;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use keyagent::Delegation;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};

use super::child::{self, User};
use super::log;

/// The longest payload that the kernel takes, of any type.
pub(crate) const MAX_PAYLOAD: usize = (1 << 20) - 1;

/// What the kernel gives /sbin/request-key.
const ENVIRONMENT: [(&str, &str); 2] = [("HOME", "/"), ("PATH", "/sbin:/bin:/usr/sbin:/usr/bin")];

/// The most bytes of a helper's standard error that are logged.
const MAX_ERRORS: usize = 16 << 10;

/// The most bytes of standard error that are read before others have their turn. They may be many lines.
const ERRORS_AT_ONCE: usize = 1 << 10;

/// The same for what is not logged any more: as much as a pipe holds.
const DROPPED_AT_ONCE: usize = 64 << 10;

/// A line of standard error that is longer is logged in pieces.
const MAX_LINE: usize = 1024;

/// How a program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// By its own calls, with the authority that it inherits.
    Itself,
    /// By its standard output. If it fails, there may be a rule to negate the key.
    ByPipe,
    /// By its standard output and exit code.
    ByExitCode,
}

/// A program to start.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: Vec<(&'static str, OsString)>,
    pub(crate) answering: Answering,
}

/// How a helper has ended.
#[derive(Debug)]
pub(crate) struct End {
    /// An error if something else has waited for the helper.
    pub(crate) status: io::Result<ExitStatus>,
    pub(crate) output: Vec<u8>,
    /// Whether it has printed more than a payload may have.
    pub(crate) is_too_long: bool,
}

/// A helper that has not executed its program yet. It is killed when this value is dropped before.
#[derive(Debug)]
pub(crate) struct Starting {
    /// Gets the child's pid, and another byte when it is started.
    events: PipeReader,
    received: Vec<u8>,
    child: Option<(Pid, OwnedFd)>,
    started: Receiver<io::Result<Helper>>,
    /// Whether the result was taken. The child is then another value's.
    has_ended: bool,
}

impl Starting {
    /// Starts a helper that has the authority to answer. `callout` is its input if it answers by its output.
    pub(crate) fn new(
        program: Program,
        delegation: &Delegation,
        callout: &[u8],
        user: Option<User>,
    ) -> keyagent::Result<Self> {
        let is_piped = program.answering != Answering::Itself;
        let stream = || if is_piped { Stdio::piped() } else { Stdio::null() };
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).arg0(program.path.file_name().unwrap_or_default());
        command
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(program.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(stream()).stdout(stream()).stderr(Stdio::piped()).current_dir("/");
        let (events, childs, mut threads) =
            event_pipe().map_err(|source| keyagent::Error::Io { call: "creating a pipe", source })?;
        child::isolate(&mut command, childs, user);
        let (sender, started) = channel();
        let (callout, path) = (callout.to_vec(), program.path);
        delegation.spawn_then(command, move |spawned| {
            // If nobody waits for the helper any more, it is dropped, and so killed.
            let _ = sender.send(spawned.and_then(|child| Helper::new(child, callout, &path)));
            let _ = threads.write_all(b".");
        })?;
        Ok(Self { events, received: Vec::new(), child: None, started, has_ended: false })
    }

    /// Returns the helper once it executes its program, or why it doesn't.
    pub(crate) fn advance(&mut self) -> Option<io::Result<Helper>> {
        self.pid();
        match self.started.try_recv() {
            Ok(helper) => {
                self.has_ended = true;
                Some(helper)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some(Err(io::Error::other("something else has waited for it")))
            }
        }
    }

    /// The child's pid, which it tells before all else.
    pub(crate) fn pid(&mut self) -> Option<Pid> {
        let mut buffer = [0; 8];
        while let Ok(length @ 1..) = self.events.read(&mut buffer) {
            self.received.extend_from_slice(&buffer[..length]);
        }
        if self.child.is_none()
            && let Some(pid) = self.received.first_chunk()
        {
            self.child = Pid::from_raw(i32::from_ne_bytes(*pid)).and_then(own_child);
        }
        self.child.as_ref().map(|(pid, _)| *pid)
    }

    pub(crate) fn kill(&mut self) {
        self.pid();
        if let Some((_, child)) = &self.child {
            let _ = pidfd_send_signal(child, Signal::KILL);
        }
    }

    pub(crate) fn poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.events, PollFlags::IN));
    }
}

/// A child of this program. A pid that has been used again, or is another pid namespace's, is none.
fn own_child(pid: Pid) -> Option<(Pid, OwnedFd)> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    waitid(WaitId::PidFd(pidfd.as_fd()), LOOK).ok()?;
    Some((pid, pidfd))
}

/// For waitid(2): looks whether a child has ended, and leaves it to be waited for.
const LOOK: WaitIdOptions = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG).union(WaitIdOptions::NOWAIT);

/// A pipe with two writers. Its reader does not wait.
fn event_pipe() -> io::Result<(PipeReader, PipeWriter, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    fcntl_setfl(&reader, OFlags::NONBLOCK)?;
    Ok((reader, writer.try_clone()?, writer))
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.has_ended {
            self.kill();
        }
    }
}

/// A running helper, the leader of a session and of a process group. The group is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    pidfd: OwnedFd,
    input: Option<(ChildStdin, Vec<u8>)>,
    stdout: Option<ChildStdout>,
    output: Vec<u8>,
    is_too_long: bool,
    stderr: Option<ChildStderr>,
    errors: ErrorLog,
}

impl Helper {
    /// Waits for the child if it can't be watched.
    fn new(mut child: Child, callout: Vec<u8>, path: &Path) -> io::Result<Self> {
        let input = child.stdin.take().map(|stdin| (stdin, callout));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let prepared = pidfd_open(pid(&child), PidfdFlags::empty()).and_then(|pidfd| {
            let fds = [input.as_ref().map(|(fd, _)| fd.as_fd()), stdout.as_ref().map(AsFd::as_fd)];
            let fds = fds.into_iter().chain([stderr.as_ref().map(AsFd::as_fd)]).flatten();
            fds.map(|fd| fcntl_setfl(fd, OFlags::NONBLOCK)).collect::<rustix::io::Result<Vec<()>>>()?;
            Ok(pidfd)
        });
        let pidfd = prepared.inspect_err(|_| {
            let _ = kill_process_group(pid(&child), Signal::KILL);
            let _ = child.wait();
        })?;
        let errors = ErrorLog { name: path.display().to_string(), line: Vec::new(), left: MAX_ERRORS };
        Ok(Self { child, pidfd, input, stdout, output: Vec::new(), is_too_long: false, stderr, errors })
    }

    /// What the helper waits for, or this program for it. What it prints on standard error beyond the limit is none of
    /// it: who prints without end would keep this program busy.
    pub(crate) fn poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        let mut add = |fd: BorrowedFd<'a>, flags| fds.push(PollFd::from_borrowed_fd(fd, flags));
        add(self.pidfd.as_fd(), PollFlags::IN);
        if let Some((stdin, _)) = &self.input {
            add(stdin.as_fd(), PollFlags::OUT);
        }
        if let Some(stdout) = &self.stdout {
            add(stdout.as_fd(), PollFlags::IN);
        }
        if let Some(stderr) = &self.stderr
            && self.errors.left > 0
        {
            add(stderr.as_fd(), PollFlags::IN);
        }
    }

    /// Passes on input and output, as far as possible without waiting. Returns how the helper has ended if it has.
    pub(crate) fn advance(&mut self) -> Option<End> {
        let has_ended = self.has_ended();
        if has_ended {
            // Before the pid is free: the group's other processes go with its leader.
            self.kill();
        }
        self.write_input();
        self.read_output();
        self.read_errors();
        if self.is_too_long {
            self.kill();
        }
        if !has_ended {
            return None;
        }
        self.errors.end();
        let status = self.child.wait();
        Some(End { status, output: std::mem::take(&mut self.output), is_too_long: self.is_too_long })
    }

    /// Kills the helper's process group. Its end is still to be waited for.
    pub(crate) fn kill(&self) {
        let _ = kill_process_group(pid(&self.child), Signal::KILL);
    }

    pub(crate) fn pid(&self) -> Pid {
        pid(&self.child)
    }

    fn has_ended(&self) -> bool {
        !matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), LOOK), Ok(None))
    }

    fn write_input(&mut self) {
        while let Some((stdin, left)) = &mut self.input {
            match stdin.write(left) {
                Ok(written) if written < left.len() => drop(left.drain(..written)),
                Err(why) if why.kind() == ErrorKind::WouldBlock => return,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                // All is written, or the helper does not read it.
                _ => self.input = None,
            }
        }
    }

    fn read_output(&mut self) {
        let Some(stdout) = &mut self.stdout else { return };
        let output = &mut self.output;
        let mut is_too_long = false;
        let is_at_end = read_available(stdout, |bytes| {
            is_too_long |= output.len() + bytes.len() > MAX_PAYLOAD;
            if !is_too_long {
                output.extend_from_slice(bytes);
            }
            !is_too_long
        });
        self.is_too_long |= is_too_long;
        if is_at_end || is_too_long {
            self.stdout = None;
        }
    }

    fn read_errors(&mut self) {
        let Some(stderr) = &mut self.stderr else { return };
        let errors = &mut self.errors;
        let budget = if errors.left > 0 { ERRORS_AT_ONCE } else { DROPPED_AT_ONCE };
        let mut read = 0;
        let is_at_end = read_available(&mut stderr.by_ref().take(budget as u64), |bytes| {
            errors.add(bytes);
            read += bytes.len();
            read < budget
        });
        if is_at_end {
            self.stderr = None;
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Not waited for: it may take long in a system call, but gets no further.
        if let Ok(None) = self.child.try_wait() {
            self.kill();
        }
    }
}

/// Reads what there is, until `take` returns false. Returns whether the end was reached.
fn read_available(from: &mut impl Read, mut take: impl FnMut(&[u8]) -> bool) -> bool {
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return true,
            Ok(length) if take(&buffer[..length]) => {}
            Ok(_) => return false,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return why.kind() != ErrorKind::WouldBlock,
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Lines of a helper's standard error on their way into the log.
#[derive(Debug)]
struct ErrorLog {
    name: String,
    line: Vec<u8>,
    left: usize,
}

impl ErrorLog {
    fn add(&mut self, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(self.left)];
        for byte in kept {
            if *byte != b'\n' {
                self.line.push(*byte);
            }
            if *byte == b'\n' || self.line.len() == MAX_LINE {
                self.end();
            }
        }
        self.left -= kept.len();
    }

    /// Logs an incomplete line.
    fn end(&mut self) {
        if !self.line.is_empty() {
            log::info(&format!("{}: {}", self.name, String::from_utf8_lossy(&self.line)));
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn errors_beyond_the_limit_are_read_without_polling() {
        let mut command = Command::new("sh");
        command.args(["-c", "head -c 300000 /dev/zero >&2"]).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut helper = Helper::new(command.spawn().unwrap(), Vec::new(), Path::new("helper")).unwrap();
        helper.errors.left = 8;
        let end = loop {
            if let Some(end) = helper.advance() {
                break end;
            }
            let mut fds = Vec::new();
            helper.poll_fds(&mut fds);
            assert_eq!(fds.len(), if helper.errors.left > 0 { 2 } else { 1 });
            thread::sleep(Duration::from_millis(1));
        };
        assert!(end.status.unwrap().success());
        assert_eq!(helper.errors.left, 0);
    }
}
