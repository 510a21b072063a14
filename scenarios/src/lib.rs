//! What a scenario is, how it is read, what travels between host and guest, and how a run's events become a snapshot.

pub mod diagnostics;
pub mod errno;
pub mod key_ref;
pub mod op;
pub mod plan;
pub mod read;
pub mod rule;
pub mod scenario;
pub mod suite;
pub mod wire;
