//! Operations of a process on itself: exit, exec, credentials, limits, commands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProcessOp {
    /// exit(2).
    Exit {
        /// Exit code.
        #[serde(default)]
        code: i32,
    },
    /// abort(3): die of SIGABRT, like a program that has a bug.
    Crash {},
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
        uid: Option<Ids>,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<Ids>,
        /// Supplementary groups. Without it: none any more, if a whole id is changed; else unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        groups: Option<Vec<u32>>,
        /// Without it: what the ids leave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capabilities: Option<Vec<String>>,
        /// Those of its capabilities that an exec passes on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inheritable: Vec<String>,
    },
    /// setrlimit(2), soft and hard alike.
    Limit {
        /// By the name in getrlimit(2) without `RLIMIT_` and in lower case, as in `sigpending`.
        rlimits: BTreeMap<String, u64>,
    },
    /// PR_SET_DUMPABLE.
    SetDumpable {
        /// Whether it is.
        dumpable: bool,
    },
    /// Run a command of the guest's shell in a child of its own, and wait for it. Gives its exit status and what it printed. The guest
    /// has busybox if the host has (Debian: busybox-static); without it the scenario is skipped.
    Run {
        /// The command.
        command: Command,
    },
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a text for the shell, or a list: a program and its arguments")]
pub enum Command {
    /// What `sh -c` is given.
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
    /// Some of them; the others stay.
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
        /// Of the file system. Without it: the effective one, as ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fs: Option<u32>,
    },
}
