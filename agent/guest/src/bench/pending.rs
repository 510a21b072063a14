//! Measures requests that are pending by the thousand for one keyagent with a signal queue of 64.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io::{BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::time::{Duration, Instant};

use keyring::{Errno, SpecialKey};
use scenarios::wire::KeyUser;
use scenarios::wire::bench::{SampleUnit, Series};

use super::child::Child;
use super::keyagent::{BenchAgent, Reply};
use super::{BenchError, CALLOUT, KIND, Result, during, nanoseconds};
use crate::sys::procfs;

/// The agent's RLIMIT_SIGPENDING.
const SIGPENDING: u64 = 64;

/// Time limit for queueing the requests, and for collecting their keys.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Quota for a key and an authkey of each request.
const QUOTA: [(&str, &str); 4] = [
    ("maxkeys", "1000000"),
    ("maxbytes", "500000000"),
    ("root_maxkeys", "1000000"),
    ("root_maxbytes", "500000000"),
];

pub(super) fn measure(counts: &[u32]) -> Result<Vec<Series>> {
    raise_quota()?;
    let mut samples: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for count in counts {
        let before = key_users()?;
        let sample = measure_pending(*count)?;
        poll_until("/proc/key-users does not become what it was", || Ok(key_users()? == before))?;
        samples.entry(*count).or_default().push(sample);
    }
    let series = |(count, samples)| Series {
        case: format!("{count} pending"),
        unit: SampleUnit::Nanoseconds,
        samples,
    };
    Ok(samples.into_iter().map(series).collect())
}

pub(super) fn raise_quota() -> Result<()> {
    QUOTA.iter().try_for_each(|(knob, value)| {
        fs::write(format!("/proc/sys/kernel/keys/{knob}"), value).map_err(during(knob))
    })
}

/// Starts all requests, waits until they are pending, and measures the time of each answer from then on.
fn measure_pending(count: u32) -> Result<u64> {
    let mut agent = BenchAgent::start(KIND, Reply::Instantiate, Some(SIGPENDING))?;
    agent.subscribe()?;
    let (gate, mut opener) = pipe().map_err(during("a pipe"))?;
    let (answers, answer) = pipe().map_err(during("a pipe"))?;
    let requesters = (0..count).map(|number| Child::fork(|| run_requester(number, &gate, &answer)));
    let requesters = requesters.collect::<Result<Vec<_>, _>>()?;
    drop(answer);
    opener.write_all(&vec![0; count as usize]).map_err(during("the requesters' gate"))?;
    wait_until_pending(&agent, count)?;

    let begun = Instant::now();
    agent.start_serving()?;
    let answered = all_answered(answers, count);
    let took = begun.elapsed();
    drop((requesters, agent));
    keyring::clear(SpecialKey::Session).map_err(during("the session keyring"))?;
    answered.map(|()| nanoseconds(took) / u64::from(count))
}

/// Runs a requester: requests once the gate opens, sends the result, and waits to be killed. Its exit does
/// not count.
fn run_requester(number: u32, mut gate: &PipeReader, mut answer: &PipeWriter) -> Result<()> {
    let description = CString::new(format!("bench:{number}")).map_err(during("a description"))?;
    gate.read_exact(&mut [0]).map_err(during("the requesters' gate"))?;
    let key = keyring::request_key(KIND, &description, Some(CALLOUT), None);
    let errno = key.err().map_or(0, Errno::raw_os_error);
    answer.write_all(&errno.to_ne_bytes()).map_err(during("an answer"))?;
    loop {
        nix::unistd::pause();
    }
}

/// Waits for the results of all requests, error numbers of 4 bytes each. Failed requests are an error that
/// counts them by error number.
pub(super) fn all_answered(answers: PipeReader, count: u32) -> Result<()> {
    let mut answers = BufReader::new(answers);
    let mut failed: BTreeMap<i32, u32> = BTreeMap::new();
    for done in 0..count {
        let mut errno = [0; 4];
        let lost = |why| BenchError(format!("{} of {count} requests have no result: {why}", count - done));
        answers.read_exact(&mut errno).map_err(lost)?;
        match i32::from_ne_bytes(errno) {
            0 => {}
            errno => *failed.entry(errno).or_default() += 1,
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let causes =
        failed.iter().map(|(errno, times)| format!("{times} with {}", Errno::from_raw_os_error(*errno)));
    let causes = causes.collect::<Vec<_>>().join(", ");
    Err(BenchError(format!("{} of {count} requests failed: {causes}", failed.values().sum::<u32>())))
}

fn wait_until_pending(agent: &BenchAgent, count: u32) -> Result<()> {
    let wanted = format!("pending:{count} ");
    poll_until(&format!("{count} requests do not all become pending"), || {
        let keys = procfs::keys().map_err(during("/proc/keys"))?;
        let agent = keys.iter().find(|key| key.serial == agent.key.get());
        Ok(agent.is_some_and(|key| key.summary.contains(&wanted)))
    })
}

fn key_users() -> Result<Vec<KeyUser>> {
    procfs::key_users().map_err(during("/proc/key-users"))
}

fn poll_until(what: &str, condition: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !condition()? {
        if begun.elapsed() > TIMEOUT {
            return Err(BenchError(format!("{what} in {} s", TIMEOUT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
