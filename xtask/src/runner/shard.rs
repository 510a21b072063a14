//! Share of the suite for one of several machines.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use scenarios::plan::Op;
use scenarios::scenario::{Expect, Scenario};

/// The `I`-th of `N` shares, written `I/N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Counts from 0.
    index: usize,
    count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse::<usize>().ok()?, count.parse::<usize>().ok()?)));
        match numbers {
            None => Err("two numbers are expected, as in 1/3: the first of three shares".into()),
            Some((_, 0)) => Err("the number of shares must be 1 or more".into()),
            Some((index, count)) if !(1..=count).contains(&index) => {
                Err(format!("the shares are 1/{count} to {count}/{count}"))
            }
            Some((index, count)) => Ok(Self { index: index - 1, count }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl Shard {
    /// Returns the names of the shard's scenarios. Machines with the same suite divide it alike.
    pub fn of(self, suite: &[Scenario]) -> Vec<String> {
        let costs: Vec<u64> = suite.iter().map(cost_ms).collect();
        let names = suite.iter().map(|scenario| scenario.name.as_str());
        let places = divide(&names.zip(costs).collect::<Vec<_>>(), self.count);
        let own = suite.iter().zip(places).filter(|(_, place)| *place == self.index);
        own.map(|(scenario, _)| scenario.name.clone()).collect()
    }
}

/// Assigns each scenario to one of `count` shares: the longest first, each to the share with the
/// least work.
fn divide(suite: &[(&str, u64)], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..suite.len()).collect();
    order.sort_by_key(|&index| (Reverse(suite[index].1), suite[index].0));
    // If there are more shares than scenarios, some stay empty.
    let mut loads = vec![0; count.min(suite.len()).max(1)];
    let mut places = vec![0; suite.len()];
    for index in order {
        let (place, load) = loads.iter().enumerate().min_by_key(|(_, load)| **load).unwrap_or((0, &0));
        let load = load + suite[index].1;
        places[index] = place;
        loads[place] = load;
    }
    places
}

/// Cost of a scenario besides its steps: starting and ending processes, and the leak check.
const SCENARIO_MS: u64 = 50;

/// Cost of a step, and of each of its workers.
const STEP_MS: u64 = 5;

/// Estimates a scenario's duration from its steps and the waits that have to expire. Measured
/// durations are not used: they differ between machines, and a list of them would need maintenance.
fn cost_ms(scenario: &Scenario) -> u64 {
    let plan = scenario.plan();
    let steps = plan.steps.iter().zip(&scenario.expectations).enumerate();
    let costs = steps.map(|(index, (step, expectation))| {
        let rounds = plan.block_of(index).map_or(1, |block| block.repeat);
        let sits_out = match &step.op {
            Op::Wait { within_ms, .. } | Op::Await { within_ms, .. }
                if expectation.outcome == Expect::TimedOut =>
            {
                *within_ms
            }
            _ => expectation.at_least_ms.unwrap_or(0),
        };
        u64::from(rounds) * (STEP_MS * u64::from(step.count) + sits_out)
    });
    SCENARIO_MS + costs.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::runner::selection;

    #[test]
    fn shares_are_disjoint_complete_and_balanced() {
        let suite = selection::select(&[]).unwrap();
        let costs: std::collections::BTreeMap<&str, u64> =
            suite.iter().map(|one| (one.name.as_str(), cost_ms(one))).collect();
        let dearest = costs.values().max().copied().unwrap();
        for count in [1, 2, 3, 7] {
            let shares: Vec<_> = (0..count).map(|index| Shard { index, count }.of(&suite)).collect();
            let all: BTreeSet<&String> = shares.iter().flatten().collect();
            assert_eq!(all.len(), suite.len());
            assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), suite.len());
            let loads = shares.iter().map(|share| share.iter().map(|name| costs[name.as_str()]).sum::<u64>());
            let (least, most) = (loads.clone().min().unwrap(), loads.max().unwrap());
            assert!(most - least <= dearest, "{count} shares: {least} to {most}");
        }
    }

    #[test]
    fn division_is_independent_of_the_order_of_the_suite() {
        let suite = [("a", 5), ("b", 9), ("c", 5), ("d", 4)];
        assert_eq!(divide(&suite, 2), [1, 0, 1, 0]);
        let turned: Vec<_> = suite.into_iter().rev().collect();
        assert_eq!(divide(&turned, 2), [0, 1, 0, 1]);
        assert_eq!(divide(&suite, 9), [1, 0, 2, 3]);
    }

    #[test]
    fn invalid_share_is_refused_with_the_valid_ones() {
        let refused = |text: &str| text.parse::<Shard>().unwrap_err();
        assert_eq!(refused("5/4"), "the shares are 1/4 to 4/4");
        assert_eq!(refused("0/4"), "the shares are 1/4 to 4/4");
        assert!(refused("1/0").contains("1 or more"));
        for text in ["x/y", "1", "-1/2", "1/2/3", ""] {
            assert!(refused(text).contains("as in 1/3"), "{text}");
        }
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
    }
}
