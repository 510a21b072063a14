//! The keyagent of the measurements: makes only the calls that an answer needs.
//!
//! To measure the floor it can also hold an upcall until a signal requests the answer.

use std::ffi::{CStr, CString};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use keyring::{KeySerial, SpecialKey};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::getppid;

use super::child::Child;
use super::{BenchError, Result, during};
use crate::sys::signals::{SignalFd, Signals, send};

/// Hold the next upcall. It precedes the upcall even when both are pending, since the lowest signal is taken
/// first.
pub(super) const HOLD: i32 = 34;
/// The signal that the keyagent registers.
const UPCALL: i32 = 35;
/// Answer the held upcall.
pub(super) const PING: i32 = 36;
/// The held upcall is answered.
pub(super) const PONG: i32 = 37;
/// The upcall is held; interrupts the requester.
pub(super) const HELD: i32 = libc::SIGUSR1;

/// Timeout of an upcall in milliseconds: the kernel's maximum.
const TIMEOUT_MS: u32 = 600_000;

/// What a keyagent does with the upcalls that it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Instantiates the target with the callout information.
    Instantiate,
    /// Negates the target, which is not cached.
    Negate,
}

/// A keyagent process and its key, which PID 1 keeps in a keyring in its process keyring. PID 1 only becomes a
/// client by a link in its session keyring.
#[derive(Debug)]
pub(super) struct BenchAgent {
    child: Child,
    pub(super) key: KeySerial,
    /// Of this key alone: it would displace another agent's for the same type.
    keeper: KeySerial,
    gate: UnixStream,
}

impl BenchAgent {
    /// Starts a keyagent for `kind` with this `RLIMIT_SIGPENDING`. It answers after [`Self::start_serving`].
    pub(super) fn start(kind: &CStr, reply: Reply, sigpending: Option<u64>) -> Result<Self> {
        let (mut gate, inside) = UnixStream::pair().map_err(during("the agent's gate"))?;
        let child = Child::fork(|| run_agent(kind, reply, sigpending, inside))?;
        let mut serial = [0; 4];
        gate.read_exact(&mut serial).map_err(during("the agent did not register"))?;
        let key = KeySerial::try_from(i32::from_ne_bytes(serial)).map_err(during("the agent's key"))?;
        let name = CString::new(format!("agent {}", child.0)).map_err(during("a keyring's name"))?;
        let keeper = keyring::add_key(c"keyring", &name, &[], SpecialKey::Process);
        let keeper = keeper.map_err(during("a keyring for the agent's key"))?;
        keyring::link(key, keeper).map_err(during("keeping the agent's key"))?;
        keyring::unlink(key, SpecialKey::Session).map_err(during("the agent's key"))?;
        Ok(Self { child, key, keeper, gate })
    }

    pub(super) fn start_serving(&mut self) -> Result<()> {
        self.gate.write_all(&[0]).map_err(during("the agent's gate"))
    }

    /// Makes PID 1 and its future children clients of the keyagent.
    pub(super) fn subscribe(&self) -> Result<()> {
        keyring::link(self.key, SpecialKey::Session).map_err(during("the agent's link"))
    }

    pub(super) fn unsubscribe(&self) -> Result<()> {
        keyring::unlink(self.key, SpecialKey::Session).map_err(during("the agent's link"))
    }

    pub(super) fn signal(&self, signal: i32) -> Result<()> {
        send(self.child.0, signal).map_err(during("a signal to the agent"))
    }
}

impl Drop for BenchAgent {
    fn drop(&mut self) {
        let _ = keyring::unlink(self.keeper, SpecialKey::Process);
        let _ = keyring::unlink(self.key, SpecialKey::Session);
    }
}

fn run_agent(kind: &CStr, reply: Reply, sigpending: Option<u64>, mut gate: UnixStream) -> Result<()> {
    if let Some(limit) = sigpending {
        setrlimit(Resource::RLIMIT_SIGPENDING, limit, limit).map_err(during("RLIMIT_SIGPENDING"))?;
    }
    let handled = Signals::one(HOLD).with(Signals::one(UPCALL)).with(Signals::one(PING));
    let mut signals = SignalFd::blocking(handled).map_err(during("signalfd"))?;
    let key = register(kind)?;
    gate.write_all(&key.get().to_ne_bytes()).map_err(during("the agent's gate"))?;
    gate.read_exact(&mut [0]).map_err(during("the agent's gate"))?;
    serve(&mut signals, reply)
}

/// Registers this process as a keyagent, with the key in its session keyring.
pub(super) fn register(kind: &CStr) -> Result<KeySerial> {
    let key = keyring::add_key(c"keyagent", kind, &parameters(), SpecialKey::Session);
    key.map_err(during("registering a keyagent"))
}

/// `struct keyagent_params` (R2).
fn parameters() -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&(UPCALL as u32).to_ne_bytes());
    bytes[8..12].copy_from_slice(&TIMEOUT_MS.to_ne_bytes());
    bytes
}

fn serve(signals: &mut SignalFd, reply: Reply) -> Result<()> {
    let parent = getppid().as_raw();
    let mut hold = false;
    let mut held = None;
    loop {
        let Some(received) = signals.take() else {
            return Err(BenchError("signalfd returned no signal".to_owned()));
        };
        match received.signal {
            HOLD => hold = true,
            UPCALL if hold => {
                hold = false;
                held = KeySerial::new(received.value);
                send(parent, HELD).map_err(during("a signal to the requester"))?;
            }
            UPCALL => answer(KeySerial::new(received.value), reply)?,
            _ => {
                answer(held, reply)?;
                send(parent, PONG).map_err(during("a signal to the requester"))?;
            }
        }
    }
}

fn answer(target: Option<KeySerial>, reply: Reply) -> Result<()> {
    let target = target.ok_or_else(|| BenchError("a signal without a target".to_owned()))?;
    keyring::assume_authority(target).map_err(during("assuming authority"))?;
    let callout = keyring::read(SpecialKey::AssumedAuthkey).map_err(during("reading the callout"))?;
    if reply == Reply::Negate {
        // Success ends the authority.
        return keyring::negate(target, 0, None).map_err(during("negating"));
    }
    keyring::instantiate(target, &callout, None).map_err(during("instantiating"))?;
    keyring::drop_authority().map_err(during("dropping authority"))
}
