//! Time scale for deadlines: kernels with debug checks or coverage are slower.

use std::time::Duration;

use scenarios::plan::{Op, Plan, Step};
use scenarios::scenario::{Expect, Scenario};

use crate::artifacts::image::Profile;

/// Factor for maximum times, relative to a plain kernel. Minimum times are not scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeScale(u32);

impl TimeScale {
    /// Scale of a plain kernel, for which deadlines are written.
    pub const PLAIN: Self = Self(1);

    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Plain => Self::PLAIN,
            Profile::Coverage | Profile::Kcsan | Profile::Mutants => Self(2),
            Profile::Debug => Self(8),
        }
    }

    pub fn scale(self, time: Duration) -> Duration {
        time * self.0
    }

    pub fn scenario(self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        let limits = scenario.expectations.iter_mut().filter_map(|one| one.within_ms.as_mut());
        limits.for_each(|limit| self.stretch_ms(limit));
        scenario
    }

    pub fn plan(self, scenario: &Scenario) -> Plan {
        let mut plan = scenario.plan().clone();
        self.stretch_ms(&mut plan.deadline_ms);
        for (step, expectation) in plan.steps.iter_mut().zip(&scenario.expectations) {
            self.step(step, &expectation.outcome);
        }
        plan
    }

    /// Scales a step's deadline. A step that is expected to time out keeps its own.
    fn step(self, step: &mut Step, expected: &Expect) {
        if let Op::Wait { within_ms, .. } | Op::Await { within_ms, .. } = &mut step.op
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

    /// Returns how long a step of 7 milliseconds waits on the scale of the debug profile.
    fn waits(expected: &Expect) -> u64 {
        let step = r#"{"process":"p","op":{"await":{"job":"j","within_ms":7}}}"#;
        let mut step: Step = serde_json::from_str(step).unwrap();
        TimeScale::of(Profile::Debug).step(&mut step, expected);
        match step.op {
            Op::Await { within_ms, .. } => within_ms,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn expected_timeout_is_not_scaled() {
        assert_eq!(waits(&Expect::Ok), 56);
        assert_eq!(waits(&Expect::TimedOut), 7);
    }
}
