//! Measures requests without an answer.
//!
//! The kernel's user-mode helpers are disabled, so that only the kernel's own work counts. The start of a
//! program would take far longer.

use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use keyring::{Errno, KeySerial, SpecialKey};
use scenarios::wire::bench::{Series, UnrelatedAgent};

use super::keyagent::{BenchAgent, Reply};
use super::{
    BenchError, CALLOUT, KIND, OTHER_KIND, Result, during, nanoseconds, pin_to_last_cpu, sample_in_turn,
};

/// Time for the kernel to collect a sample's keys.
const COLLECTION: Duration = Duration::from_millis(20);

const CASES: [(Option<&CStr>, &str); 2] = [(None, "without callout"), (Some(CALLOUT), "with callout")];

pub(super) fn measure(rounds: u32, calls: u32, other: UnrelatedAgent) -> Result<Vec<Series>> {
    let _agent = unrelated_agent(other)?;
    let destination = keyring::add_key(c"keyring", c"misses", &[], SpecialKey::Process);
    let destination = destination.map_err(during("a destination keyring"))?;
    pin_to_last_cpu()?;
    let series = sample_in_turn(&CASES.map(|(_, case)| case), rounds, |case, round| {
        sample(round * calls, calls, CASES[case].0, destination)
    })?;
    keyring::unlink(destination, SpecialKey::Process).map_err(during("the destination keyring"))?;
    Ok(series)
}

fn unrelated_agent(other: UnrelatedAgent) -> Result<Option<BenchAgent>> {
    if other == UnrelatedAgent::None {
        return Ok(None);
    }
    let agent = BenchAgent::start(OTHER_KIND, Reply::Instantiate, None)?;
    if other == UnrelatedAgent::OtherType {
        agent.subscribe()?;
    }
    Ok(Some(agent))
}

/// The mean of `calls` requests, each for a new key.
fn sample(first: u32, calls: u32, callout: Option<&CStr>, destination: KeySerial) -> Result<u64> {
    let descriptions = (first..first + calls).map(|number| CString::new(format!("miss:{number}")));
    let descriptions = descriptions.collect::<Result<Vec<_>, _>>().map_err(during("a description"))?;
    let begun = Instant::now();
    for description in &descriptions {
        match keyring::request_key(KIND, description, callout, Some(destination.into())) {
            Err(Errno::NOKEY) => {}
            other => return Err(BenchError(format!("a request that was to miss gave {other:?}"))),
        }
    }
    let took = begun.elapsed();
    keyring::clear(destination).map_err(during("the destination keyring"))?;
    std::thread::sleep(COLLECTION);
    Ok(nanoseconds(took) / u64::from(calls.max(1)))
}
