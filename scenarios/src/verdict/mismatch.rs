//! Differences from expectations.

use std::{env, fmt, path::PathBuf};

use crate::scenario::{Position, Scenario};

/// A difference from an expectation: a step, or another part of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The step, if it is one.
    pub step: Option<FailedStep>,
    /// Expected and actual outcome.
    pub complaint: String,
}

/// A step that differs from its expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedStep {
    /// Its number, from 1.
    pub number: usize,
    pub process: String,
    pub file: PathBuf,
    pub position: Position,
}

impl FailedStep {
    pub(super) fn of(scenario: &Scenario, index: usize) -> Self {
        let process = scenario.plan().steps.get(index).map(|step| step.process.clone()).unwrap_or_default();
        let position = scenario.expectations.get(index).map(|it| it.position).unwrap_or_default();
        Self { number: index + 1, process, file: scenario.path.clone(), position }
    }
}

/// As in `step 3 (scenarios/suite/linking/confined.toml:41:5), box`. The path is relative to the
/// working directory if the file is below it.
impl fmt::Display for FailedStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, process, file, position: Position { line, column } } = self;
        let directory = env::current_dir().unwrap_or_default();
        let file = file.strip_prefix(directory).unwrap_or(file).display();
        write!(out, "step {number} ({file}:{line}:{column}), {process}")
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            write!(out, "{step}: ")?;
        }
        out.write_str(&self.complaint)
    }
}
