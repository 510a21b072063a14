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
use crate::runner::word::Word;
use crate::vm::Kind;

/// Result of a scenario.
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

/// Results of a column: one kernel, one profile, one choice of virtual machines.
#[derive(Debug, Clone)]
pub struct Column {
    /// Title that distinguishes the column from the others; empty if it is the only one.
    pub title: String,
    /// In the suite's order.
    pub reports: Vec<ScenarioResult>,
    /// The cause of missing verdicts; `None` if there are none missing.
    pub lost: Option<String>,
}

impl ScenarioResult {
    /// Returns the word for the result.
    pub fn word(&self) -> Word {
        Word::of(&self.verdict, !self.earlier.is_empty())
    }

    /// Returns the result's line and, separately, the title. `with_vm` adds the virtual machine.
    pub fn line(&self, scenario: &Scenario, with_vm: bool) -> (String, String) {
        let (_, name) = self.scenario.split_once('/').unwrap_or(("", &self.scenario));
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

    /// Returns the body with the details of verdicts in this form.
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

    /// Returns the command that accepts the new trace; `None` if the verdict has another cause.
    pub fn accept_hint(&self) -> Option<String> {
        accept_hint(&self.scenario, &self.verdict)
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
        let body: Vec<String> = body.chain(self.accept_hint()).map(|line| format!("    {line}")).collect();
        Some(format!("\n{}\n{}", word.colour().bold().apply_to(heading), body.join("\n")))
    }
}

impl Column {
    /// Counts the results by word.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.reports.iter().for_each(|report| tally.count(report.word()));
        tally
    }

    /// Returns the exit code: a fault of the testbed (2) outweighs one of the kernel (1).
    pub fn exit_code(&self) -> u8 {
        let codes = self.reports.iter().map(|report| report.verdict.exit_code());
        let lost = self.lost.as_ref().map(|_| 2);
        codes.chain(lost).max().unwrap_or(0)
    }
}

/// Number of results by word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Word, usize>);

impl Tally {
    /// Counts one more result with this word.
    pub fn count(&mut self, word: Word) {
        *self.0.entry(word).or_default() += 1;
    }

    /// Returns each word that occurs, with its number.
    pub fn counts(&self) -> impl Iterator<Item = (Word, usize)> {
        self.0.iter().map(|(word, count)| (*word, *count))
    }

    /// Returns the total number of results.
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
pub fn summary(column: &Column, noun: &str, took: Option<Duration>) -> String {
    let tally = column.tally();
    let time = took.map(|took| format!(" {}", style(format!("· {}", seconds(took))).dim()));
    format!("{}: {tally}{}", counted(tally.total(), noun, &format!("{noun}s")), time.unwrap_or_default())
}

/// Returns a verdict's details, with colours in the diff.
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

    fn column(verdicts: &[Verdict]) -> Column {
        let report = |verdict: &Verdict| ScenarioResult {
            scenario: "family/name".into(),
            verdict: verdict.clone(),
            took: Duration::ZERO,
            vm: None,
            earlier: Vec::new(),
        };
        Column { title: String::new(), reports: verdicts.iter().map(report).collect(), lost: None }
    }

    #[test]
    fn exit_code_differs_for_failed_and_broken() {
        let [skipped, hung, broken] = [
            Verdict::Skipped(String::new()),
            Verdict::Hung(Default::default()),
            Verdict::Broken(Default::default()),
        ];
        assert_eq!(column(&[Verdict::Passed, skipped]).exit_code(), 0);
        assert_eq!(column(&[hung.clone(), Verdict::Passed]).exit_code(), 1);
        assert_eq!(column(&[broken, hung]).exit_code(), 2);
        assert_eq!(Column { lost: Some("no kernel".into()), ..column(&[Verdict::Passed]) }.exit_code(), 2);
    }

    #[test]
    fn new_trace_has_the_command_that_accepts_it() {
        let line = |kind, text: &str| DiffLine { kind, text: text.to_owned() };
        let difference = vec![line(DiffKind::Removed, "-old"), line(DiffKind::Added, "+new")];
        let pending = Failure { difference, ..Failure::default() };
        let mismatches = vec![Mismatch { step: None, complaint: "no answer".into() }];
        let wrong = Failure { mismatches, ..pending.clone() };
        let details = |failure| {
            let details = column(&[Verdict::Failed(failure)]).reports[0].details("").unwrap();
            console::strip_ansi_codes(&details).into_owned()
        };
        let hint = "\n    if this is right: cargo xtask scenarios accept family/name";
        assert!(details(pending.clone()).ends_with(hint), "{}", details(pending));
        assert!(!details(wrong.clone()).contains("accept"), "{}", details(wrong));
    }

    #[test]
    fn scenario_that_passes_on_a_retry_is_flaky_with_its_failure() {
        let retried = |verdict| {
            let mut column = column(&[verdict]);
            let verdict = Verdict::Hung("step 2".into());
            column.reports[0].earlier.push(Attempt { verdict, took: Duration::ZERO });
            column
        };
        let flaky = retried(Verdict::Passed);
        assert_eq!((flaky.exit_code(), flaky.tally().to_string()), (0, "1 flaky".to_owned()));
        let details = flaky.reports[0].details("").unwrap();
        assert_eq!(
            console::strip_ansi_codes(&details),
            "\n~ family/name flaky (attempts: hung, passed)\n    attempt 1 hung:\n    step 2"
        );
        let failed = retried(Verdict::Crashed("Oops".into()));
        assert_eq!((failed.exit_code(), failed.reports[0].word()), (1, Word::Crashed));
        assert_eq!(failed.reports[0].body(), "Oops");
    }

    #[test]
    fn summary_counts_each_word() {
        let column = column(&[Verdict::Hung(Default::default()), Verdict::Passed, Verdict::Passed]);
        let summary = console::strip_ansi_codes(&summary(&column, "scenario", Some(Duration::from_secs(2))))
            .into_owned();
        assert_eq!(summary, "3 scenarios: 2 passed, 1 hung · 2.0 s");
    }
}
