//! A scenario in plain English, for who is to trust it without reading its TOML.

mod diagram;
mod prose;
mod sequence;
mod story;

use std::io;

pub use diagram::{Row, RowKind};
pub use sequence::{Kind, Mark, Moment, Sequence};

use crate::{rule::Rule, scenario::Scenario, snapshot};

/// What there is to say of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it shows.
    pub title: String,
    /// What it proves.
    pub rules: Vec<Rule>,
    /// Who takes part, a paragraph each.
    pub cast: Vec<String>,
    /// Under which circumstances, a sentence each.
    pub circumstances: Vec<String>,
    /// What happens, and what is expected of it: a sentence for each step.
    pub steps: Vec<String>,
    /// What happened, as the snapshot tells it. None: it has no snapshot yet.
    pub diagram: Option<Vec<Row>>,
}

impl Explanation {
    /// Explains a scenario, with a diagram that is at most so many columns wide.
    ///
    /// # Errors
    /// When the snapshot can't be read.
    pub fn of(scenario: &Scenario, width: usize) -> io::Result<Self> {
        let story = snapshot::read(scenario)?;
        Ok(Self {
            title: scenario.title.clone(),
            rules: scenario.rules.clone(),
            cast: scenario.plan().processes.iter().map(prose::process).collect(),
            circumstances: prose::circumstances(scenario),
            steps: prose::steps(scenario),
            diagram: story.map(|story| diagram::draw(&Sequence::of(scenario, &story), width)),
        })
    }
}

#[cfg(test)]
mod tests;
