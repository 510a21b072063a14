//! The keyagent of the measurements: does what an answer takes, and nothing else.
//!
//! For the floor it can also hold an upcall until it is rung for by hand: then all that remains is two signals and the
//! same keyring calls.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::getppid;

use super::child::Child;
use super::{Failed, KIND, at};
use crate::keyring::{self, KeySerial, Special};
use crate::sys::signals::{self, SignalFd, Signals};

/// Hold the next upcall. Of several signals the lowest is taken first, so that this one, sent before a request, is heard before the
/// upcall is.
pub(super) const HOLD: i32 = 34;
/// What the kernel announces upcalls with.
const UPCALL: i32 = 35;
/// Answer what is held.
pub(super) const PING: i32 = 36;
/// It is answered.
pub(super) const PONG: i32 = 37;
/// It is held: interrupts the requester.
pub(super) const HELD: i32 = libc::SIGUSR1;

/// How long a request may take, in milliseconds: the most that the kernel allows.
const TIMEOUT_MS: u32 = 600_000;

/// A keyagent, and its key, which PID 1 has in its process keyring. That does not make PID 1 its client: only a session keyring
/// does.
#[derive(Debug)]
pub(super) struct Answerer {
    child: Child,
    key: KeySerial,
    gate: UnixStream,
}

impl Answerer {
    /// Starts a keyagent for `kind` whose `RLIMIT_SIGPENDING` is as given. It answers once it is [let go](Self::let_go).
    pub(super) fn start(kind: &std::ffi::CStr, sigpending: Option<u64>) -> Result<Self, Failed> {
        let (mut gate, inside) = UnixStream::pair().map_err(at("the agent's gate"))?;
        let child = Child::fork(|| live(kind, sigpending, inside))?;
        let mut serial = [0; 4];
        gate.read_exact(&mut serial).map_err(at("the agent has not registered"))?;
        let key = KeySerial(i32::from_ne_bytes(serial));
        keyring::link(key, Special::Process.into()).map_err(at("keeping the agent's key"))?;
        keyring::unlink(key, Special::Session.into()).map_err(at("the agent's key"))?;
        Ok(Self { child, key, gate })
    }

    pub(super) fn let_go(&mut self) -> Result<(), Failed> {
        self.gate.write_all(&[0]).map_err(at("the agent's gate"))
    }

    /// Makes PID 1 and the children that it will have clients of the agent.
    pub(super) fn subscribe(&self) -> Result<(), Failed> {
        keyring::link(self.key, Special::Session.into()).map_err(at("the agent's link"))
    }

    pub(super) fn unsubscribe(&self) -> Result<(), Failed> {
        keyring::unlink(self.key, Special::Session.into()).map_err(at("the agent's link"))
    }

    pub(super) fn key(&self) -> KeySerial {
        self.key
    }

    pub(super) fn ring(&self, signal: i32) -> Result<(), Failed> {
        signals::send(self.child.pid(), signal).map_err(at("a signal to the agent"))
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        let _ = keyring::unlink(self.key, Special::Process.into());
        let _ = keyring::unlink(self.key, Special::Session.into());
    }
}

fn live(kind: &std::ffi::CStr, sigpending: Option<u64>, mut gate: UnixStream) -> Result<(), Failed> {
    if let Some(limit) = sigpending {
        setrlimit(Resource::RLIMIT_SIGPENDING, limit, limit).map_err(at("RLIMIT_SIGPENDING"))?;
    }
    let heard = Signals::only(HOLD).with(Signals::only(UPCALL)).with(Signals::only(PING));
    let mut bells = SignalFd::waiting(heard).map_err(at("signalfd"))?;
    let key = keyring::add_key(c"keyagent", Some(kind), Some(&parameters()), Special::Session.into());
    let key = key.map_err(at("registering a keyagent"))?;
    gate.write_all(&key.0.to_ne_bytes()).map_err(at("the agent's gate"))?;
    gate.read_exact(&mut [0]).map_err(at("the agent's gate"))?;
    serve(&mut bells)
}

/// `struct keyagent_params` (R2).
fn parameters() -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&(UPCALL as u32).to_ne_bytes());
    bytes[8..12].copy_from_slice(&TIMEOUT_MS.to_ne_bytes());
    bytes
}

fn serve(bells: &mut SignalFd) -> Result<(), Failed> {
    let parent = getppid().as_raw();
    let mut hold = false;
    let mut held = KeySerial::NONE;
    loop {
        let Some(bell) = bells.take() else { return Err(Failed("signalfd has nothing to say".to_owned())) };
        match bell.signal {
            HOLD => hold = true,
            UPCALL if hold => {
                hold = false;
                held = KeySerial(bell.value);
                signals::send(parent, HELD).map_err(at("a signal to the requester"))?;
            }
            UPCALL => answer(KeySerial(bell.value))?,
            _ => {
                answer(held)?;
                signals::send(parent, PONG).map_err(at("a signal to the requester"))?;
            }
        }
    }
}

fn answer(target: KeySerial) -> Result<(), Failed> {
    keyring::assume_authority(target).map_err(at("assuming authority"))?;
    let callout = keyring::read(Special::AuthKey.into()).map_err(at("reading the callout"))?;
    keyring::instantiate(target, &callout, KeySerial::NONE).map_err(at("instantiating"))?;
    keyring::assume_authority(KeySerial::NONE).map_err(at("giving authority up")).map(drop)
}

/// The type that requests are made for.
pub(super) fn for_requests(sigpending: Option<u64>) -> Result<Answerer, Failed> {
    Answerer::start(KIND, sigpending)
}
