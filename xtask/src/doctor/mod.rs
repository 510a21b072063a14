//! What this machine has and lacks, and what to do about each lack.

mod machine;
mod programs;
mod vms;

use std::path::Path;

use anyhow::Result;

use crate::terminal::Terminal;

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

/// Examines the machine. Takes a moment: a virtual machine is tried only where nothing is remembered of it.
///
/// # Errors
/// Not even this can be found out, such as where the cache is.
pub fn examine(cache: &Path, terminal: &Terminal) -> Result<Vec<Chapter>> {
    Ok(vec![
        Chapter { title: "Machine", findings: machine::findings(cache)? },
        Chapter { title: "Programs", findings: programs::findings() },
        Chapter { title: "Virtual machines", findings: vms::findings(cache, terminal)? },
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
