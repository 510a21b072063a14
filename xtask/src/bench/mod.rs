//! Measurements: what they are, and what comes of them. Nothing here judges; whether a figure is good is for people to say.

pub mod figure;
pub mod guest;
pub mod pending;
pub mod plot;
pub mod request;
pub mod table;

use std::hash::{BuildHasher, Hash, RandomState};

use anyhow::Result;
use clap::ValueEnum;

pub use figure::{Figure, Unit};

use crate::ground::TestbedOptions;
use crate::terminal::Terminal;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A request answered by a keyagent, by /sbin/request-key, and the least that it can take
    Request,
    /// A request that thousands of others wait with, from 1 to 10,000
    Pending,
}

impl Subject {
    /// All of them, in the order in which they are measured.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// What a table of it is headed with.
    pub fn title(self) -> &'static str {
        match self {
            Self::Request => "A request, from asking to having the key",
            Self::Pending => "A request while so many are pending with one agent (RLIMIT_SIGPENDING 64)",
        }
    }
}

/// How much is measured, and on what.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Kernel and virtual machine.
    pub testbed: &'a TestbedOptions,
    /// How often everything is done.
    pub rounds: u32,
    /// Who is told of progress.
    pub terminal: &'a Terminal,
}

/// What came of one subject.
#[derive(Debug, Default)]
pub struct Results {
    /// One for each case.
    pub figures: Vec<Figure>,
    /// What the figures say when put together, and what was left out and why.
    pub remarks: Vec<String>,
}

impl Results {
    /// How many times larger the one case's median is than the other's.
    pub fn ratio(&self, of: &str, to: &str) -> Option<f64> {
        let median = |case: &str| self.figures.iter().find(|figure| figure.case == case).map(|it| it.median);
        Some(median(of)? / median(to)?)
    }
}

/// Measures.
///
/// # Errors
/// Something is missing, a kernel does not build, or a guest could not do its part.
pub fn measure(subject: Subject, setup: &Setup<'_>) -> Result<Results> {
    match subject {
        Subject::Request => request::measure(setup),
        Subject::Pending => pending::measure(setup),
    }
}

/// Puts things into an order that is new each time, so that nothing is always measured after the same other thing.
fn shuffle<T: Hash>(things: &mut [T]) {
    let order = RandomState::new();
    things.sort_by_cached_key(|thing| order.hash_one(thing));
}
