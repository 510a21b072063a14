//! How patient one has to be with a guest: a kernel that checks itself at every step takes its time.

use std::time::Duration;

use scenarios::plan::{Op, Plan};
use scenarios::scenario::Scenario;

use crate::image::Profile;

/// How many times longer than on a plain kernel things may take. What must take *at least* so long stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(u32);

impl Pace {
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
    pub fn stretch(self, time: Duration) -> Duration {
        time * self.0
    }

    /// The plan with its deadlines at this pace.
    pub fn plan(self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        self.stretch_ms(&mut plan.deadline_ms);
        for step in &mut plan.steps {
            if let Op::Wait { within_ms, .. } | Op::Await { within_ms, .. } = &mut step.op {
                self.stretch_ms(within_ms);
            }
        }
        plan
    }

    /// The scenario with what it expects to happen in time at this pace.
    pub fn scenario(self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        let limits = scenario.expectations.iter_mut().filter_map(|one| one.within_ms.as_mut());
        limits.for_each(|limit| self.stretch_ms(limit));
        scenario
    }

    fn stretch_ms(self, milliseconds: &mut u64) {
        *milliseconds = milliseconds.saturating_mul(self.0.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_kernel_gets_more_time_for_the_plan_and_for_what_it_waits_for() {
        let plan = r#"{"name":"f/n","deadline_ms":100,"processes":[],"steps":[
{"process":"p","op":{"await":{"job":"j","within_ms":7}}}]}"#;
        let plan = Pace::of(Profile::Debug).plan(&serde_json::from_str(plan).unwrap());
        assert_eq!(plan.deadline_ms, 800);
        assert!(matches!(plan.steps[0].op, Op::Await { within_ms: 56, .. }));
    }
}
