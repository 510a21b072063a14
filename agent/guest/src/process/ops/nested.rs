//! Operations in another thread and under fault injection.

use scenarios::plan::Op;
use scenarios::wire::{Outcome, Value};

use super::{OpResult, Skip, misplaced};
use crate::process::background::substitute_number;
use crate::process::{Cause, PlanProcess, thread};
use crate::sys::fault_injection::FailNth;

/// More allocations than any operation makes.
const MAX_ALLOCATIONS: u32 = 5000;

impl PlanProcess<'_> {
    pub(super) fn nested_op(&mut self, op: &Op, pids: &[i32], cause: Cause) -> OpResult {
        match op {
            Op::InThread { of } => thread::run_in_thread(|| self.try_op(of, pids, cause)),
            Op::EachAllocation { of, before } => self.each_allocation(of, before.as_deref(), pids, cause),
            _ => Ok(misplaced(op)),
        }
    }

    fn each_allocation(&mut self, of: &Op, before: Option<&Op>, pids: &[i32], cause: Cause) -> OpResult {
        let impossible = |why: std::io::Error| Skip(format!("fault injection: {why}"));
        let failing = FailNth::open().map_err(impossible)?;
        let mut failed = Vec::new();
        for nth in 1..MAX_ALLOCATIONS {
            self.run_before(before, pids, cause)?;
            let op = substitute_number(of.clone(), "{worker}", Some(nth));
            let act = || self.run_op(&op, pids, cause);
            let (outcome, has_failed) = failing.fail_at(nth, act).map_err(impossible)?;
            if !has_failed {
                return Ok(Outcome::Ok(Value::Tries { failed, last: Box::new(outcome) }));
            }
            failed.push(outcome);
        }
        Err(Skip("it makes too many allocations".to_owned()))
    }

    fn run_before(&mut self, before: Option<&Op>, pids: &[i32], cause: Cause) -> Result<(), Skip> {
        match before.map(|op| self.run_op(op, pids, cause)) {
            None | Some(Outcome::Ok(_)) => Ok(()),
            Some(other) => Err(Skip(format!("the operation before each try returned {other:?}"))),
        }
    }
}
