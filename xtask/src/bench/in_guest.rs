//! Benchmarks that run in a guest.

use std::time::Duration;

use anyhow::{Result, anyhow};
use scenarios::wire::bench::{Measurement, Series};

use crate::runner::environment::Environment;
use crate::session::Failure;

/// Time limit of a measurement.
const GRACE: Duration = Duration::from_secs(1800);

/// Starts a guest, runs a measurement in it, and shuts it down.
///
/// # Errors
/// The guest failed.
pub fn measure(environment: &Environment, measurement: &Measurement) -> Result<Vec<Series>> {
    let mut session = environment.guest().map_err(|why| failed(&why))?;
    let series = session.measure(measurement, GRACE).map_err(|why| failed(&why))?;
    session.close().map_err(|why| failed(&why))?;
    Ok(series)
}

fn failed(failure: &Failure) -> anyhow::Error {
    anyhow!("{}", failure.to_string().trim_end())
}
