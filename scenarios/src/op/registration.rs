//! Registration of a keyagent.

use serde::{Deserialize, Serialize};

use super::Payload;

/// The payload of a `keyagent` key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "{ signal = 35 }, { params = { … } } or { raw = PAYLOAD }"
)]
pub enum Registration {
    /// The 4 bytes of R1.
    Signal {
        /// The number.
        signal: u32,
    },
    /// The 16 bytes of R2.
    Params {
        /// struct keyagent_params.
        params: Params,
    },
    /// Any payload.
    Raw {
        /// The bytes.
        raw: Payload,
    },
}

impl Registration {
    /// SIGRTMIN+1 of the C library: the default signal of a registration.
    pub const USUAL_SIGNAL: u32 = 35;
}

impl Default for Registration {
    fn default() -> Self {
        Self::Signal { signal: Self::USUAL_SIGNAL }
    }
}

/// struct keyagent_params (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The signal.
    #[serde(default = "signal")]
    pub signal: u32,
    /// KEYAGENT_* flags.
    #[serde(default)]
    pub flags: u32,
    /// The deadline in milliseconds; 0: the default one.
    #[serde(default)]
    pub timeout_ms: u32,
    /// Number of requests that are signalled at once; 0: the default one.
    #[serde(default)]
    pub window: u32,
}

/// Thread and system call interface of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Itself.
    #[default]
    Itself,
    /// A thread of its own, which then ends.
    Thread,
    /// Itself, as a 32-bit program: by `int 0x80`.
    Compat,
}

fn signal() -> u32 {
    Registration::USUAL_SIGNAL
}
