//! Results of scenarios, and their text and colours on a terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use console::style;
use kernel::counted;
use scenarios::scenario::Scenario;
use scenarios::snapshot::DiffKind;
use scenarios::verdict::Verdict;

use crate::host::process::quoted;
use crate::host::terminal::seconds;
use crate::runner::result_word::Word;
use crate::vm::Kind;

#[derive(Debug, Clone)]
pub struct ScenarioResult {
    /// `FAMILY/NAME`.
    pub scenario: String,
    /// Verdict of the last attempt.
    pub verdict: Verdict,
    /// Duration of the last attempt, with the start of a guest.
    pub took: Duration,
    /// Kind of virtual machine that it ran on; `None` if it did not run.
    pub vm: Option<Kind>,
    /// Earlier attempts, all with a bad verdict.
    pub earlier: Vec<Attempt>,
}

/// An attempt with a bad verdict, after which the scenario was retried.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub verdict: Verdict,
    /// Duration, with the start of a guest.
    pub took: Duration,
}

impl ScenarioResult {
    /// Creates a result without a duration, a virtual machine or earlier attempts.
    pub fn new(scenario: impl Into<String>, verdict: Verdict) -> Self {
        Self { scenario: scenario.into(), verdict, took: Duration::ZERO, vm: None, earlier: Vec::new() }
    }

    pub fn family_and_name(&self) -> (&str, &str) {
        self.scenario.split_once('/').unwrap_or(("", &self.scenario))
    }

    pub fn word(&self) -> Word {
        Word::of(&self.verdict, !self.earlier.is_empty())
    }

    /// Returns the result's line and, separately, the title. `with_vm` adds the virtual machine.
    pub fn line(&self, scenario: &Scenario, with_vm: bool) -> (String, String) {
        let (_, name) = self.family_and_name();
        let word = self.word();
        let verdict = match &self.verdict {
            Verdict::Passed if self.earlier.is_empty() => String::new(),
            Verdict::Skipped(why) => format!("skipped: {why}  "),
            _ if self.earlier.is_empty() => format!("{word}  "),
            _ => format!("{word}: {}  ", self.attempts()),
        };
        let vm = self.vm.filter(|_| with_vm).map(|kind| format!(" {kind}")).unwrap_or_default();
        let time = format!("{:>6.2} s{vm}", self.took.as_secs_f64());
        let line = format!(
            "    {} {name:<32} {}  {}",
            word.coloured_mark(),
            style(time).dim(),
            word.colour().apply_to(verdict),
        );
        (line, style(&scenario.title).dim().to_string())
    }

    /// Returns the line of a KUnit or kselftest case whose name begins with `title`.
    pub fn case_line(&self, title: &str) -> String {
        let name = self.scenario.strip_prefix(title).unwrap_or(&self.scenario).trim_start_matches('/');
        let word = self.word();
        let line = format!("    {} {name}", word.coloured_mark());
        match &self.verdict {
            Verdict::Passed => line,
            Verdict::Skipped(why) => format!("{line}  {}", word.colour().apply_to(format!("skipped: {why}"))),
            _ => format!("{line}  {}", word.colour().apply_to(word)),
        }
    }

    /// Returns the result's line in a run of several columns.
    pub fn matrix_line(&self, column: &str) -> String {
        let word = self.word();
        format!("  {} {} {word} on {column}", word.coloured_mark(), self.scenario)
    }

    /// Checks whether the verdict is bad: neither passed, in the last attempt, nor skipped.
    pub fn is_bad(&self) -> bool {
        self.word().is_bad()
    }

    /// Checks whether the result has more to report than that it passed or was skipped.
    pub fn has_details(&self) -> bool {
        self.is_bad() || !self.earlier.is_empty()
    }

    /// Returns the word of each attempt, as in `failed, hung, passed`; empty if there was one.
    pub fn attempts(&self) -> String {
        if self.earlier.is_empty() {
            return String::new();
        }
        let earlier = self.earlier.iter().map(|attempt| attempt.verdict.word());
        earlier.chain([self.verdict.word()]).collect::<Vec<_>>().join(", ")
    }

    /// Returns the details of the last attempt, or of the earlier ones if the last passed. Empty if
    /// there are none.
    pub fn body(&self) -> String {
        self.body_as(Verdict::details)
    }

    fn body_as(&self, details: fn(&Verdict) -> String) -> String {
        if self.is_bad() || self.earlier.is_empty() {
            return details(&self.verdict);
        }
        let attempts = self.earlier.iter().enumerate().map(|(index, attempt)| {
            let (number, verdict) = (index + 1, &attempt.verdict);
            format!("attempt {number} {}:\n{}", verdict.word(), details(verdict).trim_end())
        });
        attempts.collect::<Vec<_>>().join("\n")
    }

