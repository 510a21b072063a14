//! A scenario in plain English, for who is to trust it without reading its TOML.

mod diagram;
mod sequence;
mod text;

use std::io;

pub use diagram::{Row, RowKind};
pub use sequence::{Kind, Message, Placement, Sequence};

use crate::{rule::Rule, scenario::Scenario, snapshot};

/// What there is to say of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it shows.
    pub title: String,
    /// What it proves.
    pub rules: Vec<Rule>,
    /// Who takes part, a paragraph each.
    pub processes: Vec<String>,
    /// Under which conditions, a sentence each.
    pub conditions: Vec<String>,
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
        let trace = snapshot::read(scenario)?;
        Ok(Self {
            title: scenario.title.clone(),
            rules: scenario.rules.clone(),
            processes: scenario.plan().processes.iter().map(text::process).collect(),
            conditions: text::conditions(scenario),
            steps: text::steps(scenario),
            diagram: trace.map(|trace| diagram::draw(&Sequence::of(scenario, &trace), width)),
        })
    }
}

#[cfg(test)]
mod tests;
