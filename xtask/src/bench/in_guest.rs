//! A guest that measures.

use std::time::Duration;

use anyhow::{Result, anyhow};
use scenarios::measure::{Measurement, Series};

use crate::runner::environment::Ground;
use crate::session::Failure;

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Starts a guest, has it measure, and ends it.
///
/// # Errors
/// The guest could not do its part.
pub fn measure(ground: &Ground, measurement: &Measurement) -> Result<Vec<Series>> {
    let mut session = ground.open().map_err(|why| failed(&why))?;
    let series = session.measure(measurement, PATIENCE).map_err(|why| failed(&why))?;
    session.close().map_err(|why| failed(&why))?;
    Ok(series)
}

fn failed(failure: &Failure) -> anyhow::Error {
    anyhow!("{}", failure.to_string().trim_end())
}
