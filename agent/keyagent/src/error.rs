//! What can go wrong, and what to do about it.

use std::io;
use std::path::Path;
use std::time::Duration;

use keyring::{Errno, Refusal};

/// The result of most functions of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of an agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel does not know the key type `keyagent`.
    #[error(
        "can't register a keyagent: this kernel has none; boot one with the keyagent series (for Linux 6.12 or \
         7.3) and CONFIG_KEYAGENT=y"
    )]
    NoKeyagents,
    /// The kernel has no keys at all.
    #[error("can't use keys: this kernel was built without CONFIG_KEYS; boot one with CONFIG_KEYAGENT=y")]
    NoKeys,
    /// Something in front of the kernel's code denies a system call.
    #[error(
        "can't use keys: a seccomp filter denies {call}(2) with {error}; allow add_key, keyctl and request_key \
         in the profile of this container or service"
    )]
    Seccomp {
        /// Name of the system call.
        call: &'static str,
        /// The filter's choice.
        error: Errno,
    },
    /// The kernel has no notifications about keys.
    #[error(
        "can't watch for requests: this kernel was built without CONFIG_KEY_NOTIFICATIONS; register with \
         Delivery::Signal"
    )]
    NoNotifications,
    /// A type of key that agents can't serve.
    #[error(
        "can't serve keys of type {0:?}: a type has 1 to 31 printable ASCII characters, does not begin with a \
         dot, and is neither `keyagent` nor `keyring`"
    )]
    KeyType(String),
    /// A timeout that the kernel does not take.
    #[error("can't give requests {0:?}: choose a time from 1 ms to 600 s")]
    Timeout(Duration),
    /// A window that the kernel does not take.
    #[error("can't take {0} requests at once: choose a window from 1 to 1024")]
    Window(u32),
    /// The signal is not a realtime signal that programs may use.
    #[error("can't use signal {0}: choose one from SIGRTMIN to SIGRTMAX")]
    SignalNumber(i32),
    /// The program uses the signal itself.
    #[error("can't use signal {0}: the program handles it, or another agent uses it; choose another one")]
    SignalTaken(i32),
    /// The program uses all realtime signals.
    #[error("can't find a free realtime signal: the program handles all of them")]
    NoSignal,
    /// A thread would be ended by the signal.
    #[error(
        "can't use signal {signal}: thread {thread} does not block it and would end the process; register \
         before starting threads, or use Delivery::WatchQueue"
    )]
    SignalUnblocked {
        /// The signal.
        signal: i32,
        /// The thread's id.
        thread: u32,
    },
    /// The user has too many keys.
    #[error("can't add a key: the user's quota is used up; see /proc/key-users and /proc/sys/kernel/keys")]
    Quota,
    /// The request has been completed, has reached its deadline, or its agent was dropped.
    #[error("can't answer the request: it has ended")]
    Ended,
    /// An error number that a key can't be rejected with.
    #[error("can't reject a request with error {number}: choose one from 1 to {max}", number = .0.raw_os_error(), max = keyring::MAX_ERROR)]
    Rejection(Errno),
    /// This process was forked from the one that has registered.
    #[error("can't use a keyagent in a forked process; register there")]
    Forked,
    /// The thread was started before the agent was registered with
    /// [`Builder::current_thread`](super::Builder::current_thread).
    #[error(
        "can't use this keyagent in this thread: it was started before the agent registered; start it later, or \
         register without Builder::current_thread"
    )]
    EarlierThread,
    /// A system call failed in another way.
    #[error("{call} failed: {errno}")]
    Call {
        /// Name of the call.
        call: &'static str,
        /// The kernel's error.
        #[source]
        errno: Errno,
    },
    /// A thread or process can't be started, or a descriptor not be used.
    #[error("{call} failed: {source}")]
    Io {
        /// What failed.
        call: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn call(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::DQUOT => Self::Quota,
            errno => Self::Call { call, errno },
        }
    }

    pub(crate) fn io(call: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { call, source }
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let Refusal { call, error } = refusal;
        // The kernel has this directory if it has keys.
        if error == Errno::NOSYS && !Path::new("/proc/sys/kernel/keys").exists() {
            return Self::NoKeys;
        }
        Self::Seccomp { call, error }
    }

    /// The error of a call on a request.
    pub(crate) fn of_request(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| if has_ended(errno) { Self::Ended } else { Self::call(call)(errno) }
    }
}

/// Returns true for errors that the kernel returns for a request that has ended.
pub(crate) fn has_ended(errno: Errno) -> bool {
    matches!(errno, Errno::BUSY | Errno::KEYEXPIRED | Errno::KEYREVOKED | Errno::NOKEY)
}
