//! Measurements for the host. PID 1 is the requester, and forks the other processes.

mod child;
mod keyagent;
mod miss;
mod pending;
mod request;

use std::ffi::CStr;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use scenarios::wire::bench::{Measurement, Series};

use crate::keyring;

/// Type of the requested keys.
const KIND: &CStr = c"user";

/// Callout information and payload of the requested keys.
const CALLOUT: &CStr = c"0123456789abcdef";

/// Measures in a new session keyring.
pub(crate) fn measure(measurement: &Measurement) -> Result<Vec<Series>> {
    keyring::join_session_keyring(None).map_err(during("session keyring"))?;
    match measurement {
        Measurement::Request { rounds, upcalls } => request::measure(*rounds, upcalls),
        Measurement::Pending { counts } => pending::measure(counts),
        Measurement::Miss { rounds, calls, agent } => miss::measure(*rounds, *calls, *agent),
    }
}

type Result<T, E = BenchError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BenchError(String);

/// Adds the failed call's name.
fn during<E: Display>(what: &str) -> impl FnOnce(E) -> BenchError + use<'_, E> {
    move |why| BenchError(format!("{what}: {why}"))
}

/// Shuffles into a new order with each call.
fn shuffle<T: std::hash::Hash>(things: &mut [T]) {
    let order = RandomState::new();
    things.sort_by_cached_key(|thing| order.hash_one(thing));
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
