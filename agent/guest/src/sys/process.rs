//! Process primitives: fork, immediate exit, reaping of one child, pidfds.

use std::os::fd::OwnedFd;

use nix::unistd::{self, ForkResult};
use nix::{Result, errno::Errno};
use rustix::process::{Pid, PidfdFlags, WaitOptions};

use super::errno;

/// fork(2). Callers have one thread.
pub(crate) fn fork() -> Result<ForkResult> {
    // SAFETY: with one thread no lock can be held by another one over the fork.
    unsafe { unistd::fork() }
}

/// Ends this process without handlers or flushing, which would touch state shared with the parent.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: does not return, and runs no handlers.
    unsafe { libc::_exit(code) }
}

/// Waits for a child's exit and reaps it.
pub(crate) fn reap(pid: i32) {
    let _ = rustix::process::waitpid(Pid::from_raw(pid), WaitOptions::empty());
}

pub(crate) fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(errno::from_io)
}
