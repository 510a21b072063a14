//! The signal of an agent.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, ThreadId};

use keyring::KeySerial;

use super::{Delivery, Error, Result};

/// si_code of a keyagent's signal.
const SI_KEYAGENT: i32 = -8;

/// Signals of the agents of this process, as bits.
static IN_USE: AtomicU64 = AtomicU64::new(0);

/// The realtime signals that the C library leaves to programs.
fn realtime() -> RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// A signal that an agent uses, ignored or blocked.
#[derive(Debug)]
pub(crate) struct AgentSignal {
    number: i32,
    delivery: Delivery,
    /// The thread in which it was blocked, unless it was before.
    blocked_in: Option<ThreadId>,
    was_ignored: bool,
}

impl AgentSignal {
    /// Takes a signal, from the last realtime signal downwards unless it is `wanted`, and ignores or blocks it.
    pub(crate) fn take(wanted: Option<i32>, delivery: Delivery) -> Result<Self> {
        let Some(wanted) = wanted else {
            let mut free = realtime().rev().filter(|number| !is_blocked_here(*number).unwrap_or(true));
            return free
                .find_map(|number| match Self::reserve(number, delivery) {
                    Err(Error::SignalTaken(_)) => None,
                    taken => Some(taken),
                })
                .unwrap_or(Err(Error::NoSignal));
        };
        if !realtime().contains(&wanted) {
            return Err(Error::SignalNumber(wanted));
        }
        Self::reserve(wanted, delivery)
    }

    fn reserve(number: i32, delivery: Delivery) -> Result<Self> {
        let bit = 1 << (number - 1);
        if IN_USE.fetch_or(bit, Relaxed) & bit != 0 {
            return Err(Error::SignalTaken(number));
        }
        Self::prepare(number, delivery).inspect_err(|_| {
            IN_USE.fetch_and(!bit, Relaxed);
        })
    }

