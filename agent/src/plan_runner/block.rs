//! Steps that are carried out several times, or begun at the same moment.

use scenarios::plan::{Block, Order};
use scenarios::wire::{Done, Outcome, What};

use super::state::Lifecycle;
use super::{PlanError, PlanRunner};
use crate::ipc::Command;

/// How long before its beginning a race is announced, in microseconds: time for all to get ready.
const LEAD_US: u64 = 3_000;

/// How far apart the beginnings may be, in microseconds, and in how many steps the rounds try that out.
const SPREAD_US: u64 = 200;
const SPREADS: u64 = 8;

/// By how much a step of a race begins later than the race.
fn offset_us(seed: Option<u64>, round: u64, place: u64) -> u64 {
    match seed {
        None => (round * (place + 1) * 3) % SPREADS * SPREAD_US / SPREADS,
        Some(seed) => {
            splitmix64(splitmix64(splitmix64(seed).wrapping_add(round)).wrapping_add(place)) % SPREAD_US
        }
    }
}

/// As good as random, and always the same for the same (splitmix64).
fn splitmix64(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl PlanRunner<'_> {
    /// Takes all steps of a block, as many times as it says.
    pub(super) fn run_block(&mut self, block: &Block) -> Result<(), PlanError> {
        for round in 0..block.repeat {
            let round = (block.repeat > 1).then_some(round);
            match block.order {
                Order::Given => block.steps().try_for_each(|step| self.run_step(step, round))?,
                Order::Raced => self.run_race(block, round)?,
            }
        }
        Ok(())
    }

    /// Has all steps begun at the same moment, or nearly: who is first differs from round to round. Waits until all have ended.
    fn run_race(&mut self, block: &Block, round: Option<u32>) -> Result<(), PlanError> {
        let start_us = self.context.run.now_us() + LEAD_US;
        self.racing = block.steps().collect();
        for (place, index) in block.steps().enumerate() {
            let offset_us = offset_us(self.plan.seed, round.unwrap_or_default().into(), place as u64);
            self.send_race_step(index, round, start_us + offset_us)?;
        }
        self.wait_until(
            |runner| {
                let steps = &runner.plan.steps;
                let lives = |index: &usize| runner.lifecycle(&steps[*index].process) == Lifecycle::Running;
                runner.racing.iter().all(|index| !lives(index))
            },
            None,
            None,
        )?;
        self.racing.clear();
        self.wait_for_exits(block)
    }

    /// Tells a process of a race its part.
    fn send_race_step(&mut self, index: usize, round: Option<u32>, at_us: u64) -> Result<(), PlanError> {
        let plan = self.plan;
        let Some(step) = plan.steps.get(index) else { return Ok(()) };
        self.current_step = Some(index);
        let task = match self.resolve_task(&step.process, Some(index), &step.op, step.save.as_ref()) {
            Ok(_) if self.lifecycle(&step.process) != Lifecycle::Running => {
                Err(format!("{} does not live", step.process))
            }
            task => task,
        };
        match task {
            Ok(mut task) => {
                (task.round, task.at_us) = (round, Some(at_us));
                self.send_command(&step.process, &Command::Run(task), None)
            }
            Err(missing) => {
                self.racing.remove(&index);
                let begun_us = self.context.run.now_us();
                let done = Done { outcome: Outcome::Skipped(missing), begun_us, elapsed_us: 0 };
                self.report_event(&step.process, Some(index), round, What::Done(done))
            }
        }
    }

    /// Waits for the end of those that have exited in a race.
    fn wait_for_exits(&mut self, block: &Block) -> Result<(), PlanError> {
        let plan = self.plan;
        let exited = plan.steps[block.steps()].iter().filter(|step| step.op.ends_its_process());
        for step in exited {
            self.wait_until(|runner| runner.lifecycle(&step.process) == Lifecycle::Exited, None, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_distances_and_another_seed_others() {
        let distances =
            |seed| (0..20).map(|round| offset_us(Some(seed), round, round % 3)).collect::<Vec<_>>();
        assert_eq!(distances(7), distances(7));
        assert_ne!(distances(7), distances(8));
        assert!(distances(7).iter().all(|late| *late < SPREAD_US));
    }
}
