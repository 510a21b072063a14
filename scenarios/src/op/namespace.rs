//! Operations that change the namespaces of a running process.

use serde::{Deserialize, Serialize};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NamespaceOp {
    /// unshare(2). A new user namespace maps the ids of the process to root, and no other id. A new
    /// `pid` namespace is for the background steps that follow.
    Unshare {
        /// Kinds of namespaces.
        namespaces: Vec<Namespace>,
    },
    /// setns(2) by a pidfd.
    Enter {
        /// A process in the namespaces.
        process: String,
        /// Kinds of namespaces.
        namespaces: Vec<Namespace>,
    },
}

impl NamespaceOp {
    pub(super) fn receiver(&self) -> Option<&String> {
        match self {
            Self::Enter { process, .. } => Some(process),
            Self::Unshare { .. } => None,
        }
    }

    /// Returns its kinds of namespaces.
    pub fn kinds(&self) -> &[Namespace] {
        match self {
            Self::Unshare { namespaces } | Self::Enter { namespaces, .. } => namespaces,
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
