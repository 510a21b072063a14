//! Verdict on a scenario that has run.

mod cause;
pub(crate) mod expectations;
mod mismatch;
#[cfg(test)]
mod tests;

use std::{fmt, io};

pub use cause::{Cause, ConsoleLine};
use expectations::mismatches;
pub use mismatch::{FailedStep, Mismatch};

use crate::{
    kernel_report::{FailureKind, begun_by},
    scenario::Scenario,
    snapshot::{self, DiffLine},
    trace::Trace,
    wire::{Completion, Event, Finished, Printed},
};

/// Verdict on a scenario. None is ever counted as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The run agrees with its expectations and its snapshot.
    Passed,
    /// The run differs.
    Failed(Failure),
    /// The kernel reported an error.
    Crashed(Cause),
    /// The run did not end in time.
    Hung(Cause),
    /// A fault of the testbed.
    Broken(Cause),
    /// The run was skipped, for this reason.
    Skipped(String),
}

/// Differences between a run and the scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Differences from the expectations.
    pub mismatches: Vec<Mismatch>,
    /// Keys that the scenario left behind, as /proc/keys shows them.
    pub left: Vec<String>,
    /// Diff against the snapshot, or the trace if there is no snapshot.
    pub difference: Vec<DiffLine>,
    pub trace: Trace,
    /// What the scenario's programs have printed.
    pub printed: Vec<Printed>,
}

impl Failure {
    /// Returns true if only the trace differs. It is then pending beside the snapshot.
    pub fn is_pending(&self) -> bool {
        self.mismatches.is_empty() && self.left.is_empty() && !self.difference.is_empty()
    }

    /// Returns a line for each difference that is not one of the trace, and what the programs have
    /// printed.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        let left = self.left.iter().map(|key| format!("left behind: {key}"));
        let printed = self.printed.iter().map(ToString::to_string);
        self.mismatches.iter().map(ToString::to_string).chain(left).chain(printed)
    }
}

impl Verdict {
    /// Returns `passed`, `failed`, `crashed`, `hung`, `broken` or `skipped`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Crashed(_) => FailureKind::Crashed.word(),
            Self::Hung(_) => FailureKind::Hung.word(),
            Self::Broken(_) => FailureKind::Broken.word(),
            Self::Skipped(_) => "skipped",
        }
    }

    /// Returns details beyond the word. May be empty.
    pub fn details(&self) -> String {
        match self {
            Self::Passed => String::new(),
            Self::Failed(failure) => failure.to_string(),
            Self::Crashed(cause) | Self::Hung(cause) | Self::Broken(cause) => cause.to_string(),
            Self::Skipped(why) => why.clone(),
        }
    }

    /// Returns the details in one line; empty if there are none.
    pub fn summary(&self) -> String {
        let said = match self {
            Self::Crashed(cause) | Self::Hung(cause) | Self::Broken(cause) => cause.summary.clone(),
            Self::Passed | Self::Failed(_) | Self::Skipped(_) => self.details(),
        };
        said.lines().next().unwrap_or_default().to_owned()
    }

    /// Returns the exit code of a run of many scenarios in which this is the worst verdict.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Passed | Self::Skipped(_) => 0,
            Self::Failed(_) | Self::Crashed(_) | Self::Hung(_) => 1,
            Self::Broken(_) => 2,
        }
    }

    /// Returns the exit code of a command for this scenario alone, for which a skipped scenario is
    /// an error.
    pub fn exit_code_alone(&self) -> u8 {
        match self {
            Self::Skipped(_) => 2,
            other => other.exit_code(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let difference = self.difference.iter().map(|line| line.text.clone());
        let lines: Vec<String> = self.complaints().chain(difference).collect();
        out.write_str(&lines.join("\n"))
    }
}

/// The process, and its last lines, indented.
impl fmt::Display for Printed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.text.lines().collect();
        let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        let part = if last.len() < lines.len() { ", at the end" } else { "" };
        write!(out, "{} printed{part}:", self.process)?;
        last.iter().try_for_each(|line| write!(out, "\n  │ {}", shown(line)))
    }
}

