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
    /// abort(3): end by SIGABRT, as a program with a bug does.
    Crash {},
    /// execve(2) of the guest's own program. It continues as the same process of the scenario, but
    /// no longer serves upcalls. Blocked and pending signals are kept.
    Exec {
        /// Owner of a copy of the program with the set-user-id bit, as a user of the initial user
        /// namespace. Without it: the program itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setuid: Option<u32>,
    },
    /// Continue in a new thread, and let the thread group's leader end. The leader stays a zombie
    /// as long as the thread runs (R4).
    LeaveLeader {},
    /// Change ids and capabilities, as the fields of a process do at its start.
    Become {
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<Ids>,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<Ids>,
        /// Supplementary groups. Without it: none, if `uid` or `gid` is a single number; otherwise
        /// unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        groups: Option<Vec<u32>>,
        /// Without it: those that the ids leave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capabilities: Option<Vec<String>>,
        /// Capabilities that an exec passes on, of those that it has.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inheritable: Vec<String>,
    },
    /// setrlimit(2), for soft and hard limits.
    Limit {
        /// Limits by the name in getrlimit(2) without `RLIMIT_` and in lower case, as in
        /// `sigpending`.
        rlimits: BTreeMap<String, u64>,
    },
    /// PR_SET_DUMPABLE.
    SetDumpable {
        /// The new value.
        dumpable: bool,
    },
    /// Run a command in a child of the process, and wait for it. Gives its exit status and its
    /// output. The guest has busybox if the host has it (Debian: busybox-static); otherwise the
    /// scenario is skipped.
    Run {
        /// The command.
        command: Command,
    },
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
