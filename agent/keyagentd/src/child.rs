//! What a child does between fork(2) and execve(2), with all `unsafe` code of the daemon.

#![allow(unsafe_code)]

use std::io::{self, PipeWriter, Write};
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use nix::sys::signal::SigSet;
use rustix::process::{Pid, setsid};

/// The ids that helpers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The kernel's SIGRTMIN.
const FIRST_REALTIME: i32 = 32;

/// Gives a helper a session of its own, default dispositions of all signals, an empty signal mask, and no descriptor but
/// the first three; it can't gain privileges by execve(2). It writes its pid to `started` first, and becomes another
/// user last: from then on, that user's processes can stop it.
pub(crate) fn isolate(command: &mut Command, mut started: PipeWriter, user: Option<User>) {
    let prepare = move || {
        started.write_all(&std::process::id().to_ne_bytes())?;
        setsid()?;
        reset_signals(1..=libc::SIGRTMAX());
        SigSet::empty().thread_set_mask()?;
        close_others_on_exec()?;
        // SAFETY: the request takes numbers.
        result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        user.map_or(Ok(()), become_user)
    };
    // SAFETY: the closure makes system calls alone, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Sets all ids, without supplementary groups.
fn become_user(User { uid, gid }: User) -> io::Result<()> {
    // SAFETY: the list of groups is empty.
    result(unsafe { libc::setgroups(0, ptr::null()) })?;
    // SAFETY: the call takes numbers.
    result(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: the call takes numbers.
    result(unsafe { libc::setresuid(uid, uid, uid) })
}

/// Gives a command the signal mask that this program was started with, and default dispositions of the signals that
/// agents use.
pub(crate) fn restore_signals(command: &mut Command, mask: SigSet) {
    let prepare = move || {
        reset_signals(FIRST_REALTIME..=libc::SIGRTMAX());
        Ok(mask.thread_set_mask()?)
    };
    // SAFETY: the closure makes system calls alone, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Lets this program wait for its children: with an ignored SIGCHLD, which it may have inherited, they leave no exit
/// code.
pub(crate) fn wait_for_children() {
    reset_signals([libc::SIGCHLD].into_iter());
}

/// Unlike signal(3), this includes the signals of the C library, which may be ignored as well.
fn reset_signals(numbers: impl Iterator<Item = i32>) {
    // SIG_DFL, no flags and no mask, at least as long as the kernel's structure.
    let default = [0_u64; 8];
    for number in numbers {
        // SAFETY: the kernel reads the structure, and its signal sets have 8 bytes. SIGKILL and SIGSTOP are refused.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), ptr::null::<u64>(), 8_usize)
        };
    }
}

/// Descriptors that this program was started with may lack close-on-exec.
fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: the call takes numbers, and closes nothing before execve(2).
    result(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } as i32)
}

/// The pid of a child that has ended and was not waited for. It stays so.
pub(crate) fn ended_child() -> Option<Pid> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes into the structure, of which all zeroes is a valid value.
    let (returned, info) =
        unsafe { (libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options), info.assume_init()) };
    // SAFETY: waitid(2) sets the pid, to 0 without such a child.
    result(returned).ok().and_then(|()| Pid::from_raw(unsafe { info.si_pid() }))
}

fn result(returned: i32) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn helper_inherits_no_descriptor_mask_or_disposition() {
        let (inherited, _other) = rustix::pipe::pipe().unwrap();
        let mut command = Command::new("/bin/sh");
        let script = "ls /proc/self/fd; grep -E 'SigBlk|SigIgn|NoNewPrivs' /proc/self/status; \
                      test $(cut -d ' ' -f 6 /proc/$$/stat) = $$ && echo leads its session";
        let (_reader, started) = io::pipe().unwrap();
        isolate(command.args(["-c", script]), started, None);
        // SAFETY: ignoring SIGUSR2 has no code, and no other test uses it.
        unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
        assert!(!rustix::io::fcntl_getfd(inherited.as_fd()).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        let blocked: SigSet = [nix::sys::signal::SIGUSR1].into_iter().collect();
        blocked.thread_block().unwrap();
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let expected = "0\n1\n2\n3\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\nleads its session\n";
        assert_eq!(output, expected, "descriptor 3 is the directory");
    }
}
