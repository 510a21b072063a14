//! Mutation testing of the series: each mutant of one image is judged by the scenarios that reach it.
//!
//! ```text
//! image ─> MutantSet ─selection─┐
//! baseline: time and reached mutants of each scenario ─order─> judge ─> Judgement… ─> text · JSON · HTML
//! equivalent.toml ──────────────┘                                         └─> journal
//! ```

pub mod baseline;
pub mod equivalents;
pub mod html;
pub mod journal;
pub mod json;
pub mod judge;
pub mod order;
pub mod selection;
pub mod table;

use serde::{Deserialize, Serialize};

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// A scenario failed or crashed, or the guest did not come up or go down.
    Killed {
        by: String,
        why: String,
    },
    /// A scenario did not end in time.
    TimedOut {
        by: String,
        why: String,
    },
    /// All scenarios that reach it passed.
    Survived {
        passed: Vec<String>,
    },
    NotReached,
    /// It does not compile, and is not in the image.
    DidNotCompile,
    /// It is listed as one that no test can notice, with this reason.
    Equivalent {
        reason: String,
    },
}

impl Outcome {
    /// Returns the words for the summary.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Killed { .. } => "killed",
            Self::TimedOut { .. } => "timed out",
            Self::Survived { .. } => "survived",
            Self::NotReached => "not reached",
            Self::DidNotCompile => "did not compile",
            Self::Equivalent { .. } => "equivalent",
        }
    }

    /// Checks whether the suite has a hole: nothing notices the mutant.
    pub fn is_hole(&self) -> bool {
        matches!(self, Self::Survived { .. } | Self::NotReached)
    }
}

/// All words of outcomes, in the order of a summary.
pub const WORDS: [&str; 6] =
    ["survived", "not reached", "killed", "timed out", "equivalent", "did not compile"];

/// The outcome of one mutant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub mutant: u32,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds that its guests took.
    pub seconds: f64,
}

impl Judgement {
    /// Returns the judgement of a mutant that no guest was started for.
    pub fn unrun(mutant: u32, outcome: Outcome) -> Self {
        Self { mutant, outcome, seconds: 0.0 }
    }
}
