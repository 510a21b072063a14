//! Signals by number, including 32 and 33, which the C library reserves.
//!
//! A keyagent may register any signal from 32 to 64 (R1). Sets are therefore plain 64-bit masks for the
//! kernel's own system calls.

use std::fs::File;
use std::io::Read;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::{Result, errno::Errno};
use scenarios::plan::Forgery;
use scenarios::wire::UpcallSignal;

use super::process::pidfd_open;

/// si_code of a keyagent's signal (R14).
pub(crate) const SI_KEYAGENT: i32 = -8;

/// The C library's SIGRTMIN, which signal names in scenarios count from.
const LIBC_SIGRTMIN: i32 = 34;
const KERNEL_SIGRTMIN: i32 = 32;
const SIGRTMAX: i32 = 64;

/// A set of signals with the layout of the kernel's `sigset_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Signals(u64);

impl Signals {
    pub(crate) const NONE: Self = Self(0);
    /// The signals that a keyagent can register.
    pub(crate) const REAL_TIME: Self = Self(u64::MAX << (KERNEL_SIGRTMIN - 1));
    pub(crate) const CHILD: Self = Self(1 << (libc::SIGCHLD - 1));

    /// One signal, from 1 to 64.
    pub(crate) const fn one(signal: i32) -> Self {
        Self(1 << (signal - 1))
    }

    /// The union of two sets.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Blocks exactly these signals in the calling thread.
    pub(crate) fn block(self) -> Result<()> {
        // SAFETY: the mask has the 8 bytes of the size argument, and the old mask is not requested.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const self,
                std::ptr::null_mut::<Self>(),
                size_of::<Self>(),
            )
        };
        Errno::result(answer).map(drop)
    }
}

pub(crate) struct SignalFd(File);

impl SignalFd {
    /// Opens a signalfd for blocked `signals`, of which [`Self::take`] does not wait.
    pub(crate) fn new(signals: Signals) -> Result<Self> {
        Self::open(signals, libc::SFD_NONBLOCK)
    }

    /// Opens a signalfd for blocked `signals`, of which [`Self::take`] waits.
    pub(crate) fn blocking(signals: Signals) -> Result<Self> {
        Self::open(signals, 0)
    }

    fn open(signals: Signals, flags: i32) -> Result<Self> {
        let flags = libc::SFD_CLOEXEC | flags;
        // SAFETY: the mask has the 8 bytes of the size argument.
        let fd = unsafe {
            libc::syscall(libc::SYS_signalfd4, -1, &raw const signals, size_of::<Signals>(), flags)
        };
        let fd = Errno::result(fd)?;
        // SAFETY: the descriptor is new and has no other owner.
        Ok(Self(unsafe { File::from_raw_fd(fd as i32) }))
    }

    pub(crate) fn take(&mut self) -> Option<UpcallSignal> {
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        self.0.read_exact(&mut bytes).ok()?;
        // SAFETY: every bit pattern is a valid signalfd_siginfo, and the buffer has its size.
        let info: libc::signalfd_siginfo = unsafe { std::mem::transmute(bytes) };
        Some(UpcallSignal {
            signal: info.ssi_signo as i32,
            code: info.ssi_code,
            pid: info.ssi_pid as i32,
            uid: info.ssi_uid,
            value: info.ssi_int,
            nonzero_padding: Vec::new(),
        })
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The number of a signal name in a scenario: `SIGSTOP`, `SIGRTMIN+1` (35), `SIGRTMAX-1` or `40`.
pub(crate) fn number(name: &str) -> Option<i32> {
    if let Some(above) = name.strip_prefix("SIGRTMIN") {
        return Some(LIBC_SIGRTMIN + if above.is_empty() { 0 } else { above.parse::<i32>().ok()? });
    }
    if let Some(below) = name.strip_prefix("SIGRTMAX") {
        return Some(SIGRTMAX + if below.is_empty() { 0 } else { below.parse::<i32>().ok()? });
    }
    name.parse().ok().or_else(|| name.parse::<Signal>().ok().map(|signal| signal as i32))
}

/// Takes one pending signal of the set with rt_sigtimedwait(2), which returns the whole siginfo.
pub(crate) fn take(signals: Signals) -> Option<UpcallSignal> {
    let mut info = [0xa5_u8; SIGINFO_SIZE];
    let untimed = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: mask, siginfo and time are borrowed over the call. Mask and siginfo have the size that the
    // kernel uses.
    let taken = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const signals,
            &raw mut info,
            &raw const untimed,
            size_of::<Signals>(),
        )
    };
    Errno::result(taken).ok()?;
    let number = |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let [signal, code, pid, uid, value] = FIELD_OFFSETS.map(number);
    let known = |at: &usize| FIELD_OFFSETS.iter().any(|begin| (*begin..begin + 4).contains(at));
    let nonzero_padding = (0..SIGINFO_SIZE).filter(|at| !known(at) && info[*at] != 0).collect();
    Some(UpcallSignal { signal, code, pid, uid: uid as u32, value, nonzero_padding })
}

/// `siginfo_t`.
const SIGINFO_SIZE: usize = 128;

/// Offsets of si_signo, si_code, si_pid, si_uid and si_int on a 64-bit machine.
const FIELD_OFFSETS: [usize; 5] = [0, 8, 16, 20, 24];

