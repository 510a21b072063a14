//! Measures, on request of the host. PID 1 itself is the requester; whoever else it takes is forked for the purpose.

mod child;
mod keyagent;
mod miss;
mod pending;
mod request;

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use scenarios::measure::{Measurement, Series};

use crate::keyring;

/// Type of the keys that are requested.
const KIND: &std::ffi::CStr = c"user";

/// What the requesters ask with, and what they get.
const CALLOUT: &std::ffi::CStr = c"0123456789abcdef";

/// Measures, in a session keyring of its own.
///
/// # Errors
/// Nothing is worth telling then but the reason.
pub(crate) fn measure(measurement: &Measurement) -> Result<Vec<Series>, BenchError> {
    keyring::join_session_keyring(None).map_err(during("session keyring"))?;
    match measurement {
        Measurement::Request { rounds, upcalls } => request::measure(*rounds, upcalls),
        Measurement::Pending { counts } => pending::measure(counts),
        Measurement::Miss { rounds, calls, agent } => miss::measure(*rounds, *calls, *agent),
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BenchError(String);

/// Says what it was that failed.
fn during<E: Display>(what: &str) -> impl FnOnce(E) -> BenchError + use<'_, E> {
    move |why| BenchError(format!("{what}: {why}"))
}

/// Puts things into an order that is new each time.
fn shuffle<T: std::hash::Hash>(things: &mut [T]) {
    let order = RandomState::new();
    things.sort_by_cached_key(|thing| order.hash_one(thing));
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
