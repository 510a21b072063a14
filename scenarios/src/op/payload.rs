//! Payloads of keys.

use serde::{Deserialize, Serialize};

/// Payload argument of add_key(2) and similar calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a text, or one of { hex = \"00ff\" }, { hex = \"00ff\", length = 16 }, { fill = 4096 }, { null = 4 }"
)]
pub enum Payload {
    /// These bytes.
    Text(String),
    /// Any bytes, in hexadecimal digits.
    Hex {
        /// The digits.
        hex: String,
    },
    /// Bytes in hexadecimal digits, with zero bytes after them.
    Padded {
        /// The digits.
        hex: String,
        /// Number of bytes, including the zero bytes.
        length: u32,
    },
    /// Repetitions of the byte `x`.
    Fill {
        /// Number of bytes.
        fill: u32,
    },
    /// A null pointer with a length.
    Null {
        /// The length in bytes.
        null: u32,
    },
}

impl Default for Payload {
    fn default() -> Self {
        Self::Text(String::new())
    }
}
