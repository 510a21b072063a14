//! Measures answered requests: by a keyagent, and by programs as `/sbin/request-key`. The floor is the
//! minimum for an answer by another process.

use std::ffi::{CStr, CString};
use std::fs;
use std::time::Instant;

use nix::errno::Errno;
use scenarios::wire::bench::{Series, Upcall};

use super::keyagent::{BenchAgent, HELD, HOLD, PING, PONG};
use super::{BenchError, CALLOUT, KIND, Result, during, nanoseconds, shuffle};
use crate::keyring::{self, KeySerial};
use crate::sys::signals::{self, SignalFd, Signals};

/// The program that the kernel runs where no keyagent serves.
const REQUEST_KEY: &str = "/sbin/request-key";

/// Rounds that do not count, until caches and the kernel's memory for keys are warm.
const WARM_UP: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Case {
    Agent,
    Floor,
    Upcall(usize),
}

pub(super) fn measure(rounds: u32, upcalls: &[Upcall]) -> Result<Vec<Series>> {
    let mut bench = Bench::set_up(upcalls)?;
    let mut cases = vec![Case::Agent, Case::Floor];
    cases.extend((0..upcalls.len()).map(Case::Upcall));
    let mut series: Vec<_> = cases
        .iter()
        .map(|case| (*case, Series { case: bench.name(*case).to_owned(), samples_ns: Vec::new() }))
        .collect();
    for round in 0..WARM_UP + rounds {
        shuffle(&mut cases);
        for case in &cases {
            let sample = bench.sample(*case)?;
            let of_case = series.iter_mut().find(|(of, _)| of == case);
            if let Some((_, series)) = of_case.filter(|_| round >= WARM_UP) {
                series.samples_ns.push(sample);
            }
        }
    }
    Ok(series.into_iter().map(|(_, series)| series).collect())
}

struct Bench<'a> {
    agent: BenchAgent,
    pongs: SignalFd,
    upcalls: &'a [Upcall],
    requests: u32,
}

impl<'a> Bench<'a> {
    fn set_up(upcalls: &'a [Upcall]) -> Result<Self> {
        let pongs = SignalFd::blocking(Signals::one(PONG)).map_err(during("signalfd"))?;
        signals::install_noop_handler(HELD).map_err(during("sigaction"))?;
        let mut agent = BenchAgent::start(KIND, None)?;
        agent.start_serving()?;
        Ok(Self { agent, pongs, upcalls, requests: 0 })
    }

    fn name(&self, case: Case) -> &str {
        match case {
            Case::Agent => "keyagent",
            Case::Floor => "floor",
            Case::Upcall(index) => &self.upcalls[index].case,
        }
    }

    /// Measures one request, in nanoseconds.
    fn sample(&mut self, case: Case) -> Result<u64> {
        self.requests += 1;
        let description =
            CString::new(format!("bench:{}", self.requests)).map_err(during("a description"))?;
        match case {
            Case::Agent | Case::Floor => {
                self.agent.subscribe()?;
                let sample = match case {
                    Case::Floor => self.measure_floor(&description),
                    _ => timed_request(&description),
                };
                self.agent.unsubscribe()?;
                sample
            }
            Case::Upcall(index) => {
                install(&self.upcalls[index].program)?;
                timed_request(&description)
            }
        }
    }

    /// Measures the floor: a signal to the keyagent, its four keyring calls, and a signal back. The upcall
    /// has arrived before the clock starts, and the requester no longer waits.
    fn measure_floor(&mut self, description: &CStr) -> Result<u64> {
        self.agent.signal(HOLD)?;
        match keyring::request_key(KIND, description, Some(CALLOUT), KeySerial::NONE) {
            Err(Errno::EINTR) => {}
            other => return Err(BenchError(format!("a request that was to be interrupted gave {other:?}"))),
        }
        let begun = Instant::now();
        self.agent.signal(PING)?;
        let pong = self.pongs.take();
        let took = begun.elapsed();
        pong.ok_or_else(|| BenchError("signalfd returned no signal".to_owned()))?;
        let key =
            keyring::request_key(KIND, description, None, KeySerial::NONE).map_err(during("an answer"))?;
        unlink_key(key)?;
        Ok(nanoseconds(took))
    }
}

fn timed_request(description: &CStr) -> Result<u64> {
    let begun = Instant::now();
    let key = keyring::request_key(KIND, description, Some(CALLOUT), KeySerial::NONE);
    let took = begun.elapsed();
    unlink_key(key.map_err(during("a request"))?)?;
    Ok(nanoseconds(took))
}

/// Unlinks a key from PID 1's keyrings: its own, and the session keyring, which request-key may have linked
/// it into.
fn unlink_key(key: KeySerial) -> Result<()> {
    let _ = keyring::unlink(key, KeySerial::SESSION);
    keyring::unlink(key, KeySerial::PROCESS).map_err(during("a key that was answered"))
}

fn install(program: &str) -> Result<()> {
    let new = format!("{REQUEST_KEY}.new");
    fs::hard_link(program, &new).map_err(during(program))?;
    fs::rename(&new, REQUEST_KEY).map_err(during(REQUEST_KEY))?;
    // Renaming one link of a file over another link of the same file leaves both.
    let _ = fs::remove_file(new);
    Ok(())
}