    /// Returns the full report; `None` for a scenario that passed or was skipped. A `column` that
    /// is not empty is named.
    pub fn details(&self, column: &str) -> Option<String> {
        if !self.has_details() {
            return None;
        }
        let word = self.word();
        let column = if column.is_empty() { String::new() } else { format!(" on {column}") };
        let attempts = self.attempts();
        let attempts = if attempts.is_empty() { attempts } else { format!(" (attempts: {attempts})") };
        let heading = format!("{} {} {word}{column}{attempts}", word.mark(), self.scenario);
        let body = self.body_as(coloured_details);
        let body = body.trim_end().lines().map(str::to_owned);
        let body: Vec<String> = body
            .chain(accept_hint(&self.scenario, &self.verdict))
            .map(|line| format!("    {line}"))
            .collect();
        Some(format!("\n{}\n{}", word.colour().bold().apply_to(heading), body.join("\n")))
    }
}

/// Returns the exit code: a fault of the testbed (2) outweighs one of the kernel (1).
pub fn exit_code<'r>(results: impl IntoIterator<Item = &'r ScenarioResult>) -> u8 {
    results.into_iter().map(|result| result.verdict.exit_code()).max().unwrap_or(0)
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Word, usize>);

impl Tally {
    pub fn of<'r>(results: impl IntoIterator<Item = &'r ScenarioResult>) -> Self {
        let mut tally = Self::default();
        results.into_iter().for_each(|result| tally.count(result.word()));
        tally
    }

    pub fn count(&mut self, word: Word) {
        *self.0.entry(word).or_default() += 1;
    }

    /// Returns each word that occurs, with its number.
    pub fn counts(&self) -> impl Iterator<Item = (Word, usize)> {
        self.0.iter().map(|(word, count)| (*word, *count))
    }

    pub fn total(&self) -> usize {
        self.0.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts =
            self.counts().map(|(word, count)| word.colour().apply_to(format!("{count} {word}")).to_string());
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}

/// Returns the command that accepts the new trace; `None` if the verdict has another cause.
pub fn accept_hint(scenario: &str, verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Failed(failure) if failure.is_pending() => {
            Some(format!("if this is right: cargo xtask scenarios accept {}", quoted(scenario)))
        }
        _ => None,
    }
}

/// Returns the summary line: the number of results by word, and the duration if given. `noun` names
/// the items.
pub fn summary(tally: &Tally, noun: &str, took: Option<Duration>) -> String {
    let time = took.map(|took| format!(" {}", style(format!("· {}", seconds(took))).dim()));
    format!("{}: {tally}{}", counted(tally.total(), noun, &format!("{noun}s")), time.unwrap_or_default())
}

fn coloured_details(verdict: &Verdict) -> String {
    let Verdict::Failed(failure) = verdict else { return verdict.details() };
    let difference = failure.difference.iter().map(|line| match line.kind {
        DiffKind::Header => style(&line.text).cyan().to_string(),
        DiffKind::Same => line.text.clone(),
        DiffKind::Removed => style(&line.text).red().to_string(),
        DiffKind::Added => style(&line.text).green().to_string(),
    });
    failure.complaints().chain(difference).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use scenarios::snapshot::DiffLine;
    use scenarios::verdict::{Failure, Mismatch};

    use super::*;

    fn result(verdict: Verdict) -> ScenarioResult {
        ScenarioResult::new("family/name", verdict)
    }

    #[test]
    fn new_trace_has_the_command_that_accepts_it() {
        let line = |kind, text: &str| DiffLine { kind, text: text.to_owned() };
        let difference = vec![line(DiffKind::Removed, "-old"), line(DiffKind::Added, "+new")];
        let pending = Failure { difference, ..Failure::default() };
        let mismatches = vec![Mismatch { step: None, complaint: "no answer".into() }];
        let wrong = Failure { mismatches, ..pending.clone() };
        let details = |failure| {
            let details = result(Verdict::Failed(failure)).details("").unwrap();
            console::strip_ansi_codes(&details).into_owned()
        };
        let hint = "\n    if this is right: cargo xtask scenarios accept family/name";
        assert!(details(pending.clone()).ends_with(hint), "{}", details(pending));
        assert!(!details(wrong.clone()).contains("accept"), "{}", details(wrong));
    }

    #[test]
    fn scenario_that_passes_on_a_retry_is_flaky_with_its_failure() {
        let attempt = Attempt { verdict: Verdict::Hung("step 2".into()), took: Duration::ZERO };
        let retried = |verdict| ScenarioResult { earlier: vec![attempt.clone()], ..result(verdict) };
        let flaky = retried(Verdict::Passed);
        assert_eq!((exit_code([&flaky]), Tally::of([&flaky]).to_string()), (0, "1 flaky".to_owned()));
        let details = flaky.details("").unwrap();
        assert_eq!(
            console::strip_ansi_codes(&details),
            "\n~ family/name flaky (attempts: hung, passed)\n    attempt 1 hung:\n    step 2"
        );
        let failed = retried(Verdict::Crashed("Oops".into()));
        assert_eq!((exit_code([&failed]), failed.word()), (1, Word::Crashed));
        assert_eq!(failed.body(), "Oops");
    }

    #[test]
    fn summary_counts_each_word() {
        let results = [Verdict::Hung(Default::default()), Verdict::Passed, Verdict::Passed].map(result);
        let summary = summary(&Tally::of(&results), "scenario", Some(Duration::from_secs(2)));
        assert_eq!(console::strip_ansi_codes(&summary), "3 scenarios: 2 passed, 1 hung · 2.0 s");
    }
}
