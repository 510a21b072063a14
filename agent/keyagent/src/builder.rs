//! Registration.

use std::ffi::CString;
use std::time::Duration;

use keyring::{Capabilities, Errno, KeyId, KeySerial, SpecialKey, WatchQueue};

use super::agent::{Agent, Shared};
use super::delivery::{Source, WATCH_QUEUE_SIZE};
use super::key_calls::KeyCalls;
use super::params::{Params, key_type};
use super::signals::{AgentSignal, SignalFd};
use super::{Delivery, Error, Result};

/// What an agent registers with. Made by [`Agent::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    kind: String,
    params: Params,
    signal: Option<i32>,
    delivery: Delivery,
    keyring: KeyId,
    current_thread: bool,
}

impl Builder {
    pub(crate) fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            params: Params::default(),
            signal: None,
            delivery: Delivery::default(),
            keyring: SpecialKey::Session.into(),
            current_thread: false,
        }
    }

    /// How long a request may take, from the time it is made: 1 ms to 600 s, in whole milliseconds.
    ///
    /// Otherwise `/proc/sys/kernel/keys/keyagent_timeout_ms` says it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.params.timeout = Some(timeout);
        self
    }

    /// How many requests the kernel hands over at once: 1 to 1024, 32 unless said otherwise. Others wait until
    /// one of these has ended. An agent that serves one request at a time says 1.
    pub fn window(mut self, requests: u32) -> Self {
        self.params.window = Some(requests);
        self
    }

    /// Whether new requests go on without the agent once it is gone (`KEYAGENT_FALLBACK`): to another agent,
    /// or to /sbin/request-key. Otherwise they fail.
    pub fn fallback(mut self, fallback: bool) -> Self {
        self.params.fallback = fallback;
        self
    }

    /// The signal that the kernel sends, from `SIGRTMIN` to `SIGRTMAX`. Otherwise the last one is taken that
    /// the program does not use.
    pub fn signal(mut self, signal: i32) -> Self {
        self.signal = Some(signal);
        self
    }

    /// How requests arrive.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// The keyring that the agent's key is added to: the session keyring, unless said otherwise. A key for the
    /// same type in it is displaced. The keyring must be one that the calling thread possesses.
    pub fn keyring(mut self, keyring: impl Into<KeyId>) -> Self {
        self.keyring = keyring.into();
        self
    }

    /// Makes all calls on keys in the thread that takes or answers a request, rather than in a thread that the agent
    /// starts. A request takes less time then, as no thread waits for another. Helpers still get a thread each.
    ///
    /// This is for programs that register and answer in one thread, and for threads that this one starts after it has
    /// registered. Threads that were there before lack the keyring with the authorization keys, and get
    /// [`Error::EarlierThread`]; a request that is dropped in one of them ends at its deadline.
    ///
    /// The calls are made with the credentials that the thread has at that time. An authority that it has assumed
    /// itself is replaced, and dropped. The registering thread gets a process keyring, and in it a keyring with the
    /// agent's key.
    pub fn current_thread(mut self) -> Self {
        self.current_thread = true;
        self
    }

    /// Checks what can be known before registering: the name of the type, the limits, and whether the kernel has
    /// keyagents.
    ///
    /// # Errors
    /// Those that [`Error`] names for registering.
    pub fn check(&self) -> Result<()> {
        self.check_type().map(drop)
    }

    fn check_type(&self) -> Result<CString> {
        let kind = key_type(&self.kind)?;
        self.params.payload(0)?;
        check_kernel()?;
        Ok(kind)
    }

    /// Registers this process as an agent.
    ///
    /// The credentials of the calling thread decide for whom it may answer; changing them later makes no
    /// difference. In the kernel, this is `add_key(2)` with the type `keyagent`.
    ///
    /// # Errors
    /// Those that [`Error`] names for registering, and:
    /// - `EACCES`, `ENOKEY`: the keyring is not one that the thread may add keys to.
    pub fn register(self) -> Result<Agent> {
        // Before anything is changed.
        let kind = self.check_type()?;
        let signal = AgentSignal::take(self.signal, self.delivery)?;
        match self.register_with(&kind, &signal) {
            Ok((shared, home)) => Ok(Agent::new(shared, signal, home, self.params.fallback)),
            Err(why) => {
                signal.release(false);
                Err(why)
            }
        }
    }

    fn register_with(&self, kind: &CString, signal: &AgentSignal) -> Result<(Shared, KeySerial)> {
        let payload = self.params.payload(signal.number())?;
        let source = match self.delivery {
            Delivery::WatchQueue => {
                Source::Watch(WatchQueue::new(WATCH_QUEUE_SIZE).map_err(no_notifications)?)
            }
            Delivery::Signal => {
                Source::Signal(SignalFd::new(signal.number()).map_err(Error::io("signalfd"))?)
            }
        };
        let keys =
            if self.current_thread { KeyCalls::in_current_thread() } else { KeyCalls::in_own_thread() }?;
        let (kind, keyring, in_current_thread) = (kind.clone(), self.keyring, self.current_thread);
        let (source, key, keeper, home) = keys.run(move || {
            // What is handed over before the watch begins would be missed.
            keyring::get_keyring_id(SpecialKey::Process, true)
                .map_err(Error::call("creating a process keyring"))?;
            if let Source::Watch(queue) = &source {
                queue.watch(SpecialKey::Process).map_err(no_notifications)?;
            }
            let home = keyring::get_keyring_id(keyring, false).map_err(Error::call("finding the keyring"))?;
            let key = keyring::add_key(c"keyagent", &kind, &payload, keyring).map_err(registration)?;
            let keeper = keep_visible(key, in_current_thread);
            Ok((source, key, keeper, home))
        })??;
        Ok((Shared::new(keys, self.kind.clone(), key, keeper, source), home))
    }
}

/// Keeps an agent's key in /proc/keys, whatever becomes of its link. The process keyring may have the key of another agent
/// for the same type, which a link would displace: so the key gets a keyring there, which is returned.
fn keep_visible(key: KeySerial, in_current_thread: bool) -> Option<KeySerial> {
    if !in_current_thread {
        let _ = keyring::link(key, SpecialKey::Thread);
        return None;
    }
    let name = CString::new(format!("keyagent {key}")).ok()?;
    let keeper = keyring::add_key(c"keyring", &name, &[], SpecialKey::Process).ok()?;
    let _ = keyring::link(key, keeper);
    Some(keeper)
}

fn check_kernel() -> Result<()> {
    if let Some(refusal) = keyring::refusal() {
        return Err(Error::refused(refusal));
    }
    // Linux before 5.3 has no capabilities to tell.
    let capabilities = keyring::capabilities().unwrap_or(Capabilities::empty());
    if capabilities.contains(Capabilities::KEYAGENT) { Ok(()) } else { Err(Error::NoKeyagents) }
}

fn no_notifications(errno: Errno) -> Error {
    match errno {
        Errno::INVAL | Errno::NOPKG | Errno::OPNOTSUPP => Error::NoNotifications,
        errno => Error::call("watching the process keyring")(errno),
    }
}

fn registration(errno: Errno) -> Error {
    if errno == Errno::NODEV { Error::NoKeyagents } else { Error::call("add_key")(errno) }
}
