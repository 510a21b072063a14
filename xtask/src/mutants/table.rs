//! Outcomes as text: a line for each hole, with its diff, and the summary.

use std::collections::{BTreeMap, BTreeSet};

use console::style;
use kernel::{Mutant, MutantSet, counted};
use scenarios::scenario::Scenario;

use super::{Judgement, Outcome, WORDS};

/// Number of scenarios that are named for a mutant.
const NAMED: usize = 8;

/// Returns `17 security/keys/key.c:12:5 f: drop-operand: a && b → a`.
pub fn line(mutant: &Mutant) -> String {
    let Mutant { id, file, function, operator, line, column, original, changed, .. } = mutant;
    let changed = if changed.is_empty() { "(nothing)" } else { changed };
    format!("{id} {file}:{line}:{column} {function}: {operator}: {original} → {changed}")
}

/// Returns a hole in the suite for a reader: the mutant, its diff, and what ran over it.
pub fn hole(
    mutant: &Mutant,
    outcome: &Outcome,
    set: &MutantSet,
    scenarios: &BTreeMap<&str, &Scenario>,
) -> String {
    let mut text = format!("{} {}\n", style(outcome.words()).red().bold(), line(mutant));
    for diff_line in set.diff(mutant).lines() {
        let styled = match diff_line.as_bytes().first() {
            Some(b'+') => style(diff_line).green(),
            Some(b'-') => style(diff_line).red(),
            _ => style(diff_line),
        };
        text.push_str(&format!("    {styled}\n"));
    }
    if let Outcome::Survived { passed } = outcome {
        let ran = passed.iter().filter_map(|name| scenarios.get(name.as_str()));
        let rules: BTreeSet<_> = ran.flat_map(|scenario| &scenario.rules).collect();
        let rules: Vec<String> = rules.into_iter().map(ToString::to_string).collect();
        let more = passed.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = passed.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        text.push_str(&format!("    passed: {named}{more}\n    rules: {}\n", rules.join(", ")));
    }
    text
}

/// Returns the numbers of each outcome: `3 survived · 40 killed`.
pub fn summary(judgements: &[Judgement]) -> String {
    let count = |words: &str| judgements.iter().filter(|it| it.outcome.words() == words).count();
    let parts = WORDS.iter().map(|words| (count(words), words)).filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, words)| format!("{count} {words}")).collect();
    format!("{}: {}", counted(judgements.len(), "mutant", "mutants"), parts.join(" · "))
}
