//! Operations that suspend another process: cgroup freezer, ptrace.

use serde::{Deserialize, Serialize};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SuspendOp {
    /// Move a process into a control group of its own, freeze that, and wait until it is frozen.
    Freeze {
        /// The process.
        to: String,
    },
    /// Thaw a process that is frozen, and move it back.
    Thaw {
        /// The process.
        to: String,
    },
    /// PTRACE_SEIZE a process, stop it by PTRACE_INTERRUPT, and wait until it is stopped.
    Seize {
        /// The process.
        to: String,
    },
    /// PTRACE_DETACH from a process that is seized. The process continues.
    Detach {
        /// The process.
        to: String,
    },
}

impl SuspendOp {
    pub(super) fn receiver(&self) -> &String {
        match self {
            Self::Freeze { to } | Self::Thaw { to } | Self::Seize { to } | Self::Detach { to } => to,
        }
    }
}
