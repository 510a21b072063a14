//! Operations of the guest's PID 1 on a process: start, reap, wait.

use serde::{Deserialize, Serialize};

use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlOp {
    /// Start a process that has `start = "step"`.
    Start {},
    /// Reap a process that is left as a zombie. ECHILD if it has not ended.
    Reap {},
    /// Wait until a condition is true. Gives nothing, or `timed_out`.
    Wait {
        /// The condition.
        until: Condition,
        /// Limit in milliseconds.
        #[serde(default = "patience")]
        within_ms: u64,
    },
    /// Wait until a background step and all its workers have ended. Their results are reported
    /// under the background step.
    Await {
        /// Name of the background step.
        job: String,
        /// Limit in milliseconds.
        #[serde(default = "patience")]
        within_ms: u64,
    },
}

impl ControlOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Wait { until: Condition::Gone(key) | Condition::Shows { key, .. }, .. } => vec![key],
            _ => Vec::new(),
        }
    }
}

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
    /// The process has ended, reaped or not.
    Ended,
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

/// Default limit in milliseconds, sufficient for the slowest back end.
fn patience() -> u64 {
    20_000
}
