//! Explanation of a scenario in English, with a sequence diagram of its snapshot.

mod diagram;
mod sequence;
mod text;
mod wrap;

use std::io;

pub use diagram::Row;
pub use sequence::{Kind, Message, Placement, Sequence};
pub use wrap::wrapping;

use crate::{rule::Rule, scenario::Scenario, snapshot};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub title: String,
    pub rules: Vec<Rule>,
    /// A paragraph for each process.
    pub processes: Vec<String>,
    /// Sysctl values and required features, a sentence each.
    pub conditions: Vec<String>,
    /// A sentence for each step, with its expectation.
    pub steps: Vec<String>,
    /// Diagram of the snapshot. `None` if there is no snapshot yet.
    pub diagram: Option<Vec<Row>>,
}

impl Explanation {
    /// Explains a scenario, with a diagram of at most `width` columns.
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
