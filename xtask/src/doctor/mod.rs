//! Examination of the host, with a remedy for each problem.

mod kernels;
mod machine;
mod programs;
mod vms;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::host::terminal::Terminal;

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Subject of the check.
    pub about: String,
    /// Observation, in a few words.
    pub said: String,
    /// Assessment of the observation.
    pub state: State,
}

/// Assessment of a finding, with a remedy if it is a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No problem.
    Good,
    /// Tests run slower, or fewer of them run.
    Poor(String),
    /// No test can run.
    Lacking(String),
}

/// Findings on one topic.
#[derive(Debug)]
pub struct Chapter {
    pub title: &'static str,
    pub findings: Vec<Finding>,
}

/// Examines the machine. A virtual machine is probed only if no result is recorded. `cache` is the
/// cache's directory, or the reason that there is none.
///
/// # Errors
/// The machine can't be examined.
pub fn examine(cache: Result<PathBuf>, terminal: &Terminal) -> Result<Vec<Chapter>> {
    // Without a cache, results of probes are not recorded.
    let scratch =
        tempfile::tempdir().context("can't create a directory: set TMPDIR to one that you may write to")?;
    let memory = cache.as_ref().map_or(scratch.path(), PathBuf::as_path);
    Ok(vec![
        Chapter { title: "Machine", findings: machine::findings(cache.as_deref())? },
        Chapter { title: "Programs", findings: programs::findings() },
        Chapter { title: "Kernels", findings: kernels::findings(memory, terminal)? },
        Chapter { title: "Virtual machines", findings: vms::findings(memory, terminal)? },
    ])
}

/// Returns the number of poor findings and of lacking ones.
pub fn tally(chapters: &[Chapter]) -> (usize, usize) {
    let states = || chapters.iter().flat_map(|chapter| &chapter.findings).map(|finding| &finding.state);
    let poor = states().filter(|state| matches!(state, State::Poor(_))).count();
    let lacking = states().filter(|state| matches!(state, State::Lacking(_))).count();
    (poor, lacking)
}

impl Finding {
    fn good(about: &str, said: String) -> Self {
        Self { about: about.to_owned(), said, state: State::Good }
    }

    fn poor(about: &str, said: String, remedy: String) -> Self {
        Self { about: about.to_owned(), said, state: State::Poor(remedy) }
    }

    fn lacking(about: &str, said: String, remedy: String) -> Self {
        Self { about: about.to_owned(), said, state: State::Lacking(remedy) }
    }
}
