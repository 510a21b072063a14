//! Measures answered requests: by a keyagent, and by programs as `/sbin/request-key`. The floor is the
//! minimum for an answer by another process.

use std::ffi::{CStr, CString};
use std::fs;
use std::time::Instant;

use keyring::{Errno, KeySerial, SpecialKey};
use scenarios::wire::bench::{Series, Upcall};

use super::keyagent::{BenchAgent, HELD, HOLD, PING, PONG, Reply};
use super::{BenchError, CALLOUT, KIND, Result, during, nanoseconds, sample_in_turn};
use crate::sys::signals::{self, SignalFd, Signals};

/// The program that the kernel runs where no keyagent serves.
pub(super) const REQUEST_KEY: &str = "/sbin/request-key";

pub(super) fn measure(rounds: u32, upcalls: &[Upcall]) -> Result<Vec<Series>> {
    let mut bench = Bench::set_up()?;
    let cases = ["keyagent", "floor"].into_iter().chain(upcalls.iter().map(|upcall| upcall.case.as_str()));
    sample_in_turn(&cases.collect::<Vec<_>>(), rounds, |case, _| match case {
        0 => bench.answered(timed_request),
        1 => bench.answered(|bench, description| bench.measure_floor(description)),
        _ => {
            install(&upcalls[case - 2].program)?;
            let description = bench.next_description()?;
            timed_request(&mut bench, &description)
        }
    })
}

struct Bench {
    agent: BenchAgent,
    pongs: SignalFd,
    requests: u32,
}

impl Bench {
    fn set_up() -> Result<Self> {
        let pongs = SignalFd::blocking(Signals::one(PONG)).map_err(during("signalfd"))?;
        signals::install_noop_handler(HELD).map_err(during("sigaction"))?;
        let mut agent = BenchAgent::start(KIND, Reply::Instantiate, None)?;
        agent.start_serving()?;
        Ok(Self { agent, pongs, requests: 0 })
    }

    fn next_description(&mut self) -> Result<CString> {
        self.requests += 1;
        CString::new(format!("bench:{}", self.requests)).map_err(during("a description"))
    }

    /// Measures a request that the keyagent answers.
    fn answered(&mut self, measure: impl FnOnce(&mut Self, &CStr) -> Result<u64>) -> Result<u64> {
        let description = self.next_description()?;
        self.agent.subscribe()?;
        let sample = measure(self, &description);
        self.agent.unsubscribe()?;
        sample
    }

    /// Measures the floor: a signal to the keyagent, its four keyring calls, and a signal back. The upcall
    /// has arrived before the clock starts, and the requester no longer waits.
    fn measure_floor(&mut self, description: &CStr) -> Result<u64> {
        self.agent.signal(HOLD)?;
        match keyring::request_key(KIND, description, Some(CALLOUT), None) {
            Err(Errno::INTR) => {}
            other => return Err(BenchError(format!("a request that was to be interrupted gave {other:?}"))),
        }
        let begun = Instant::now();
        self.agent.signal(PING)?;
        let pong = self.pongs.take();
        let took = begun.elapsed();
        pong.ok_or_else(|| BenchError("signalfd returned no signal".to_owned()))?;
        let key = keyring::request_key(KIND, description, None, None).map_err(during("an answer"))?;
        unlink_key(key)?;
        Ok(nanoseconds(took))
    }
}

fn timed_request(_: &mut Bench, description: &CStr) -> Result<u64> {
    let begun = Instant::now();
    let key = keyring::request_key(KIND, description, Some(CALLOUT), None);
    let took = begun.elapsed();
    unlink_key(key.map_err(during("a request"))?)?;
    Ok(nanoseconds(took))
}

/// Unlinks a key from PID 1's keyrings: its own, and the session keyring, which request-key may have linked
/// it into.
fn unlink_key(key: KeySerial) -> Result<()> {
    let _ = keyring::unlink(key, SpecialKey::Session);
    keyring::unlink(key, SpecialKey::Process).map_err(during("a key that was answered"))
}

/// Puts a program in the place of [`REQUEST_KEY`].
pub(super) fn install(program: &str) -> Result<()> {
    let new = format!("{REQUEST_KEY}.new");
    fs::hard_link(program, &new).map_err(during(program))?;
    fs::rename(&new, REQUEST_KEY).map_err(during(REQUEST_KEY))?;
    // Renaming one link of a file over another link of the same file leaves both.
    let _ = fs::remove_file(new);
    Ok(())
}
