//! Operations on keys.

use serde::{Deserialize, Serialize};

use super::{Caller, Payload, Permissions, Registration};
use crate::key_ref::{KeyRef, Special};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyOp {
    /// add_key(2). Gives the serial.
    Add {
        /// Key type.
        #[serde(rename = "type")]
        kind: String,
        /// Description.
        description: String,
        /// Payload.
        #[serde(default)]
        payload: Payload,
        /// The keyring.
        #[serde(default = "session")]
        into: KeyRef,
    },
    /// add_key(2) of a `keyagent` key (R1, R2). Gives the serial.
    Register {
        /// The type to serve, which is the key's description.
        #[serde(rename = "type")]
        kind: String,
        /// The payload.
        #[serde(default)]
        with: Registration,
        /// The keyring.
        #[serde(default = "session")]
        into: KeyRef,
        /// The thread and the system call interface that make the call.
        #[serde(default)]
        by: Caller,
    },
    /// request_key(2). Gives the serial.
    Request {
        /// Key type.
        #[serde(rename = "type", default = "user")]
        kind: String,
        /// Description.
        description: String,
        /// Callout information. Without it: no upcall is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        callout: Option<String>,
        /// The destination keyring. Without it: 0, the default one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
        /// Set a timer that interrupts the call after this number of milliseconds. Its signal is
        /// SIGALRM, with a handler that is installed without SA_RESTART unless `restart` is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alarm_ms: Option<u64>,
        /// Install the handler with SA_RESTART, so that the interrupted call continues (R22).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restart: bool,
    },
    /// KEYCTL_SEARCH. Gives the serial.
    Search {
        /// The keyring to search.
        #[serde(default = "session")]
        key: KeyRef,
        /// Key type.
        #[serde(rename = "type", default = "user")]
        kind: String,
        /// Description.
        description: String,
        /// A keyring to link the found key into.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_DESCRIBE.
    Describe {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_READ. Gives text or hexadecimal digits, or a keyring's serials.
    Read {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_UPDATE.
    Update {
        /// The key.
        key: KeyRef,
        /// The new payload.
        #[serde(default)]
        payload: Payload,
    },
    /// KEYCTL_SETPERM.
    Setperm {
        /// The key.
        key: KeyRef,
        /// The new permissions.
        perm: Permissions,
    },
    /// KEYCTL_CHOWN.
    Chown {
        /// The key.
        key: KeyRef,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<u32>,
    },
    /// KEYCTL_SET_TIMEOUT.
    SetTimeout {
        /// The key.
        key: KeyRef,
        /// Seconds; 0: none.
        seconds: u32,
    },
    /// KEYCTL_REVOKE.
    Revoke {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_INVALIDATE.
    Invalidate {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_GET_SECURITY.
    GetSecurity {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_WATCH_KEY on a watch queue of the process's own, made at first use (R28).
    Watch {
        /// The key.
        key: KeyRef,
    },
    /// Read all pending notifications. Gives them.
    Notifications {},
    /// KEYCTL_CAPABILITIES. Gives the bytes as hexadecimal digits.
    Capabilities {},
}

impl KeyOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Describe { key }
            | Self::Read { key }
            | Self::Update { key, .. }
            | Self::Setperm { key, .. }
            | Self::Chown { key, .. }
            | Self::SetTimeout { key, .. }
            | Self::Revoke { key }
            | Self::Invalidate { key }
            | Self::GetSecurity { key }
            | Self::Watch { key } => vec![key],
            Self::Add { into, .. } | Self::Register { into, .. } => vec![into],
            Self::Search { key, into, .. } => std::iter::once(key).chain(into).collect(),
            Self::Request { into, .. } => into.iter_mut().collect(),
            Self::Notifications {} | Self::Capabilities {} => Vec::new(),
        }
    }
}

fn user() -> String {
    "user".to_owned()
}

fn session() -> KeyRef {
    KeyRef::Special(Special::Session)
}
