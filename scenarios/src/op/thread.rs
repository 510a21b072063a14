//! Threads (R4).

use serde::{Deserialize, Serialize};

use super::Op;
use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ThreadOp {
    /// Carry out an operation in another thread, which then ends. It has the credentials of the
    /// process, but a thread keyring of its own.
    InThread {
        /// The operation.
        of: Box<Op>,
    },
}

impl ThreadOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        let Self::InThread { of } = self;
        of.keys_mut()
    }
}