/// The most lines of a program's output that are shown.
const SHOWN_LINES: usize = 20;

/// Returns a line with its control characters escaped. A run of NUL, such as a hole in a file, is one.
fn shown(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    chars.dedup_by(|next, before| (*next, *before) == ('\0', '\0'));
    let escape =
        |c: char| if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.into() };
    chars.into_iter().map(escape).collect()
}

impl FailureKind {
    pub fn verdict(self, said: Cause) -> Verdict {
        match self {
            Self::Crashed => Verdict::Crashed(said),
            Self::Hung => Verdict::Hung(said),
            Self::Broken => Verdict::Broken(said),
        }
    }
}

/// Judges a scenario that the guest has finished. If every expectation holds and only the trace
/// differs from its snapshot, the trace is put beside it for `cargo insta review`. An earlier
/// pending one is removed.
pub fn judge(scenario: &Scenario, events: &[Event], finished: &Finished) -> io::Result<Verdict> {
    // The pending trace of an earlier run is not this run's.
    snapshot::withdraw(scenario)?;
    let verdict = compare(scenario, events, finished)?;
    if let Verdict::Failed(failure) = &verdict
        && failure.is_pending()
    {
        snapshot::propose(scenario, &failure.trace.to_string())?;
    }
    Ok(verdict)
}

/// Judges a scenario as [`judge`] does, and writes nothing: a kernel that is broken on purpose
/// proposes no trace.
pub fn compare(scenario: &Scenario, events: &[Event], finished: &Finished) -> io::Result<Verdict> {
    let trace = Trace::of_scenario(scenario, events);
    if let Some(verdict) = kernel_fault(finished) {
        return Ok(verdict);
    }
    let hung = |why: String| {
        let printed = finished.printed.clone();
        Verdict::Hung(Cause { trace: Some(trace.clone()), printed, ..why.into() })
    };
    match &finished.completion {
        Completion::Complete => {}
        Completion::Deadline { waiting } => return Ok(hung(deadline(scenario, waiting))),
        Completion::Unkillable { who } => {
            return Ok(hung(format!("SIGKILL does not end {}", who.join(", "))));
        }
    }
    let mismatches = mismatches(scenario, events);
    let left = finished.left.iter().map(|key| format!("{} {}", key.kind, key.summary)).collect();
    let difference = snapshot::compare(scenario, &trace.to_string())?;
    if mismatches.is_empty() && finished.left.is_empty() && difference.is_empty() {
        return Ok(Verdict::Passed);
    }
    let printed = finished.printed.clone();
    Ok(Verdict::Failed(Failure { mismatches, left, difference, trace, printed }))
}

/// Taint bits of a kernel that oopsed (D) or warned (W).
const ERROR_TAINTS: u64 = 1 << 7 | 1 << 9;

/// Taint bit of a kernel with a lockup (L).
const LOCKUP_TAINT: u64 = 1 << 14;

/// Returns the verdict of a tainted kernel: that of its first report, as on the console.
fn kernel_fault(finished: &Finished) -> Option<Verdict> {
    let tainted_as = match finished.taint {
        taint if taint & ERROR_TAINTS != 0 => FailureKind::Crashed,
        taint if taint & LOCKUP_TAINT != 0 => FailureKind::Hung,
        _ => return None,
    };
    let (kind, summary) = match finished.log.iter().find_map(|line| begun_by(line)) {
        Some(report) => (report.kind.failure(), report.to_string()),
        None => (tainted_as, format!("the kernel is tainted: {:#x}", finished.taint)),
    };
    let console = finished.log.iter().map(|line| line.as_str().into()).collect();
    Some(kind.verdict(Cause { console, ..summary.into() }))
}

fn deadline(scenario: &Scenario, waiting: &[usize]) -> String {
    let steps: Vec<String> =
        waiting.iter().map(|index| FailedStep::of(scenario, *index).to_string()).collect();
    let limit = scenario.plan().deadline_ms;
    format!("after {limit} ms these had not ended: {}", steps.join("; "))
}
