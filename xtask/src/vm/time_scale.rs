//! How patient one has to be with a guest: a kernel that checks itself at every step takes its time.

use std::time::Duration;

use scenarios::plan::{ControlOp, Op, Plan, Step};
use scenarios::scenario::{Expect, Scenario};

use crate::artifacts::image::Profile;

/// How many times longer than on a plain kernel things may take. What must take *at least* so long stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeScale(u32);

impl TimeScale {
    /// That of a plain kernel, for which deadlines are written.
    pub const PLAIN: Self = Self(1);

    /// That of a kernel built for this.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Plain => Self::PLAIN,
            Profile::Coverage => Self(2),
            Profile::Debug => Self(8),
        }
    }

    /// A deadline at this pace.
    pub fn scale(self, time: Duration) -> Duration {
        time * self.0
    }

    /// The scenario with its deadlines at this pace.
    pub fn scenario(self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        let limits = scenario.expectations.iter_mut().filter_map(|one| one.within_ms.as_mut());
        limits.for_each(|limit| self.stretch_ms(limit));
        scenario
    }

    /// The scenario's plan with its deadlines at this pace.
    pub fn plan(self, scenario: &Scenario) -> Plan {
        let mut plan = scenario.plan().clone();
        self.stretch_ms(&mut plan.deadline_ms);
        for (step, expectation) in plan.steps.iter_mut().zip(&scenario.expectations) {
            self.step(step, &expectation.outcome);
        }
        plan
    }

    /// What is to be seen *not* to happen in a time has to stay out for as long as on a plain kernel.
    fn step(self, step: &mut Step, expected: &Expect) {
        if let Op::Control(ControlOp::Wait { within_ms, .. })
        | Op::Control(ControlOp::Await { within_ms, .. }) = &mut step.op
            && *expected != Expect::TimedOut
        {
            self.stretch_ms(within_ms);
        }
    }

    fn stretch_ms(self, milliseconds: &mut u64) {
        *milliseconds = milliseconds.saturating_mul(self.0.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For how long a step waits at the pace of the debug profile, of 7 milliseconds.
    fn waits(expected: &Expect) -> u64 {
        let step = r#"{"process":"p","op":{"await":{"job":"j","within_ms":7}}}"#;
        let mut step: Step = serde_json::from_str(step).unwrap();
        TimeScale::of(Profile::Debug).step(&mut step, expected);
        match step.op {
            Op::Control(ControlOp::Await { within_ms, .. }) => within_ms,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_slow_kernel_gets_more_time_for_what_is_to_happen_and_none_for_what_is_not() {
        assert_eq!(waits(&Expect::Ok), 56);
        assert_eq!(waits(&Expect::TimedOut), 7);
    }
}
