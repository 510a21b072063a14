//! Operations on keyrings.

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
        /// A special keyring.
        key: KeyRef,
        /// Create it if it doesn't exist.
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
    /// KEYCTL_SET_REQKEY_KEYRING: set the default destination keyring of requests.
    DefaultKeyring {
        /// The new default.
        is: DefaultKeyring,
    },
    /// KEYCTL_SESSION_TO_PARENT: give the parent the session keyring.
    SessionToParent {},
    /// KEYCTL_GET_PERSISTENT. Gives the serial.
    Persistent {
        /// User of the persistent keyring. Without it: the process's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// A keyring to link it into.
        into: KeyRef,
    },
}

impl KeyringOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::JoinSession { .. } | Self::DefaultKeyring { .. } | Self::SessionToParent {} => Vec::new(),
            Self::Keyring { key, .. } | Self::Clear { key } | Self::Restrict { key } => vec![key],
            Self::Persistent { into, .. } => vec![into],
            Self::Link { key, into } => vec![key, into],
            Self::Unlink { key, from } => vec![key, from],
            Self::Move { key, from, into } => vec![key, from, into],
        }
    }
}

/// Default destination keyring of request_key(2) (`KEY_REQKEY_DEFL_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DefaultKeyring {
    /// The kernel's default.
    Default,
    /// The thread keyring.
    Thread,
    /// The process keyring.
    Process,
    /// The session keyring.
    Session,
    /// The user's keyring.
    User,
    /// The user's session keyring.
    UserSession,
    /// The destination keyring of the request for the key under construction.
    Requestor,
}

impl DefaultKeyring {
    /// Returns the argument of KEYCTL_SET_REQKEY_KEYRING.
    pub fn id(self) -> i32 {
        match self {
            Self::Default => 0,
            Self::Thread => 1,
            Self::Process => 2,
            Self::Session => 3,
            Self::User => 4,
            Self::UserSession => 5,
            Self::Requestor => 7,
        }
    }
}

fn yes() -> bool {
    true
}
