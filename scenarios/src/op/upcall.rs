//! Completion of an upcall by a keyagent: of the one being served, or in a step of the oldest one held.

use serde::{Deserialize, Serialize};

use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UpcallOp {
    /// Assume authority, describe the target, read the callout, instantiate, and give authority up. Each of these is in the
    /// story; the first that fails ends it.
    Answer {
        /// The payload. `{callout}`, `{description}`, `{type}`, `{hostname}` (the agent's own) and `{uid}` (the agent's own)
        /// stand for what they say.
        #[serde(default = "callout")]
        payload: String,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// Like `answer`, but reject. (ENOKEY is what negating does.)
    Deny {
        /// The errno's name.
        #[serde(default = "enokey")]
        #[cfg_attr(feature = "host", schemars(with = "crate::errno::ErrnoName"))]
        error: String,
        /// How long the rejection lasts.
        #[serde(default = "minute")]
        seconds: u32,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
}

impl UpcallOp {
    /// Seconds that a rejection lasts unless the scenario says otherwise: longer than any scenario.
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
