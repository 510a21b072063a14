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
    /// Wait until something is so. Gives nothing, or `timed_out`.
    Wait {
        /// What is waited for.
        until: Condition,
        /// For so many milliseconds at most.
        #[serde(default = "patience")]
        within_ms: u64,
    },
    /// Wait until a background step has ended, all its workers included. The results are reported under the background step
    /// itself.
    Await {
        /// Its name.
        job: String,
        /// For so many milliseconds at most.
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

/// What a `wait` is for. A process is the one that the step is addressed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The keyagent has got so many upcalls since it started.
    Upcalls(u32),
    /// So many signals are pending for a keyagent that does not listen.
    Signals(u32),
    /// All workers of this background step sleep in their system call (/proc/PID/syscall and state).
    Blocked(String),
    /// The process is stopped.
    Stopped,
    /// The process has ended, reaped or not.
    Ended,
    /// The key is no longer in /proc/keys.
    Gone(KeyRef),
    /// The key's line in /proc/keys says so.
    Shows {
        /// The key.
        key: KeyRef,
        /// Part of its flags, its timeout, or what stands behind the type, as in `expd` and `pending:2`.
        text: String,
    },
    /// A user's quota is charged with so many keys, or fewer (/proc/key-users): some kernels give it back only after the key is
    /// gone.
    Charged {
        /// The user, as in the initial user namespace.
        uid: u32,
        /// How many keys at most.
        keys: u32,
    },
    /// The tracepoints `keyagent:*` have recorded so much since the plan began.
    Traced(u32),
}

/// Milliseconds that something may take on the slowest back end unless the scenario says otherwise.
fn patience() -> u64 {
    20_000
}
