//! Measures keyagentd: requests that it answers in each of its ways, its memory, and a burst of requests.
//!
//! The same requests go to keyagents that make only the necessary calls, and to `/sbin/request-key`.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use keyring::{Errno, KeySerial, SpecialKey};
use scenarios::wire::bench::{Burst, SampleUnit, Series};

use super::child::Child;
use super::keyagent::{BenchAgent, Reply};
use super::request::{REQUEST_KEY, install};
use super::{BenchError, CALLOUT, KIND, Result, during, nanoseconds, pending, sample_in_turn};
use crate::sys::procfs;
use crate::sys::signals::Signals;

/// Where the guest's own `/sbin/request-key` is meanwhile.
const OWN_REQUEST_KEY: &str = "/sbin/request-key.own";

pub(super) fn measure(
    rounds: u32,
    servers: &Servers,
    request_key: Option<&str>,
    burst: Burst,
) -> Result<Vec<Series>> {
    pending::raise_quota()?;
    fs::rename(REQUEST_KEY, OWN_REQUEST_KEY).map_err(during(REQUEST_KEY))?;
    let idle = servers.rejecting.resident_kib()?;
    let mut series = requests(rounds, servers, request_key)?;
    series.push(kibibytes("memory of keyagentd before its first request", idle));
    series.push(measure_burst(&servers.exec, burst)?);
    let after = servers.exec.resident_kib()?;
    series.push(kibibytes("memory of keyagentd after these requests", after));
    fs::rename(OWN_REQUEST_KEY, REQUEST_KEY).map_err(during(REQUEST_KEY))?;
    Ok(series)
}

fn kibibytes(case: &str, sample: u64) -> Series {
    Series { case: case.to_owned(), unit: SampleUnit::Kibibytes, samples: vec![sample] }
}

/// All that serves requests, except for `/sbin/request-key`.
pub(super) struct Servers {
    negating: BenchAgent,
    instantiating: BenchAgent,
    rejecting: Daemon,
    rules: Daemon,
    exec: Daemon,
}

impl Servers {
    pub(super) fn start(rejecting: &[String], rules: &[String], exec: &[String]) -> Result<Self> {
        let mut negating = BenchAgent::start(KIND, Reply::Negate, None)?;
        let mut instantiating = BenchAgent::start(KIND, Reply::Instantiate, None)?;
        negating.start_serving()?;
        instantiating.start_serving()?;
        let [rejecting, rules, exec] = [rejecting, rules, exec].map(Daemon::start);
        Ok(Self { negating, instantiating, rejecting: rejecting?, rules: rules?, exec: exec? })
    }
}

/// A case of the comparison.
struct Case<'a> {
    name: &'static str,
    /// The key or keyring that makes a requester a client. `None`: `/sbin/request-key` serves it.
    server: Option<KeySerial>,
    /// Program to install as `/sbin/request-key`. It would answer in another way than the server.
    request_key: Option<&'a str>,
    prefix: &'static str,
    /// Whether the answer is a key; `ENOKEY` otherwise.
    is_instantiated: bool,
}

fn cases<'a>(servers: &Servers, request_key: Option<&'a str>) -> Vec<Case<'a>> {
    let negated = |name, server| Case {
        name,
        server: Some(server),
        request_key: Some(OWN_REQUEST_KEY),
        prefix: "other",
        is_instantiated: false,
    };
    let instantiated = |name, server, request_key| Case {
        name,
        server,
        request_key,
        prefix: "bench",
        is_instantiated: true,
    };
    let mut cases = vec![
        negated("plain agent, rejecting", servers.negating.key),
        negated("keyagentd, no rule matches", servers.rejecting.keyring),
        instantiated("plain agent", Some(servers.instantiating.key), None),
        instantiated("keyagentd --exec", Some(servers.exec.keyring), None),
    ];
    if request_key.is_some() {
        cases.push(instantiated("keyagentd with a rule", Some(servers.rules.keyring), None));
        cases.push(instantiated("/sbin/request-key with the same rule", None, request_key));
    }
    cases
}

fn requests(rounds: u32, servers: &Servers, request_key: Option<&str>) -> Result<Vec<Series>> {
    let destination = keyring::add_key(c"keyring", c"answers", &[], SpecialKey::Process);
    let destination = destination.map_err(during("a destination keyring"))?;
    let cases = cases(servers, request_key);
    let names: Vec<_> = cases.iter().map(|case| case.name).collect();
    let series = sample_in_turn(&names, rounds, |case, round| cases[case].sample(case, round, destination))?;
    keyring::unlink(destination, SpecialKey::Process).map_err(during("the destination keyring"))?;
    Ok(series)
}

