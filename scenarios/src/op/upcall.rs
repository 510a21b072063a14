//! Completion of an upcall by a keyagent: of the one being served, or in a step of the oldest one held.

use serde::{Deserialize, Serialize};

use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UpcallOp {
    /// Assume authority, describe the target, read the callout, instantiate, and give authority up.
    /// The first call that fails ends the answer. The trace has one line for an ordinary answer,
    /// and all calls of any other.
    Answer {
        /// The payload. `{callout}`, `{description}` and `{type}` stand for those of the request,
        /// `{hostname}` and `{uid}` for the agent's own.
        #[serde(default = "callout")]
        payload: String,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// Like `answer`, but reject. ENOKEY has the effect of negating.
    Deny {
        /// The errno's name.
        #[serde(default = "enokey")]
        #[cfg_attr(feature = "host", schemars(with = "crate::errno::ErrnoName"))]
        error: String,
        /// Timeout of the rejected key in seconds.
        #[serde(default = "minute")]
        seconds: u32,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
}

impl UpcallOp {
    /// Default timeout of a rejected key in seconds, longer than any scenario.
    pub const REJECTED_SECONDS: u32 = 60;

    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Answer { into, .. } | Self::Deny { into, .. } => into.iter_mut().collect(),
        }
    }
}

fn callout() -> String {
    "{callout}".to_owned()
}

fn enokey() -> String {
    "ENOKEY".to_owned()
}

fn minute() -> u32 {
    UpcallOp::REJECTED_SECONDS
}
