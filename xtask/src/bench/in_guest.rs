//! Benchmarks that run in a guest.

use std::time::Duration;

use anyhow::Result;
use scenarios::wire::bench::{Measurement, Series};

use crate::runner::environment::Environment;

/// Time limit of a measurement.
const GRACE: Duration = Duration::from_secs(1800);

/// Starts a guest, runs a measurement in it, and shuts it down.
pub fn measure(environment: &Environment, measurement: &Measurement) -> Result<Vec<Series>> {
    let mut session = environment.guest()?;
    let series = session.measure(measurement, GRACE)?;
    session.close()?;
    Ok(series)
}
