//! Payloads of keys.

use serde::{Deserialize, Serialize};

/// What add_key(2) and its like are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a text, or one of { hex = \"00ff\" }, { fill = 4096 }, { null = 4 }"
)]
pub enum Payload {
    /// These bytes.
    Text(String),
    /// Any bytes, in hexadecimal digits.
    Hex {
        /// The digits.
        hex: String,
    },
    /// So many bytes `x`.
    Fill {
        /// How many.
        fill: u32,
    },
    /// A null pointer that claims to be so many bytes.
    Null {
        /// How many.
        null: u32,
    },
}

impl Default for Payload {
    fn default() -> Self {
        Self::Text(String::new())
    }
}
