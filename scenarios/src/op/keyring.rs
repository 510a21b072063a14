//! Keyrings.

use serde::{Deserialize, Serialize};

use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyringOp {
    /// KEYCTL_JOIN_SESSION_KEYRING. Gives the serial.
    JoinSession {
        /// Without it: a new anonymous one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// KEYCTL_GET_KEYRING_ID. Gives the serial.
    Keyring {
        /// Which one.
        key: KeyRef,
        /// Create it if it isn't there.
        #[serde(default = "yes")]
        create: bool,
    },
    /// KEYCTL_CLEAR.
    Clear {
        /// The keyring.
        key: KeyRef,
    },
    /// KEYCTL_LINK.
    Link {
        /// The key.
        key: KeyRef,
        /// The keyring.
        into: KeyRef,
    },
    /// KEYCTL_UNLINK.
    Unlink {
        /// The key.
        key: KeyRef,
        /// The keyring.
        from: KeyRef,
    },
    /// KEYCTL_MOVE.
    Move {
        /// The key.
        key: KeyRef,
        /// The keyring that it leaves.
        from: KeyRef,
        /// The keyring that it enters.
        into: KeyRef,
    },
    /// KEYCTL_RESTRICT_KEYRING.
    Restrict {
        /// The keyring.
        key: KeyRef,
    },
}

impl KeyringOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::JoinSession { .. } => Vec::new(),
            Self::Keyring { key, .. } | Self::Clear { key } | Self::Restrict { key } => vec![key],
            Self::Link { key, into } => vec![key, into],
            Self::Unlink { key, from } => vec![key, from],
            Self::Move { key, from, into } => vec![key, from, into],
        }
    }
}

fn yes() -> bool {
    true
}
