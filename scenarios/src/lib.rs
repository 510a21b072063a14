//! What a scenario is, how it is read, what travels between host and guest, and how a run's events become a snapshot.

pub mod key_ref;
pub mod op;
pub mod plan;
pub mod wire;
