//! Operations that change the namespaces of a running process.

use serde::{Deserialize, Serialize};

use crate::plan::Namespace;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NamespaceOp {
    /// unshare(2). In a new user namespace the process is root, and nobody else is anybody. A new `pid` namespace is for the
    /// background steps that follow.
    Unshare {
        /// Which.
        namespaces: Vec<Namespace>,
    },
    /// setns(2) by a pidfd.
    Enter {
        /// Whose.
        process: String,
        /// Which.
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

    /// The kinds of namespaces that it is about.
    pub fn kinds(&self) -> &[Namespace] {
        match self {
            Self::Unshare { namespaces } | Self::Enter { namespaces, .. } => namespaces,
        }
    }
}
