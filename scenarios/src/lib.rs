//! What a scenario is, how it is read, what travels between host and guest, and how a run's events become a snapshot.

pub mod diagnostics;
pub mod errno;
mod expectations;
pub mod key_ref;
pub mod op;
pub mod overview;
pub mod plan;
pub mod read;
pub mod rule;
pub mod scenario;
pub mod snapshot;
pub mod suite;
pub mod trace;
pub mod verdict;
pub mod wire;
pub use scenario::Scenario;
pub use verdict::{Verdict, judge};
