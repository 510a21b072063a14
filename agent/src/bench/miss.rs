//! Measures requests without an answer.
//!
//! The kernel's user-mode helpers are disabled, so that only the kernel's own work counts. The start of a
//! program would take far longer.

use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use scenarios::wire::bench::{Series, UnrelatedAgent};

use super::keyagent::BenchAgent;
use super::{BenchError, CALLOUT, KIND, Result, during, nanoseconds, shuffle};
use crate::keyring::{self, KeySerial};

/// Key type of the keyagent that does not serve the requests.
const OTHER_KIND: &CStr = c"dns_resolver";

/// Rounds that do not count.
const WARM_UP: u32 = 2;

/// Time for the kernel to collect a sample's keys.
const COLLECTION: Duration = Duration::from_millis(20);

const CASES: [(Option<&CStr>, &str); 2] = [(None, "without callout"), (Some(CALLOUT), "with callout")];

pub(super) fn measure(rounds: u32, calls: u32, other: UnrelatedAgent) -> Result<Vec<Series>> {
    let _agent = unrelated_agent(other)?;
    let destination = keyring::add_key(c"keyring", c"misses", Ok(&[]), KeySerial::PROCESS);
    let destination = destination.map_err(during("a destination keyring"))?;
    pin_to_last_cpu()?;
    let mut series = CASES.map(|(_, case)| Series { case: case.to_owned(), samples_ns: Vec::new() });
    let mut order = [0, 1];
    for round in 0..WARM_UP + rounds {
        shuffle(&mut order);
        for case in order {
            let sample = sample(round * calls, calls, CASES[case].0, destination)?;
            if round >= WARM_UP {
                series[case].samples_ns.push(sample);
            }
        }
    }
    keyring::unlink(destination, KeySerial::PROCESS).map_err(during("the destination keyring"))?;
    Ok(series.into())
}

fn unrelated_agent(other: UnrelatedAgent) -> Result<Option<BenchAgent>> {
    if other == UnrelatedAgent::None {
        return Ok(None);
    }
    let agent = BenchAgent::start(OTHER_KIND, None)?;
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
        match keyring::request_key(KIND, description, callout, destination) {
            Err(Errno::ENOKEY) => {}
            other => return Err(BenchError(format!("a request that was to miss gave {other:?}"))),
        }
    }
    let took = begun.elapsed();
    keyring::clear(destination).map_err(during("the destination keyring"))?;
    std::thread::sleep(COLLECTION);
    Ok(nanoseconds(took) / u64::from(calls.max(1)))
}

/// Pins to the last CPU, since interrupts go to the first.
fn pin_to_last_cpu() -> Result<()> {
    let mut cpus = CpuSet::new();
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    cpus.set(last).map_err(during("a CPU"))?;
    sched_setaffinity(Pid::from_raw(0), &cpus).map_err(during("sched_setaffinity"))
}
