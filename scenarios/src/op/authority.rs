//! Explicit use of the authority over a key under construction.

use serde::{Deserialize, Serialize};

use super::Payload;
use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthorityOp {
    /// KEYCTL_ASSUME_AUTHORITY.
    Assume {
        /// The target. Without it: 0, which gives authority up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<KeyRef>,
    },
    /// KEYCTL_INSTANTIATE.
    Instantiate {
        /// The target.
        #[serde(default = "target")]
        key: KeyRef,
        /// Payload.
        #[serde(default)]
        payload: Payload,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_INSTANTIATE_IOV.
    InstantiateIov {
        /// The target.
        #[serde(default = "target")]
        key: KeyRef,
        /// The payload, as the segments of the iovec.
        pieces: Vec<Payload>,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_NEGATE.
    Negate {
        /// The target.
        #[serde(default = "target")]
        key: KeyRef,
        /// Timeout of the negative key in seconds.
        #[serde(default = "minute")]
        seconds: u32,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_REJECT.
    Reject {
        /// The target.
        #[serde(default = "target")]
        key: KeyRef,
        /// Timeout of the rejected key in seconds.
        #[serde(default = "minute")]
        seconds: u32,
        /// The errno's name.
        #[cfg_attr(feature = "host", schemars(with = "crate::errno::ErrnoName"))]
        error: String,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
}

impl AuthorityOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Assume { key } => key.iter_mut().collect(),
            Self::Instantiate { key, into, .. }
            | Self::InstantiateIov { key, into, .. }
            | Self::Negate { key, into, .. }
            | Self::Reject { key, into, .. } => std::iter::once(key).chain(into).collect(),
        }
    }
}

fn target() -> KeyRef {
    KeyRef::Target
}

fn minute() -> u32 {
    super::UpcallOp::REJECTED_SECONDS
}
