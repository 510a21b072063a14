//! Runs scenarios on virtual machines, and collects their results.

pub mod bisect;
pub mod columns;
pub mod environment;
pub mod executor;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod last_run;
pub mod programs;
pub mod result_word;
pub mod run_results;
pub mod scenario_result;
pub mod scheduler;
pub mod selection;
pub mod shard;
pub mod single_guest;
pub mod testbed;
pub mod timings;
pub mod worker;
