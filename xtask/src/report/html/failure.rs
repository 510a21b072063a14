//! View of a failed verdict: its reasons, the diff, and the console with the kernel report marked.

use console::strip_ansi_codes;
use scenarios::explain::Sequence;
use scenarios::kernel_report::{KernelReportKind, message};
use scenarios::scenario::Scenario;
use scenarios::snapshot::{DiffKind, DiffLine};
use scenarios::verdict::{self, Cause, Verdict};

use super::sequence;
use crate::runner::result_word::Word;
use crate::runner::scenario_result::{ScenarioResult, accept_hint};

/// View of a verdict other than `passed`.
#[derive(PartialEq, Eq)]
pub(super) struct FailureView {
    /// Titles of the columns with this failure, separated by commas.
    pub(super) columns: String,
    pub(super) word: Word,
    /// Number of the attempt, from 1; `None` if there was only one.
    pub(super) attempt: Option<usize>,
    pub(super) plain: Vec<String>,
    pub(super) diff: Vec<DiffLine>,
    pub(super) console: Vec<ConsoleLine>,
    /// Sequence diagram of the events.
    pub(super) trace: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConsoleLine {
    pub(super) text: String,
    /// Source location of the function in the line.
    pub(super) place: Option<String>,
    /// True for lines that identify the fault.
    pub(super) marked: bool,
}

impl FailureView {
    /// Returns a view of each attempt that did not pass.
    pub(super) fn all_of(column: &str, scenario: Option<&Scenario>, report: &ScenarioResult) -> Vec<Self> {
        let earlier = report.earlier.iter().map(|attempt| &attempt.verdict);
        let all = earlier.chain([&report.verdict]).enumerate();
        let mut told: Vec<Self> = all
            .filter_map(|(index, verdict)| {
                let attempt = (!report.earlier.is_empty()).then_some(index + 1);
                Some(Self { attempt, ..Self::of(column, scenario, verdict)? })
            })
            .collect();
        if let Some(last) = told.last_mut() {
            last.plain.extend(accept_hint(&report.scenario, &report.verdict));
        }
        told
    }

    /// Returns the view of a verdict; `None` for a scenario that passed.
    fn of(column: &str, scenario: Option<&Scenario>, verdict: &Verdict) -> Option<Self> {
        let word = Word::of(verdict, false);
        let mut told = Self {
            columns: column.to_owned(),
            word,
            attempt: None,
            plain: Vec::new(),
            diff: Vec::new(),
            console: Vec::new(),
            trace: None,
        };
        let trace = match verdict {
            Verdict::Passed => return None,
            Verdict::Failed(failure) => {
                told.plain.extend(failure.complaints().flat_map(lines));
                told.diff = failure.difference.clone();
                Some(&failure.trace)
            }
            Verdict::Skipped(why) => {
                told.plain.push(why.clone());
                None
            }
            Verdict::Crashed(cause) | Verdict::Hung(cause) | Verdict::Broken(cause) => {
                told.show(cause);
                cause.trace.as_ref()
            }
        };
        told.trace =
            trace.zip(scenario).map(|(trace, scenario)| sequence::html(&Sequence::of(scenario, trace)));
        Some(told)
    }

    /// Returns a diff line's class in the style sheet.
    pub(super) fn class(line: &DiffLine) -> &'static str {
        match line.kind {
            DiffKind::Header => "at",
            DiffKind::Same => "same",
            DiffKind::Removed => "minus",
            DiffKind::Added => "plus",
        }
    }

    pub(super) fn merged(all: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for one in all {
            match merged.iter_mut().find(|other| other.is_like(&one)) {
                Some(other) => other.columns.push_str(&format!(", {}", one.columns)),
                None => merged.push(one),
            }
        }
        merged
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.word, self.attempt, &self.plain, &self.diff)
            == (other.word, other.attempt, &other.plain, &other.diff)
            && (&self.console, &self.trace) == (&other.console, &other.trace)
    }

    fn show(&mut self, cause: &Cause) {
        let log = cause.log.iter().map(|log| format!("the whole console: {}", log.display()));
        let unlocated = cause.unlocated.iter().map(|why| format!("functions without file and line: {why}"));
        self.plain.extend(cause.summary.lines().map(str::to_owned).chain(log).chain(unlocated));
        self.plain.extend(cause.printed.iter().flat_map(|printed| lines(printed.to_string())));
        self.console.extend(cause.console.iter().map(ConsoleLine::of));
    }
}

fn lines(text: String) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

impl ConsoleLine {
    fn of(line: &verdict::ConsoleLine) -> Self {
        // Terminal colours are removed.
        let text = strip_ansi_codes(&line.text).into_owned();
        let message = message(&text).trim_start();
        let marked = KernelReportKind::of(message).is_some() || message.starts_with("RIP: ");
        Self { text, place: line.place.clone(), marked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_report_is_marked_and_located() {
        let mut console: Vec<verdict::ConsoleLine> = [
            "[    1.0] all is well",
            "[    1.2][   T7] Oops: 0002 [#1] SMP",
            "[    1.2] RIP: 0010:key_put+0x1/0x2",
        ]
        .map(Into::into)
        .into();
        console[2].place = Some("security/keys/key.c:7".into());
        let log = Some("x.log".into());
        let cause = Cause { console, log, .."kernel oops: Oops: 0002".into() };
        let told = FailureView::of("6.12", None, &Verdict::Crashed(cause)).unwrap();
        assert_eq!(told.plain, ["kernel oops: Oops: 0002", "the whole console: x.log"]);
        let marked: Vec<bool> = told.console.iter().map(|line| line.marked).collect();
        assert_eq!(marked, [false, true, true]);
        assert_eq!(told.console[2].place.as_deref(), Some("security/keys/key.c:7"));
    }

    #[test]
    fn equal_failures_of_several_columns_are_merged() {
        let told = |column: &str, why: &str| FailureView::of(column, None, &Verdict::Broken(why.into()));
        let all = [told("6.12", "no kernel"), told("7.3", "no kernel"), told("um", "no memory")];
        let merged = FailureView::merged(all.into_iter().flatten());
        let columns: Vec<_> = merged.iter().map(|told| told.columns.as_str()).collect();
        assert_eq!(columns, ["6.12, 7.3", "um"]);
    }
}