/// `kill(2)`.
pub(crate) fn send(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes two numbers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// The kernel's siginfo of a signal from a process, padded to its full size.
#[repr(C)]
struct SigInfo {
    signo: i32,
    errno: i32,
    code: i32,
    align: i32,
    pid: i32,
    uid: u32,
    value: u64,
    rest: [u8; 96],
}

/// Sends a signal with a forged siginfo (R15).
pub(crate) fn send_forged(by: Forgery, pid: i32, signal: i32, code: i32, value: i32) -> Result<()> {
    // The kernel ignores the last bytes if it knows the code's layout, and refuses others: E2BIG.
    let mut rest = [0; 96];
    rest[95] = 1;
    let info = SigInfo {
        signo: signal,
        errno: 0,
        code,
        align: 0,
        pid: nix::unistd::getpid().as_raw(),
        uid: nix::unistd::getuid().as_raw(),
        value: u64::from(value as u32),
        rest,
    };
    let info = &raw const info;
    let answer = match by {
        // SAFETY: the siginfo is borrowed over the call and has the size that the kernel reads.
        Forgery::Sigqueueinfo => unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, info) },
        // SAFETY: as above.
        Forgery::Tgsigqueueinfo => unsafe {
            libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, pid, signal, info)
        },
        Forgery::Pidfd => {
            let pidfd = pidfd_open(pid)?;
            // SAFETY: as above, and the pidfd is open.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) }
        }
    };
    Errno::result(answer).map(drop)
}

/// A repeating SIGALRM that interrupts system calls of the thread that set it, until it is dropped.
///
/// It repeats, since the first signal may come just before the system call.
pub(crate) struct Alarm {
    _timer: Timer,
}

impl Alarm {
    /// Starts the timer. With `restart`, interrupted system calls are restarted.
    pub(crate) fn after(delay: Duration, restart: bool) -> Result<Self> {
        const AGAIN: Duration = Duration::from_millis(20);
        handle(Signal::SIGALRM, if restart { SaFlags::SA_RESTART } else { SaFlags::empty() })?;
        let event = SigEvent::new(SigevNotify::SigevThreadId {
            signal: Signal::SIGALRM,
            thread_id: nix::unistd::gettid().as_raw(),
            si_value: 0,
        });
        let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event)?;
        let first = delay.max(Duration::from_millis(1));
        let expiration = Expiration::IntervalDelayed(TimeSpec::from(first), TimeSpec::from(AGAIN));
        timer.set(expiration, TimerSetTimeFlags::empty())?;
        Ok(Self { _timer: timer })
    }
}

/// Installs a handler that does nothing, so that the signal only interrupts system calls.
pub(crate) fn install_noop_handler(signal: i32) -> Result<()> {
    handle(Signal::try_from(signal)?, SaFlags::empty())
}

fn handle(signal: Signal, flags: SaFlags) -> Result<()> {
    let action = SigAction::new(SigHandler::Handler(ignore), flags, SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(signal, &action) }.map(drop)
}

extern "C" fn ignore(_: libc::c_int) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_signals_count_from_the_c_librarys_minimum() {
        assert_eq!(number("SIGRTMIN+1"), Some(35));
        assert_eq!(number("SIGRTMAX-2"), Some(62));
        assert_eq!(number("32"), Some(32));
        assert_eq!(number("SIGSTOP"), Some(libc::SIGSTOP));
        assert_eq!(number("SIGNONE"), None);
    }

    #[test]
    fn signalfd_returns_a_blocked_signal_of_the_c_library() {
        std::thread::spawn(|| {
            Signals::REAL_TIME.block().unwrap();
            let mut fd = SignalFd::new(Signals::REAL_TIME).unwrap();
            assert_eq!(fd.take(), None);
            let thread = nix::unistd::gettid().as_raw();
            // SAFETY: takes numbers; the signal is blocked in this thread.
            unsafe { libc::syscall(libc::SYS_tkill, thread, 33) };
            assert_eq!(fd.take().map(|siginfo| siginfo.signal), Some(33));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn nonzero_padding_of_siginfo_is_reported() {
        let send_and_take = |rest: [u8; 96]| {
            let thread = nix::unistd::gettid().as_raw();
            let (pid, uid) = (std::process::id() as i32, 7);
            let info = SigInfo { signo: 40, errno: 0, code: -1, align: 0, pid, uid, value: 9, rest };
            // SAFETY: the siginfo is borrowed over the call and has the size that the kernel reads.
            unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, thread, 40, &raw const info) };
            take(Signals::REAL_TIME).unwrap()
        };
        std::thread::spawn(move || {
            Signals::REAL_TIME.block().unwrap();
            assert_eq!(take(Signals::REAL_TIME), None);
            let clean = send_and_take([0; 96]);
            assert_eq!((clean.signal, clean.uid, clean.value, clean.nonzero_padding), (40, 7, 9, vec![]));
            let mut rest = [0; 96];
            rest[3] = 1;
            assert_eq!(send_and_take(rest).nonzero_padding, [35]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn alarm_interrupts_a_sleep() {
        let alarm = Alarm::after(Duration::from_millis(5), false).unwrap();
        // SAFETY: takes a number.
        let left = unsafe { libc::usleep(5_000_000) };
        drop(alarm);
        assert_eq!(left, -1);
    }
}
