//! Fault injection: failing memory allocations.

use serde::{Deserialize, Serialize};

use super::Op;
use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultInjectionOp {
    /// Carry out an operation again and again, its first memory allocation in the kernel failing, then its second, and so on
    /// until there is none left to fail (/proc/self/fail-nth; the process has to be root, and the kernel to have the feature
    /// `fault_injection`). `{worker}` stands for the number of the try. Gives `Tries`.
    EachAllocation {
        /// The operation.
        of: Box<Op>,
        /// What is done before each try, with no allocation failing. It has to succeed.
        before: Option<Box<Op>>,
    },
}

impl FaultInjectionOp {
    pub(super) fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        let Self::EachAllocation { of, before } = self;
        before.iter_mut().chain([of]).flat_map(|op| op.keys_mut()).collect()
    }
}
