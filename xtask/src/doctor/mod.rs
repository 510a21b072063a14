//! Examination of the host, with a remedy for each problem.

mod kernels;
mod machine;
mod programs;
mod vms;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::host::terminal::Terminal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub about: String,
    /// Observation, in a few words.
    pub observed: String,
    pub state: State,
}

/// Assessment of a finding, with a remedy if it is a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Good,
    /// Tests run slower, or fewer of them run.
    Degraded(String),
    /// No test can run.
    Missing(String),
}

#[derive(Debug)]
pub struct Section {
    pub title: &'static str,
    pub findings: Vec<Finding>,
}

/// Examines the machine. A virtual machine is probed only if no result is recorded. `cache` is the
/// cache's directory, or the reason that there is none.
pub fn examine(cache: Result<PathBuf>, terminal: &Terminal) -> Result<Vec<Section>> {
    // Without a cache, results of probes are not recorded.
    let scratch =
        tempfile::tempdir().context("can't create a directory: set TMPDIR to one that you may write to")?;
    let memory = cache.as_ref().map_or(scratch.path(), PathBuf::as_path);
    Ok(vec![
        Section { title: "Machine", findings: machine::findings(cache.as_deref())? },
        Section { title: "Programs", findings: programs::findings() },
        Section { title: "Kernels", findings: kernels::findings(memory, terminal)? },
        Section { title: "Virtual machines", findings: vms::findings(memory, terminal)? },
    ])
}

/// Returns the number of degraded findings and of missing ones.
pub fn counts(sections: &[Section]) -> (usize, usize) {
    let states = || sections.iter().flat_map(|section| &section.findings).map(|finding| &finding.state);
    let degraded = states().filter(|state| matches!(state, State::Degraded(_))).count();
    let missing = states().filter(|state| matches!(state, State::Missing(_))).count();
    (degraded, missing)
}

impl Finding {
    fn good(about: &str, observed: String) -> Self {
        Self { about: about.to_owned(), observed, state: State::Good }
    }

    fn degraded(about: &str, observed: String, remedy: String) -> Self {
        Self { about: about.to_owned(), observed, state: State::Degraded(remedy) }
    }

    fn missing(about: &str, observed: String, remedy: String) -> Self {
        Self { about: about.to_owned(), observed, state: State::Missing(remedy) }
    }
}
