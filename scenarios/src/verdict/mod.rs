//! Verdict on a scenario that has run.

pub(crate) mod expectations;
#[cfg(test)]
mod tests;

use std::io;

use expectations::mismatches;

use crate::{
    scenario::Scenario,
    snapshot::{self, Comparison},
    trace::Trace,
    wire::{Completion, Event, Finished},
};

/// Verdict on a scenario. None is ever counted as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It went as its expectations and its snapshot say.
    Passed,
    /// It went otherwise.
    Failed(Failure),
    /// The kernel oopsed, panicked or complained: the report.
    Crashed(String),
    /// It did not come to its end: what it waited for.
    Hung(String),
    /// The testbed's own fault.
    Broken(String),
    /// It was not run: why.
    Skipped(String),
}

/// Differences between a run and the scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Steps that did not go as they say, one line each.
    pub mismatches: Vec<String>,
    /// Keys that the scenario left behind, as /proc/keys shows them.
    pub left: Vec<String>,
    /// Unified diff against the snapshot, or a note that there is no snapshot.
    pub difference: Option<String>,
    /// The whole trace.
    pub trace: String,
}

impl Failure {
    /// True if only the trace differs. It is then pending beside the snapshot.
    pub fn is_pending(&self) -> bool {
        self.mismatches.is_empty() && self.left.is_empty() && self.difference.is_some()
    }
}

impl Verdict {
    /// `passed`, `failed`, `crashed`, `hung`, `broken` or `skipped`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Crashed(_) => "crashed",
            Self::Hung(_) => "hung",
            Self::Broken(_) => "broken",
            Self::Skipped(_) => "skipped",
        }
    }

    /// Details beyond the word. May be empty.
    pub fn details(&self) -> String {
        match self {
            Self::Passed => String::new(),
            Self::Failed(failure) => failure.to_string(),
            Self::Crashed(why) | Self::Hung(why) | Self::Broken(why) | Self::Skipped(why) => why.clone(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.mismatches.iter().cloned();
        let left = self.left.iter().map(|key| format!("left behind: {key}"));
        let lines: Vec<String> = lines.chain(left).chain(self.difference.clone()).collect();
        out.write_str(&lines.join("\n"))
    }
}

/// Judges a scenario that the guest has finished. A trace that differs from its snapshot, though every expectation holds, is
/// put beside it for `cargo insta review`. An earlier one that is pending is removed.
///
/// # Errors
/// When the snapshot can't be read, or the pending one can't be written.
pub fn judge(scenario: &Scenario, events: &[Event], finished: &Finished) -> io::Result<Verdict> {
    let trace = Trace::of_scenario(scenario, events).to_string();
    // What an earlier run has proposed is not this run's trace.
    snapshot::withdraw(scenario)?;
    if let Some(report) = crash(finished) {
        return Ok(Verdict::Crashed(report));
    }
    match &finished.completion {
        Completion::Complete => {}
        Completion::Deadline { waiting } => return Ok(Verdict::Hung(hung(scenario, waiting, &trace))),
        Completion::Unkillable { who } => {
            return Ok(Verdict::Hung(format!("SIGKILL does not end {}\n{trace}", who.join(", "))));
        }
    }
    let mismatches = mismatches(scenario, events);
    let left = finished.left.iter().map(|key| format!("{} {}", key.kind, key.summary)).collect();
    let sound = mismatches.is_empty() && finished.left.is_empty();
    let difference = match snapshot::compare(scenario, &trace)? {
        Comparison::Same => None,
        Comparison::Differs(difference) => {
            if sound {
                snapshot::propose(scenario, &trace)?;
            }
            Some(difference)
        }
    };
    if sound && difference.is_none() {
        return Ok(Verdict::Passed);
    }
    Ok(Verdict::Failed(Failure { mismatches, left, difference, trace }))
}

/// Taint bits that a kernel gets from complaining: D (it oopsed), W (it warned), L (a lockup).
const FAULT_TAINTS: u64 = 1 << 7 | 1 << 9 | 1 << 14;

fn crash(finished: &Finished) -> Option<String> {
    (finished.taint & FAULT_TAINTS != 0).then(|| {
        let log = finished.log.join("\n");
        if log.is_empty() { format!("the kernel is tainted: {:#x}", finished.taint) } else { log }
    })
}

fn hung(scenario: &Scenario, waiting: &[usize], trace: &str) -> String {
    let steps: Vec<String> = waiting.iter().map(|index| format!("step {}", index + 1)).collect();
    let limit = scenario.plan().deadline_ms;
    format!("after {limit} ms these had not ended: {}\n{trace}", steps.join(", "))
}
