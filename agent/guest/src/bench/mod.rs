//! Measurements for the host. PID 1 is the requester, and forks the other processes.

mod child;
mod daemon;
mod keyagent;
mod miss;
mod pending;
mod process;
mod request;

use std::ffi::CStr;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use scenarios::wire::bench::{Measurement, SampleUnit, Series};

/// Type of the requested keys.
const KIND: &CStr = c"user";

/// Key type of keyagents that do not serve the requests.
const OTHER_KIND: &CStr = c"dns_resolver";

/// Callout information and payload of the requested keys.
const CALLOUT: &CStr = c"0123456789abcdef";

/// Measures in a new session keyring.
pub(crate) fn measure(measurement: &Measurement) -> Result<Vec<Series>> {
    keyring::join_session_keyring(None).map_err(during("session keyring"))?;
    match measurement {
        Measurement::Request { rounds, upcalls } => request::measure(*rounds, upcalls),
        Measurement::Pending { counts } => pending::measure(counts),
        Measurement::Miss { rounds, calls, agent } => miss::measure(*rounds, *calls, *agent),
        Measurement::Daemon { rounds, rejecting, rules, exec, request_key, burst } => {
            let servers = daemon::Servers::start(rejecting, rules, exec)?;
            daemon::measure(*rounds, &servers, request_key.as_deref(), *burst)
        }
        Measurement::Process { rounds, calls, program, others, registered } => {
            let _others = process::start_others(*others, *registered)?;
            process::measure(*rounds, *calls, program)
        }
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

/// Samples each case once a round, in random order. The first rounds do not count, until caches and the
/// kernel's memory for keys are warm.
fn sample_in_turn(
    cases: &[&str],
    rounds: u32,
    mut sample: impl FnMut(usize, u32) -> Result<u64>,
) -> Result<Vec<Series>> {
    const WARM_UP: u32 = 3;
    let new =
        |case: &&str| Series { case: (*case).to_owned(), unit: SampleUnit::Nanoseconds, samples: Vec::new() };
    let mut series: Vec<_> = cases.iter().map(new).collect();
    for round in 0..WARM_UP + rounds {
        let mut order: Vec<_> = (0..cases.len()).collect();
        let random = RandomState::new();
        order.sort_by_cached_key(|case| random.hash_one(case));
        for case in order {
            let sample = sample(case, round)?;
            if round >= WARM_UP {
                series[case].samples.push(sample);
            }
        }
    }
    Ok(series)
}

/// Pins to the last CPU, since interrupts go to the first.
fn pin_to_last_cpu() -> Result<()> {
    let mut cpus = CpuSet::new();
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    cpus.set(last).map_err(during("a CPU"))?;
    sched_setaffinity(Pid::from_raw(0), &cpus).map_err(during("sched_setaffinity"))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
