//! Signals.

use serde::{Deserialize, Serialize};

use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SignalOp {
    /// kill(2).
    Signal {
        /// A process, or the name of a background step: all of its workers.
        to: String,
        /// The name as in `SIGSTOP`, or `SIGRTMIN+1` where SIGRTMIN is the C library's 34, or a number.
        signal: String,
    },
    /// Send a signal with a forged siginfo (R15).
    Forge {
        /// A process.
        to: String,
        /// The system call.
        #[serde(default)]
        by: Forgery,
        /// As in `signal`.
        signal: String,
        /// si_code.
        code: i32,
        /// The key with the serial for si_int. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<KeyRef>,
    },
    /// Take all pending real-time signals. Gives them.
    TakeSignals {},
}

impl SignalOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Forge { value, .. } => value.iter_mut().collect(),
            Self::Signal { .. } | Self::TakeSignals {} => Vec::new(),
        }
    }

    pub(super) fn receiver(&self) -> Option<&String> {
        match self {
            Self::Signal { to, .. } | Self::Forge { to, .. } => Some(to),
            Self::TakeSignals {} => None,
        }
    }
}

/// Calls that send a siginfo of the caller's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// rt_sigqueueinfo(2).
    #[default]
    Sigqueueinfo,
    /// rt_tgsigqueueinfo(2).
    Tgsigqueueinfo,
    /// pidfd_send_signal(2).
    Pidfd,
}
