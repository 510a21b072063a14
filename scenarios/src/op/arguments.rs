//! Arguments of operations.

use serde::{Deserialize, Serialize};

use crate::key_ref::KeyRef;

/// Condition of a `wait`. It is about the process that the step names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The keyagent has received at least this number of upcalls since its start.
    Upcalls(u32),
    /// At least this number of signals are pending for a keyagent that does not listen.
    Signals(u32),
    /// All workers of this background step sleep in their system call (/proc/PID/syscall and state).
    Blocked(String),
    /// The process is stopped.
    Stopped,
    /// The process has ended, reaped or not. Of a program, this gives the exit code, or 128 plus the
    /// number of the signal that has ended it; success is 0.
    Ended,
    /// The program has printed this text, on standard output or standard error.
    Prints(String),
    /// The key is no longer in /proc/keys.
    Gone(KeyRef),
    /// The key's line in /proc/keys contains a text.
    Shows {
        /// The key.
        key: KeyRef,
        /// Part of its flags, of its timeout, or of the text behind the type, as in `expd` and
        /// `pending:2`.
        text: String,
    },
    /// A user's quota is charged with at most this number of keys (/proc/key-users). Some kernels
    /// release the charge only when the key is destroyed.
    Charged {
        /// The user, as in the initial user namespace.
        uid: u32,
        /// Largest number of keys.
        keys: u32,
    },
    /// The tracepoints `keyagent:*` have made at least this number of records since the plan began.
    Traced(u32),
}

/// Default destination keyring of request_key(2) (`KEY_REQKEY_DEFL_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DefaultKeyring {
    /// The kernel's default.
    Default,
    /// The thread keyring.
    Thread,
    /// The process keyring.
    Process,
    /// The session keyring.
    Session,
    /// The user's keyring.
    User,
    /// The user's session keyring.
    UserSession,
    /// The destination keyring of the request for the key under construction.
    Requestor,
}

impl DefaultKeyring {
    /// Returns the argument of KEYCTL_SET_REQKEY_KEYRING.
    pub fn id(self) -> i32 {
        match self {
            Self::Default => 0,
            Self::Thread => 1,
            Self::Process => 2,
            Self::Session => 3,
            Self::User => 4,
            Self::UserSession => 5,
            Self::Requestor => 7,
        }
    }
}

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// Users, groups, capabilities.
    User,
    /// Process ids.
    Pid,
    /// Mounts. A new one is made private.
    Mount,
    /// Network. Its loopback is brought up.
    Net,
    /// System V IPC and message queues.
    Ipc,
    /// Host name.
    Uts,
    /// Control group root.
    Cgroup,
    /// Clock offsets.
    Time,
}

impl Namespace {
    /// Returns the feature that a guest announces if its kernel has this kind.
    pub fn feature(self) -> &'static str {
        match self {
            Self::User => "user_ns",
            Self::Pid => "pid_ns",
            Self::Mount => "mount_ns",
            Self::Net => "net_ns",
            Self::Ipc => "ipc_ns",
            Self::Uts => "uts_ns",
            Self::Cgroup => "cgroup_ns",
            Self::Time => "time_ns",
        }
    }
}

/// Calls that send a siginfo of the caller's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// rt_sigqueueinfo(2).
    #[default]
    Sigqueueinfo,
    /// rt_tgsigqueueinfo(2).
    Tgsigqueueinfo,
    /// pidfd_send_signal(2).
    Pidfd,
}

/// Command line of `run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a text for the shell, or a list: a program and its arguments")]
pub enum Command {
    /// Argument of `sh -c`.
    Shell(String),
    /// A program and its arguments, without a shell.
    Program(Vec<String>),
}

/// A process's ids of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a number, or a table of some of real, effective, saved and fs"
)]
pub enum Ids {
    /// All of them.
    All(u32),
    /// Some of them; the others are unchanged.
    Each {
        /// Real.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        real: Option<u32>,
        /// Effective.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effective: Option<u32>,
        /// Saved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        saved: Option<u32>,
        /// Of the file system. Without it: the effective one, as in setresuid(2).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fs: Option<u32>,
    },
}
