//! Operations with memory allocations failing.

use scenarios::plan::{FaultOp, Op};
use scenarios::wire::{Outcome, Value};

use super::{Missing, Tried};
use crate::process::background::numbered;
use crate::process::{Actor, Cause};
use crate::sys::fault_injection::Failing;

/// More allocations than any operation makes.
const MOST: u32 = 5000;

impl Actor<'_> {
    pub(super) fn with_faults(&mut self, op: &FaultOp, pids: &[i32], cause: Cause) -> Tried {
        let FaultOp::EachAllocation { of, before } = op;
        let impossible = |why: std::io::Error| Missing(format!("fault injection: {why}"));
        let failing = Failing::open().map_err(impossible)?;
        let mut failed = Vec::new();
        for nth in 1..MOST {
            self.get_ready(before.as_deref(), pids, cause)?;
            let op = numbered(of.as_ref().clone(), "{worker}", Some(nth));
            let act = || self.perform(&op, pids, cause);
            let (outcome, has_failed) = failing.at(nth, act).map_err(impossible)?;
            if !has_failed {
                return Ok(Outcome::Ok(Value::Tries { failed, last: Box::new(outcome) }));
            }
            failed.push(outcome);
        }
        Err(Missing("there is no end to its allocations".to_owned()))
    }

    fn get_ready(&mut self, before: Option<&Op>, pids: &[i32], cause: Cause) -> Result<(), Missing> {
        match before.map(|op| self.perform(op, pids, cause)) {
            None | Some(Outcome::Ok(_)) => Ok(()),
            Some(other) => Err(Missing(format!("what comes before each try gave {other:?}"))),
        }
    }
}
