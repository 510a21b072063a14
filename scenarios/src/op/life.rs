//! A process's own life.

use serde::{Deserialize, Serialize};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LifeOp {
    /// exit(2).
    Exit {
        /// Exit code.
        #[serde(default)]
        code: i32,
    },
    /// execve(2) of the guest's own program, which goes on as the same actor, without serving upcalls any more. Blocked and pending
    /// signals stay so.
    Exec {
        /// Of a copy of it that is owned by this user of the initial user namespace and has the set-user-id bit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setuid: Option<u32>,
    },
    /// Go on in a new thread, and let the thread group's leader end: it stays a zombie as long as the thread lives (R4).
    LeaveLeader {},
    /// Change ids and capabilities, as a process can from the start.
    Become {
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<u32>,
        /// Without it: what the ids leave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capabilities: Option<Vec<String>>,
    },
    /// PR_SET_DUMPABLE.
    SetDumpable {
        /// Whether it is.
        dumpable: bool,
    },
    /// Run a command of the guest's and wait for it. Gives its exit status and what it printed.
    Run {
        /// Program and arguments.
        command: Vec<String>,
    },
}
