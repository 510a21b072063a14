//! What this machine has and lacks, and what to do about each lack.

mod machine;
mod programs;
mod vms;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::host::terminal::Terminal;

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub about: String,
    /// What there is, in a few words.
    pub said: String,
    /// Whether that will do.
    pub state: State,
}

/// Whether something will do. What does not comes with its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is as it should be.
    Good,
    /// Tests run without it, slower or fewer.
    Poor(String),
    /// No test can run.
    Lacking(String),
}

/// Findings that belong together.
#[derive(Debug)]
pub struct Chapter {
    /// What they are about.
    pub title: &'static str,
    /// The findings.
    pub findings: Vec<Finding>,
}

/// Examines the machine. Takes a moment: a virtual machine is tried only where nothing is remembered of it. `cache` is its directory,
/// or why there is none.
///
/// # Errors
/// Not even this can be found out.
pub fn examine(cache: Result<PathBuf>, terminal: &Terminal) -> Result<Vec<Chapter>> {
    // What is found out of virtual machines is not remembered then.
    let scratch =
        tempfile::tempdir().context("can't create a directory: set TMPDIR to one that you may write to")?;
    let memory = cache.as_ref().map_or(scratch.path(), PathBuf::as_path);
    Ok(vec![
        Chapter { title: "Machine", findings: machine::findings(cache.as_deref())? },
        Chapter { title: "Programs", findings: programs::findings() },
        Chapter { title: "Virtual machines", findings: vms::findings(memory, terminal)? },
    ])
}

/// How many findings are that bad: poor, and lacking.
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