    fn prepare(number: i32, delivery: Delivery) -> Result<Self> {
        let was_ignored = match disposition(number).map_err(Error::io("sigaction"))? {
            libc::SIG_DFL => false,
            libc::SIG_IGN => true,
            _ => return Err(Error::SignalTaken(number)),
        };
        let mut blocked_in = None;
        match delivery {
            Delivery::WatchQueue => set_disposition(number, libc::SIG_IGN).map_err(Error::io("sigaction"))?,
            Delivery::Signal => {
                let was_blocked = is_blocked_here(number).map_err(Error::io("pthread_sigmask"))?;
                set_mask(libc::SIG_BLOCK, number).map_err(Error::io("pthread_sigmask"))?;
                blocked_in = (!was_blocked).then(|| thread::current().id());
                if let Some(thread) = unblocked_thread(number).map_err(Error::io("/proc/self/task"))? {
                    if !was_blocked {
                        let _ = set_mask(libc::SIG_UNBLOCK, number);
                    }
                    return Err(Error::SignalUnblocked { signal: number, thread });
                }
            }
        }
        Ok(Self { number, delivery, blocked_in, was_ignored })
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    /// Gives the signal back. If the kernel may still send it, it stays ignored.
    pub(crate) fn release(self, may_come: bool) {
        // Ignoring a signal also discards those that are pending.
        let _ = set_disposition(self.number, libc::SIG_IGN);
        if may_come {
            return;
        }
        if !self.was_ignored {
            let _ = set_disposition(self.number, libc::SIG_DFL);
        }
        if self.delivery == Delivery::Signal && self.blocked_in == Some(thread::current().id()) {
            let _ = set_mask(libc::SIG_UNBLOCK, self.number);
        }
        IN_USE.fetch_and(!(1 << (self.number - 1)), Relaxed);
    }
}

/// A signalfd of an agent's signal.
#[derive(Debug)]
pub(crate) struct SignalFd(File);

impl SignalFd {
    pub(crate) fn new(signal: i32) -> io::Result<Self> {
        let set = set_of(signal);
        // SAFETY: the set is borrowed over the call.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        result(fd)?;
        // SAFETY: the descriptor is new and has no other owner.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// Takes all signals that are there.
    pub(crate) fn take(&self) -> io::Result<Vec<UpcallSignal>> {
        let mut buffer = [0; 16 * SIGINFO_SIZE];
        let mut taken = Vec::new();
        loop {
            match (&self.0).read(&mut buffer) {
                Ok(length) => {
                    taken.extend(parse_signals(&buffer[..length]));
                    if length < buffer.len() {
                        return Ok(taken);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(taken),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A signal that announces a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpcallSignal {
    pub(crate) target: KeySerial,
    pub(crate) pid: Option<u32>,
    pub(crate) uid: u32,
}

/// Size of `struct signalfd_siginfo`.
const SIGINFO_SIZE: usize = 128;

/// Parses the records that a signalfd returns. Signals from others than the kernel's keyagents are left out.
fn parse_signals(bytes: &[u8]) -> impl Iterator<Item = UpcallSignal> {
    bytes.as_chunks::<SIGINFO_SIZE>().0.iter().filter_map(|info| {
        // Offsets in struct signalfd_siginfo.
        const CODE: usize = 8;
        const PID: usize = 12;
        const UID: usize = 16;
        const INT: usize = 44;
        let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
        let target = KeySerial::new(word(INT).cast_signed())?;
        let pid = Some(word(PID)).filter(|pid| *pid != 0);
        (word(CODE).cast_signed() == SI_KEYAGENT).then(|| UpcallSignal { target, pid, uid: word(UID) })
    })
}

/// The id of a thread of this process that does not block the signal.
fn unblocked_thread(signal: i32) -> io::Result<Option<u32>> {
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        // A thread that has exited since has no status.
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        if blocked(&status).is_some_and(|blocked| blocked & (1 << (signal - 1)) == 0) {
            return Ok(thread.file_name().to_string_lossy().parse().ok());
        }
    }
    Ok(None)
}

/// The blocked signals in a thread's /proc/…/status.
fn blocked(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

fn set_of(signal: i32) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset(3) initializes the set; sigaddset(3) refuses what is no signal.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        set.assume_init()
    }
}

fn is_blocked_here(signal: i32) -> io::Result<bool> {
    let mut old = set_of(signal);
    // SAFETY: no new mask is given, and the old one is written into a set.
    error(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut old) })?;
    // SAFETY: the set is initialized.
    Ok(unsafe { libc::sigismember(&raw const old, signal) } == 1)
}

fn set_mask(how: i32, signal: i32) -> io::Result<()> {
    let set = set_of(signal);
    // SAFETY: the set is borrowed over the call, and the old mask is not requested.
    error(unsafe { libc::pthread_sigmask(how, &raw const set, ptr::null_mut()) })
}

fn disposition(signal: i32) -> io::Result<libc::sighandler_t> {
    let mut old = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new action is given, and the old one is written into place.
    result(unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded and has initialized it.
    Ok(unsafe { old.assume_init() }.sa_sigaction)
}

/// Sets `SIG_IGN` or `SIG_DFL`.
fn set_disposition(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the action is borrowed over the call, and contains no address of a function.
    result(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })
}

fn result(returned: i32) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn error(number: i32) -> io::Result<()> {
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(code: i32, pid: u32, value: i32) -> Vec<u8> {
        let mut info = vec![0; SIGINFO_SIZE];
        info[8..12].copy_from_slice(&code.to_ne_bytes());
        info[12..16].copy_from_slice(&pid.to_ne_bytes());
        info[16..20].copy_from_slice(&7_u32.to_ne_bytes());
        info[44..48].copy_from_slice(&value.to_ne_bytes());
        info
    }

    #[test]
    fn only_keyagents_signals_are_parsed() {
        let records = [record(SI_KEYAGENT, 5, 9), record(-1, 5, 9), record(SI_KEYAGENT, 0, 8)].concat();
        let parsed: Vec<_> =
            parse_signals(&records).map(|signal| (signal.target.get(), signal.pid)).collect();
        assert_eq!(parsed, [(9, Some(5)), (8, None)]);
        assert_eq!(
            parse_signals(&record(SI_KEYAGENT, 5, 9)).map(|signal| signal.uid).collect::<Vec<_>>(),
            [7]
        );
    }

    #[test]
    fn blocked_signals_are_parsed() {
        assert_eq!(blocked("Name:\tx\nSigBlk:\t8000000000000000\n"), Some(1 << 63));
        assert_eq!(blocked("Name:\tx\n"), None);
    }

    // Dispositions belong to the process, so all of it is one test.
    #[test]
    fn signal_is_taken_once_and_given_back() {
        let number = libc::SIGRTMIN() + 3;
        let taken = AgentSignal::take(Some(number), Delivery::WatchQueue).unwrap();
        assert_eq!(disposition(number).unwrap(), libc::SIG_IGN);
        assert!(matches!(
            AgentSignal::take(Some(number), Delivery::WatchQueue),
            Err(Error::SignalTaken(of)) if of == number
        ));
        let other = AgentSignal::take(None, Delivery::WatchQueue).unwrap();
        assert_ne!(other.number(), number);
        other.release(false);
        taken.release(false);
        assert_eq!(disposition(number).unwrap(), libc::SIG_DFL);

        // The harness has a thread that does not block the signal.
        let refused = AgentSignal::take(Some(number), Delivery::Signal);
        assert!(matches!(refused, Err(Error::SignalUnblocked { signal, .. }) if signal == number));
        assert!(!is_blocked_here(number).unwrap());
        assert!(matches!(AgentSignal::take(Some(9), Delivery::Signal), Err(Error::SignalNumber(9))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(bytes: Vec<u8>, status: String) {
            prop_assert!(parse_signals(&bytes).count() <= bytes.len() / SIGINFO_SIZE);
            let _ = blocked(&status);
        }
    }
}
