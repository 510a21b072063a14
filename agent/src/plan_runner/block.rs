//! Steps that are carried out several times, or begun at the same moment.

use scenarios::plan::{Block, Order};
use scenarios::wire::{Done, Outcome, What};

use super::state::Life;
use super::{Conductor, Stop};
use crate::ipc::Command;

/// How long before its beginning a race is announced, in microseconds: time for all to get ready.
const LEAD_US: u64 = 3_000;

/// How far apart the beginnings may be, in microseconds, and in how many steps the rounds try that out.
const SPREAD_US: u64 = 200;
const SPREADS: u64 = 8;

/// By how much a step of a race begins later than the race.
fn late_us(seed: Option<u64>, round: u64, place: u64) -> u64 {
    match seed {
        None => (round * (place + 1) * 3) % SPREADS * SPREAD_US / SPREADS,
        Some(seed) => mixed(mixed(mixed(seed).wrapping_add(round)).wrapping_add(place)) % SPREAD_US,
    }
}

/// As good as random, and always the same for the same (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

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
            let late_us = late_us(self.plan.seed, round.unwrap_or_default().into(), place as u64);
            self.enter(index, round, start_us + late_us)?;
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
        let exited = plan.steps[block.steps()].iter().filter(|step| step.op.ends_its_process());
        for step in exited {
            self.pump(|conductor| conductor.life(&step.process) == Life::Ended, None, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_distances_and_another_seed_others() {
        let distances = |seed| (0..20).map(|round| late_us(Some(seed), round, round % 3)).collect::<Vec<_>>();
        assert_eq!(distances(7), distances(7));
        assert_ne!(distances(7), distances(8));
        assert!(distances(7).iter().all(|late| *late < SPREAD_US));
    }
}
