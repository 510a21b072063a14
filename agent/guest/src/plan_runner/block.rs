//! Repeated and raced steps.

use scenarios::plan::{Block, Order};
use scenarios::wire::EventKind;

use super::state::Lifecycle;
use super::{PlanRunner, Result};
use crate::ipc::Command;

/// Lead of the message to a race's processes over its start, in microseconds.
const LEAD_US: u64 = 3_000;

/// Largest offset between the starts of a race, in microseconds, and how many offsets the rounds try.
const SPREAD_US: u64 = 200;
const SPREADS: u64 = 8;

/// The offset of a step's start from the start of the race.
fn offset_us(seed: Option<u64>, round: u64, position: u64) -> u64 {
    match seed {
        None => (round * (position + 1) * 3) % SPREADS * SPREAD_US / SPREADS,
        Some(seed) => {
            splitmix64(splitmix64(splitmix64(seed).wrapping_add(round)).wrapping_add(position)) % SPREAD_US
        }
    }
}

/// One step of the splitmix64 generator: pseudo-random, and the same for the same number.
fn splitmix64(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl PlanRunner<'_> {
    pub(super) fn run_block(&mut self, block: &Block) -> Result<()> {
        for round in 0..block.repeat {
            let round = (block.repeat > 1).then_some(round);
            match block.order {
                Order::Given => block.steps().try_for_each(|step| self.run_step(step, round))?,
                Order::Raced => self.run_race(block, round)?,
            }
        }
        Ok(())
    }

    /// Starts all steps at nearly the same moment, with offsets that differ from round to round. Waits for
    /// their results.
    fn run_race(&mut self, block: &Block, round: Option<u32>) -> Result<()> {
        let start_us = self.context.run.now_us() + LEAD_US;
        self.racing = block.steps().collect();
        for (position, index) in block.steps().enumerate() {
            let offset_us = offset_us(self.plan.seed, round.unwrap_or_default().into(), position as u64);
            self.send_race_step(index, round, start_us + offset_us)?;
        }
        self.wait_for(|runner| {
            let process = |index: &usize| &runner.plan.steps[*index].process;
            runner.racing.iter().all(|index| runner.lifecycle(process(index)) != Lifecycle::Running)
        })?;
        self.racing.clear();
        self.wait_for_exits(block)
    }

    fn send_race_step(&mut self, index: usize, round: Option<u32>, at_us: u64) -> Result<()> {
        let plan = self.plan;
        let Some(step) = plan.steps.get(index) else { return Ok(()) };
        self.current_step = Some(index);
        let task = match self.resolve_task(&step.process, Some(index), &step.op, step.save.as_ref()) {
            Ok(_) if self.lifecycle(&step.process) != Lifecycle::Running => {
                Err(format!("{} is not running", step.process))
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
                let done = self.skipped(missing);
                self.report_event(&step.process, Some(index), round, EventKind::Done(done))
            }
        }
    }

    /// Waits for the exits of processes whose step of the race ends them.
    fn wait_for_exits(&mut self, block: &Block) -> Result<()> {
        let plan = self.plan;
        let exited = plan.steps[block.steps()].iter().filter(|step| step.op.ends_its_process());
        for step in exited {
            self.wait_for(|runner| runner.lifecycle(&step.process) == Lifecycle::Exited)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_determines_the_delays() {
        let distances =
            |seed| (0..20).map(|round| offset_us(Some(seed), round, round % 3)).collect::<Vec<_>>();
        assert_eq!(distances(7), distances(7));
        assert_ne!(distances(7), distances(8));
        assert!(distances(7).iter().all(|late| *late < SPREAD_US));
    }
}
