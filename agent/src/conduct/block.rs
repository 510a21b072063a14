//! Steps that are carried out several times, or begun at the same moment.

use scenarios::plan::{Block, LifeOp, Op, Order};
use scenarios::wire::{Done, Outcome, What};

use super::cast::Life;
use super::{Conductor, Stop};
use crate::post::Command;

/// How long before its beginning a race is announced, in microseconds: time for all to get ready.
const LEAD_US: u64 = 3_000;

/// How far apart the beginnings may be, in microseconds, and in how many steps the rounds try that out.
const SPREAD_US: u64 = 200;
const SPREADS: u64 = 8;

impl Conductor<'_> {
    /// Takes all steps of a block, as many times as it says.
    pub(super) fn take_block(&mut self, block: &Block) -> Result<(), Stop> {
        for round in 0..block.repeat {
            let round = (block.repeat > 1).then_some(round);
            match block.order {
                Order::Given => block.steps().try_for_each(|step| self.take_step(step, round))?,
                Order::Raced => self.race(block, round)?,
            }
        }
        Ok(())
    }

    /// Has all steps begun at the same moment, or nearly: who is first differs from round to round. Waits until all have ended.
    fn race(&mut self, block: &Block, round: Option<u32>) -> Result<(), Stop> {
        let start_us = self.heritage.setting.now_us() + LEAD_US;
        self.racing = block.steps().collect();
        for (place, index) in block.steps().enumerate() {
            let late = (u64::from(round.unwrap_or_default()) * (place as u64 + 1) * 3) % SPREADS;
            self.enter(index, round, start_us + late * SPREAD_US / SPREADS)?;
        }
        self.pump(
            |conductor| {
                let steps = &conductor.plan.steps;
                let lives = |index: &usize| conductor.life(&steps[*index].process) == Life::Alive;
                conductor.racing.iter().all(|index| !lives(index))
            },
            None,
            None,
        )?;
        self.racing.clear();
        self.see_off(block)
    }

    /// Tells a process of a race its part.
    fn enter(&mut self, index: usize, round: Option<u32>, at_us: u64) -> Result<(), Stop> {
        let plan = self.plan;
        let Some(step) = plan.steps.get(index) else { return Ok(()) };
        self.current = Some(index);
        let task = match self.task(&step.process, Some(index), &step.op, step.save.as_ref()) {
            Ok(_) if self.life(&step.process) != Life::Alive => {
                Err(format!("{} does not live", step.process))
            }
            task => task,
        };
        match task {
            Ok(mut task) => {
                (task.round, task.at_us) = (round, Some(at_us));
                self.tell(&step.process, &Command::Do(task), None)
            }
            Err(missing) => {
                self.racing.remove(&index);
                let begun_us = self.heritage.setting.now_us();
                let done = Done { outcome: Outcome::Skipped(missing), begun_us, elapsed_us: 0 };
                self.report(&step.process, Some(index), round, What::Done(done))
            }
        }
    }

    /// Waits for the end of those that have exited in a race.
    fn see_off(&mut self, block: &Block) -> Result<(), Stop> {
        let plan = self.plan;
        let exited =
            plan.steps[block.steps()].iter().filter(|step| matches!(step.op, Op::Life(LifeOp::Exit { .. })));
        for step in exited {
            self.pump(|conductor| conductor.life(&step.process) == Life::Ended, None, None)?;
        }
        Ok(())
    }
}
