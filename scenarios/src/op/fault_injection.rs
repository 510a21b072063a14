//! Fault injection: failing memory allocations.

use serde::{Deserialize, Serialize};

use super::Op;
use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultInjectionOp {
    /// Repeat an operation, with its first memory allocation in the kernel failing, then its
    /// second, until no allocation is left to fail. It uses /proc/self/fail-nth: the process has to
    /// be root, and the kernel needs the feature `fault_injection`. `{worker}` stands for the
    /// number of the try. Gives `Tries`.
    EachAllocation {
        /// The operation.
        of: Box<Op>,
        /// An operation before each try, with no allocation failing. It has to succeed.
        before: Option<Box<Op>>,
    },
}

impl FaultInjectionOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        let Self::EachAllocation { of, before } = self;
        before.iter_mut().chain([of]).flat_map(|op| op.keys_mut()).collect()
    }
}