impl Case<'_> {
    fn sample(&self, number: usize, round: u32, destination: KeySerial) -> Result<u64> {
        let description = CString::new(format!("{}:{number}:{round}", self.prefix));
        let description = description.map_err(during("a description"))?;
        if let Some(program) = self.request_key {
            install(program)?;
        }
        if let Some(server) = self.server {
            keyring::link(server, SpecialKey::Session).map_err(during("becoming a client"))?;
        }
        let begun = Instant::now();
        let answer = keyring::request_key(KIND, &description, Some(CALLOUT), Some(destination.into()));
        let took = begun.elapsed();
        self.check(answer).map_err(during(self.name))?;
        // Helpers may have linked the key there.
        keyring::clear(SpecialKey::Session).map_err(during("the session keyring"))?;
        keyring::clear(destination).map_err(during("the destination keyring"))?;
        if self.request_key.is_some() {
            fs::remove_file(REQUEST_KEY).map_err(during(REQUEST_KEY))?;
        }
        Ok(nanoseconds(took))
    }

    fn check(&self, answer: keyring::Result<KeySerial>) -> Result<()> {
        match answer {
            Ok(key) if self.is_instantiated => check_payload(key),
            Err(Errno::NOKEY) if !self.is_instantiated => Ok(()),
            Ok(_) => Err(BenchError("a request that was to be rejected was answered".to_owned())),
            Err(errno) => Err(BenchError(format!("a request failed with {errno}"))),
        }
    }
}

fn check_payload(key: KeySerial) -> Result<()> {
    let payload = keyring::read(key).map_err(during("reading the answer"))?;
    if payload == CALLOUT.to_bytes() {
        return Ok(());
    }
    Err(BenchError(format!("a request was answered with \"{}\"", payload.escape_ascii())))
}

/// A keyagentd process with its keyring, which is linked into PID 1's process keyring.
struct Daemon {
    child: Child,
    keyring: KeySerial,
}

impl Daemon {
    fn start(command: &[String]) -> Result<Self> {
        let (printed, output) = pipe().map_err(during("a pipe"))?;
        let child = Child::fork(|| execute(command, output))?;
        let mut line = String::new();
        BufReader::new(printed).read_line(&mut line).map_err(during("the daemon's output"))?;
        let serial = line.trim().parse().ok().and_then(KeySerial::new);
        let keyring = serial.ok_or_else(|| BenchError(format!("{command:?} does not serve")))?;
        keyring::link(keyring, SpecialKey::Process).map_err(during("keeping the daemon's keyring"))?;
        Ok(Self { child, keyring })
    }

    /// The memory that its pages take, those that it shares included.
    fn resident_kib(&self) -> Result<u64> {
        let status = procfs::read(format!("/proc/{}/status", self.child.0)).map_err(during("VmRSS"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
        let resident = resident.and_then(|kib| kib.trim().parse().ok());
        resident.ok_or_else(|| BenchError("/proc/PID/status has no VmRSS".to_owned()))
    }
}

/// Executes the daemon in place of this process. Its log is not kept.
fn execute(command: &[String], output: PipeWriter) -> Result<()> {
    // PID 1's blocked signals would be inherited.
    Signals::NONE.block().map_err(during("the signal mask"))?;
    let (program, arguments) = command.split_first().ok_or_else(|| BenchError("no command".to_owned()))?;
    let why = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .exec();
    Err(BenchError(format!("can't execute {program}: {why}")))
}

/// The mean time of requests that many processes make at a time. Each must be answered.
fn measure_burst(daemon: &Daemon, burst: Burst) -> Result<Series> {
    let Burst { requests, requesters } = burst;
    keyring::link(daemon.keyring, SpecialKey::Session).map_err(during("becoming a client"))?;
    let (gate, mut opener) = pipe().map_err(during("a pipe"))?;
    let (answers, answer) = pipe().map_err(during("a pipe"))?;
    let run = |first| {
        let numbers = (first..requests).step_by(requesters as usize);
        Child::fork(|| run_requester(numbers, &gate, &answer))
    };
    let children = (0..requesters).map(run).collect::<Result<Vec<_>>>()?;
    drop(answer);
    let begun = Instant::now();
    opener.write_all(&vec![0; requesters as usize]).map_err(during("the requesters' gate"))?;
    pending::all_answered(answers, requests)?;
    let took = begun.elapsed();
    drop(children);
    keyring::clear(SpecialKey::Session).map_err(during("the session keyring"))?;
    Ok(Series {
        case: format!("keyagentd --exec, {requesters} requesters at a time, {requests} requests"),
        unit: SampleUnit::Nanoseconds,
        samples: vec![nanoseconds(took) / u64::from(requests.max(1))],
    })
}

/// Makes requests once the gate opens, and sends their results. Waits to be killed, as its exit does not count.
fn run_requester(
    numbers: impl Iterator<Item = u32>,
    mut gate: &PipeReader,
    mut answer: &PipeWriter,
) -> Result<()> {
    keyring::get_keyring_id(SpecialKey::Process, true).map_err(during("a process keyring"))?;
    gate.read_exact(&mut [0]).map_err(during("the requesters' gate"))?;
    for number in numbers {
        let description = CString::new(format!("burst:{number}")).map_err(during("a description"))?;
        let errno = request_once(&description).err().map_or(0, Errno::raw_os_error);
        answer.write_all(&errno.to_ne_bytes()).map_err(during("an answer"))?;
    }
    loop {
        nix::unistd::pause();
    }
}

/// Makes a request and forgets the key. A wrong answer is `EBADMSG`.
fn request_once(description: &CStr) -> keyring::Result<()> {
    let key = keyring::request_key(KIND, description, Some(CALLOUT), Some(SpecialKey::Process.into()))?;
    if keyring::read(key)? != CALLOUT.to_bytes() {
        return Err(Errno::BADMSG);
    }
    keyring::unlink(key, SpecialKey::Process)
}
