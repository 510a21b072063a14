//! Scenarios: their parser, the wire format between host and guest, traces of runs, snapshots and verdicts.

#[cfg(feature = "host")]
mod contract;
#[cfg(feature = "host")]
pub mod diagnostics;
#[cfg(feature = "host")]
pub mod docs;
pub mod errno;
#[cfg(feature = "host")]
pub mod explain;
#[cfg(feature = "host")]
pub mod kernel_report;
mod key_ref;
pub mod op;
#[cfg(feature = "host")]
pub mod parse;
pub mod plan;
pub mod programs;
#[cfg(feature = "host")]
pub mod rule;
#[cfg(feature = "host")]
pub mod scenario;
#[cfg(feature = "host")]
mod schema;
#[cfg(feature = "host")]
pub mod snapshot;
#[cfg(feature = "host")]
pub mod suite;
#[cfg(feature = "host")]
pub mod template;
#[cfg(feature = "host")]
pub mod trace;
#[cfg(feature = "host")]
pub mod verdict;
pub mod wire;
#[cfg(feature = "host")]
pub use scenario::Scenario;
#[cfg(feature = "host")]
pub use verdict::{Verdict, judge};
