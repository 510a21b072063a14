//! Order of the scenarios that judge a mutant: those that killed its neighbours, then the quick ones.

use std::collections::BTreeMap;

use kernel::Mutant;

/// Which scenarios have killed mutants where.
#[derive(Debug, Default)]
pub struct History {
    of_line: BTreeMap<(String, usize), BTreeMap<String, usize>>,
    of_function: BTreeMap<(String, String), BTreeMap<String, usize>>,
}

impl History {
    /// Records that a scenario has killed a mutant.
    pub fn record(&mut self, mutant: &Mutant, scenario: &str) {
        let line = self.of_line.entry((mutant.file.clone(), mutant.line)).or_default();
        *line.entry(scenario.to_owned()).or_default() += 1;
        let function = self.of_function.entry((mutant.file.clone(), mutant.function.clone())).or_default();
        *function.entry(scenario.to_owned()).or_default() += 1;
    }

    /// Sorts scenarios, given with their usual seconds, in the order in which they judge a mutant.
    pub fn sorted<'s>(
        &self,
        mutant: &Mutant,
        scenarios: impl Iterator<Item = (&'s str, f64)>,
    ) -> Vec<&'s str> {
        let line = self.of_line.get(&(mutant.file.clone(), mutant.line));
        let function = self.of_function.get(&(mutant.file.clone(), mutant.function.clone()));
        let kills = |of: Option<&BTreeMap<String, usize>>, name: &str| {
            of.and_then(|of| of.get(name)).copied().unwrap_or(0)
        };
        let mut all: Vec<(&str, f64)> = scenarios.collect();
        all.sort_by(|(one, one_seconds), (other, other_seconds)| {
            let of = |name: &str| (kills(line, name), kills(function, name));
            of(other).cmp(&of(one)).then(one_seconds.total_cmp(other_seconds)).then(one.cmp(other))
        });
        all.into_iter().map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::selection::tests::set;

    #[test]
    fn killers_of_the_line_come_before_those_of_the_function_and_quick_ones_before_slow_ones() {
        let set = set();
        let [one, other] = [&set.mutants[0], &set.mutants[1]];
        let scenarios = [("slow", 2.0), ("quick", 0.1), ("of-function", 3.0), ("of-line", 4.0)];
        let mut history = History::default();
        assert_eq!(history.sorted(one, scenarios.into_iter()), ["quick", "slow", "of-function", "of-line"]);
        history.record(other, "of-function");
        history.record(other, "of-function");
        history.record(one, "of-line");
        assert_eq!(history.sorted(one, scenarios.into_iter()), ["of-line", "of-function", "quick", "slow"]);
    }
}
