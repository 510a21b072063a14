//! What is told of a verdict that is not `passed`: its reasons, the diff, the console with the kernel's report marked.

use console::strip_ansi_codes;
use scenarios::explain::Sequence;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use super::sequence;
use crate::debug::symbolize::PLACE;
use crate::runner::result::{ScenarioResult, mark};
use crate::session::{CONSOLE_BAR, UNTIL_THEN};
use crate::vm::KernelReportKind;

/// What there is to tell.
#[derive(PartialEq, Eq)]
pub(super) struct FailureView {
    /// Where it went so, with commas between several.
    pub(super) columns: String,
    pub(super) word: &'static str,
    pub(super) mark: &'static str,
    /// Which attempt it was, from 1, if it was run again.
    pub(super) attempt: Option<usize>,
    pub(super) plain: Vec<String>,
    pub(super) diff: Vec<DiffLine>,
    pub(super) console: Vec<ConsoleLine>,
    /// What happened, drawn.
    pub(super) story: Option<String>,
}

/// A line of a diff.
#[derive(PartialEq, Eq)]
pub(super) struct DiffLine {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// A line of the console.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConsoleLine {
    pub(super) text: String,
    /// Where in the source its function is.
    pub(super) place: Option<String>,
    /// Whether it says what is wrong.
    pub(super) marked: bool,
}

impl FailureView {
    /// What there is to tell of each attempt.
    pub(super) fn all_of(column: &str, scenario: Option<&Scenario>, report: &ScenarioResult) -> Vec<Self> {
        let earlier = report.earlier.iter().map(|attempt| &attempt.verdict);
        let all = earlier.chain([&report.verdict]).enumerate();
        let told = all.filter_map(|(index, verdict)| {
            let attempt = (!report.earlier.is_empty()).then_some(index + 1);
            Some(Self { attempt, ..Self::of(column, scenario, verdict)? })
        });
        told.collect()
    }

    /// None for a scenario that passed.
    fn of(column: &str, scenario: Option<&Scenario>, verdict: &Verdict) -> Option<Self> {
        let word = verdict.word();
        let mut told = Self {
            columns: column.to_owned(),
            word,
            mark: mark(word),
            attempt: None,
            plain: Vec::new(),
            diff: Vec::new(),
            console: Vec::new(),
            story: None,
        };
        let story = match verdict {
            Verdict::Passed => return None,
            Verdict::Failed(failure) => {
                told.plain.clone_from(&failure.mismatches);
                told.plain.extend(failure.left.iter().map(|key| format!("left behind: {key}")));
                told.diff = failure.difference.iter().flat_map(|text| text.lines()).map(diff_line).collect();
                Some(failure.trace.as_str())
            }
            Verdict::Skipped(why) | Verdict::Broken(why) => {
                told.say(why);
                None
            }
            Verdict::Crashed(said) | Verdict::Hung(said) => {
                let (said, story) = until_then(said, verdict);
                told.say(said);
                story
            }
        };
        told.story =
            story.zip(scenario).map(|(story, scenario)| sequence::html(&Sequence::of(scenario, story)));
        Some(told)
    }

    /// The same, where the same went wrong on several columns: told once.
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
            && (&self.console, &self.story) == (&other.console, &other.story)
    }

    /// Lines of a console stand apart from what the testbed says. Without any, all but the first line is the kernel's own log.
    fn say(&mut self, said: &str) {
        let lines: Vec<&str> = said.trim().lines().collect();
        if lines.iter().any(|line| line.starts_with(CONSOLE_BAR)) {
            for line in lines {
                match line.strip_prefix(CONSOLE_BAR) {
                    Some(line) => self.console.push(console_line(line)),
                    None => self.plain.push(line.trim().to_owned()),
                }
            }
        } else if let Some((first, rest)) = lines.split_first() {
            if self.word == "crashed" {
                self.console = lines.iter().map(|line| console_line(line)).collect();
            } else {
                self.plain.push((*first).to_owned());
                self.console = rest.iter().map(|line| console_line(line)).collect();
            }
        }
    }
}

/// What is said, and the story that belongs to it. A scenario that hung by itself, in a kernel that goes on, has no console to tell of.
fn until_then<'s>(said: &'s str, verdict: &Verdict) -> (&'s str, Option<&'s str>) {
    let by_itself = matches!(verdict, Verdict::Hung(_)) && !said.contains(CONSOLE_BAR);
    let split = said.split_once(UNTIL_THEN).or_else(|| said.split_once('\n').filter(|_| by_itself));
    split.map_or((said, None), |(said, story)| (said, Some(story)))
}

fn diff_line(line: &str) -> DiffLine {
    let is_head = line.starts_with("+++ ") || line.starts_with("--- ");
    let kind = match line.as_bytes().first() {
        _ if is_head => "at",
        Some(b'+') => "plus",
        Some(b'-') => "minus",
        Some(b'@') => "at",
        _ => "same",
    };
    DiffLine { kind, text: line.to_owned() }
}

fn console_line(line: &str) -> ConsoleLine {
    // Colours are for terminals.
    let line = strip_ansi_codes(line);
    let (text, place) = match line.split_once(PLACE) {
        Some((text, place)) => (text, Some(place.to_owned())),
        None => (&*line, None),
    };
    let message = without_stamp(text);
    let marked = KernelReportKind::of(message).is_some() || message.starts_with("RIP: ");
    ConsoleLine { text: text.to_owned(), place, marked }
}

/// What follows `[    1.234567] ` and its like.
fn without_stamp(line: &str) -> &str {
    let stripped = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match stripped {
        Some((stamp, rest)) if stamp.trim().starts_with(|c: char| c.is_ascii_digit() || "TC".contains(c)) => {
            without_stamp(rest.trim_start())
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_report_is_marked_and_its_functions_are_placed() {
        let said = "kernel oops: Oops: 0002\n  │ [    1.0] all is well\n  │ [    1.2][   T7] Oops: 0002 [#1] SMP\n  │ \
                    [    1.2] RIP: 0010:key_put+0x1/0x2  ← security/keys/key.c:7\n  the whole console: x.log\nuntil then:\n";
        let told = FailureView::of("6.12", None, &Verdict::Crashed(said.into())).unwrap();
        assert_eq!(told.plain, ["kernel oops: Oops: 0002", "the whole console: x.log"]);
        let marked: Vec<bool> = told.console.iter().map(|line| line.marked).collect();
        assert_eq!(marked, [false, true, true]);
        assert_eq!(told.console[2].place.as_deref(), Some("security/keys/key.c:7"));
    }

    #[test]
    fn a_complaint_without_a_console_is_a_log_throughout() {
        let told = FailureView::of("6.12", None, &Verdict::Crashed("WARNING: x\nmore".into())).unwrap();
        assert_eq!((told.plain.len(), told.console.len()), (0, 2));
        assert!(told.console[0].marked);
    }

    #[test]
    fn what_went_wrong_alike_on_several_columns_is_told_once() {
        let told = |column: &str, why: &str| FailureView::of(column, None, &Verdict::Broken(why.into()));
        let all = [told("6.12", "no kernel"), told("6.1", "no kernel"), told("um", "no memory")];
        let merged = FailureView::merged(all.into_iter().flatten());
        let columns: Vec<_> = merged.iter().map(|told| told.columns.as_str()).collect();
        assert_eq!(columns, ["6.12, 6.1", "um"]);
    }
}
