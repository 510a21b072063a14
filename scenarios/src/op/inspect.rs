//! Operations that inspect the kernel: /proc/keys, quotas, tracepoints, the log.

use serde::{Deserialize, Serialize};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InspectOp {
    /// Lines of /proc/keys that the process sees, without those that existed before the plan began.
    ProcKeys {
        /// Only of this type.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
    },
    /// Records of the tracepoints `keyagent:*` since the plan began (R27). PID 1 enables the
    /// tracepoints for plans with such a step.
    Trace {
        /// Only records of this event, as in `complete`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<String>,
        /// Only records of an interval of at least this number of milliseconds (their field
        /// `usec`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least_ms: Option<u64>,
        /// Only records of an interval of at most this number of milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most_ms: Option<u64>,
    },
    /// Lines of the kernel's log since the plan began that contain this. Gives text.
    KernelLog {
        /// Part of the line.
        has: String,
    },
    /// The line of /proc/key-users for this user, or ENOENT.
    KeyUsers {
        /// As the process's user namespace sees it.
        uid: u32,
    },
}
