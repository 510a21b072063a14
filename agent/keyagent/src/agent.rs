//! A registered agent.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyring::{KeySerial, SpecialKey};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::authority;
use super::delivery::{self, Announced, Source};
use super::key_calls::KeyCalls;
use super::proc_keys;
use super::request::reject_unread;
use super::signals::AgentSignal;
use super::{Builder, Errno, Error, Request, Result};

/// Time within which the kernel hands over a request that nothing keeps in the queue.
const HANDOVER: Duration = Duration::from_secs(2);

/// The same where requests that the program has may keep others in the queue.
const QUIET: Duration = Duration::from_millis(100);

/// How often a program that waits for a signal looks for requests whose signal could not be queued.
const RESCAN: Duration = Duration::from_secs(1);

/// What an agent shares with its requests.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) keys: KeyCalls,
    pub(crate) kind: String,
    pub(crate) key: KeySerial,
    /// A keyring with the key, in the process keyring.
    keeper: Option<KeySerial>,
    source: Source,
    arrived: Mutex<VecDeque<Announced>>,
    /// Whether `arrived` has everything that there was when the source was read last.
    is_read: AtomicBool,
    /// Targets of the requests that the program has.
    taken: Mutex<BTreeSet<KeySerial>>,
    has_ended: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        keys: KeyCalls,
        kind: String,
        key: KeySerial,
        keeper: Option<KeySerial>,
        source: Source,
    ) -> Self {
        let (arrived, is_read, taken, has_ended) = Default::default();
        Self { keys, kind, key, keeper, source, arrived, is_read, taken, has_ended }
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, BTreeSet<KeySerial>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self) -> MutexGuard<'_, VecDeque<Announced>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request that the kernel has announced.
    fn next_announced(&self) -> Result<Option<Announced>> {
        let first = self.arrived().pop_front();
        if first.is_some() {
            return Ok(first);
        }
        let new = self.source.take(&self.keys)?;
        self.is_read.store(!new.is_empty(), Relaxed);
        let mut arrived = self.arrived();
        arrived.extend(new);
        Ok(arrived.pop_front())
    }

    /// Whether the last read has left nothing to take. The next call returns false.
    fn is_used_up(&self) -> bool {
        self.arrived().is_empty() && self.is_read.swap(false, Relaxed)
    }

    /// Waits until something has arrived, or the time has passed. Returns false in the latter case.
    fn wait(&self, limit: Option<Duration>) -> Result<bool> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut [PollFd::new(&self.source, PollFlags::IN)], limit.as_ref()) {
            Err(Errno::INTR) => Ok(true),
            polled => polled.map(|ready| ready > 0).map_err(Error::call("poll")),
        }
    }

    fn pending(&self) -> Option<u32> {
        let key = self.key;
        self.keys.run(move || proc_keys::pending(key)).ok().flatten()
    }

    /// Notes that the program has completed or dropped a request.
    ///
    /// After the agent's end, the kernel may now hand over others that it had queued behind it.
    pub(crate) fn release(&self, target: KeySerial) {
        self.taken().remove(&target);
        if self.has_ended.load(Acquire) {
            self.reject_rest();
        }
    }

    /// Rejects all requests that the program has not taken, those that the kernel has queued included. Returns
    /// false if some may be left.
    fn reject_rest(&self) -> bool {
        let mut quiet_since = Instant::now();
        loop {
            while let Ok(Some(Announced { target, .. })) = self.next_announced() {
                quiet_since = Instant::now();
                let kind = self.kind.clone();
                if !self.taken().contains(&target) {
                    let _ = self.keys.run(move || reject_unread(target, &kind));
                }
            }
            let pending = self.pending();
            let taken = self.taken().len();
            if pending.is_some_and(|pending| pending as usize <= taken) {
                return true;
            }
            let limit = if pending.is_some() && taken == 0 { HANDOVER } else { QUIET };
            if quiet_since.elapsed() > limit {
                return false;
            }
            let _ = self.wait(Some(QUIET / 10));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper {
            let _ = self.keys.run(move || keyring::unlink(keeper, SpecialKey::Process));
        }
    }
}

/// This process as an agent for one type of key. Dropping it ends the registration.
///
/// Requests are taken with [`next_request`](Self::next_request), which waits, with
/// [`try_next_request`](Self::try_next_request), which does not, or with an iterator. [`AsFd`] is for event
/// loops: the descriptor is readable when a request has arrived. Take all requests that are there before
/// waiting for it again.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    signal: Option<AgentSignal>,
    /// The keyring that the key was added to.
    home: KeySerial,
    fallback: bool,
}

impl Agent {
    /// Begins a registration for a type of key, as in `user` or `dns_resolver`. The kernel need not have the
    /// type yet.
    pub fn builder(kind: &str) -> Builder {
        Builder::new(kind)
    }

    pub(crate) fn new(shared: Shared, signal: AgentSignal, home: KeySerial, fallback: bool) -> Self {
        Self { shared: Arc::new(shared), signal: Some(signal), home, fallback }
    }

    /// The key that represents the agent. A process that has it linked in its session keyring is served.
    pub fn key(&self) -> KeySerial {
        self.shared.key
    }

    /// The type of key that is served.
    pub fn kind(&self) -> &str {
        &self.shared.kind
    }

    /// The number of requests that are pending with the agent: those that the program has, and those that the
    /// kernel has queued. `None` if `/proc/keys` does not show it, or has a line of the same serial number in the
    /// description of another key.
    ///
    /// A program that is to finish its requests before it ends waits until this is zero.
    pub fn pending(&self) -> Option<u32> {
        self.shared.pending()
    }

    /// Takes a request if one has arrived.
    ///
    /// # Errors
    /// [`Error::Forked`]; [`Error::Call`] and [`Error::Io`] if the kernel is short of memory.
    pub fn try_next_request(&self) -> Result<Option<Request>> {
        self.take_request(false)
    }

    /// Takes a request if one has arrived, and lets `answer` have it. Returns whether there was one: if not, it is time
    /// to wait for the descriptor, with poll(2) or another call that is not edge-triggered.
    ///
    /// With [`Builder::current_thread`], this makes fewer system calls than
    /// [`try_next_request`](Self::try_next_request) if `answer` completes the request. The thread may have the
    /// authority over it until `answer` returns; so `answer` starts no process that must not inherit it, and assumes no
    /// other authority.
    ///
    /// # Errors
    /// As for [`try_next_request`](Self::try_next_request).
    pub fn try_serve(&self, answer: impl FnOnce(Request)) -> Result<bool> {
        // One that has arrived since makes the descriptor readable.
        if self.shared.is_used_up() {
            return Ok(false);
        }
        let keep = self.shared.keys.are_in_current_thread();
        let Some(request) = self.take_request(keep)? else { return Ok(false) };
        // Also if `answer` panics.
        let _given_up = keep.then_some(KeptAuthority);
        answer(request);
        Ok(true)
    }

    fn take_request(&self, keep: bool) -> Result<Option<Request>> {
        while let Some(announced) = self.shared.next_announced()? {
            if let Some(request) = Request::take(&self.shared, announced, keep)? {
                return Ok(Some(request));
            }
        }
        Ok(None)
    }

    /// Waits for a request. One thread should take requests, and hand them to others: a second one may be kept
    /// waiting while the first has more than one in store.
    ///
    /// # Errors
    /// As for [`try_next_request`](Self::try_next_request).
    pub fn next_request(&self) -> Result<Request> {
        loop {
            if let Some(request) = self.try_next_request()? {
                return Ok(request);
            }
            let is_signalled = matches!(self.shared.source, Source::Signal(_));
            if !self.shared.wait(is_signalled.then_some(RESCAN))? {
                self.rescan()?;
            }
        }
    }

    /// Finds requests that nothing has announced, to be taken as all others.
    ///
    /// With [`Delivery::Signal`](super::Delivery::Signal), the kernel can't announce a request while the processes of this
    /// user have used up `RLIMIT_SIGPENDING`. It hands over one such request at a time.
    /// [`next_request`](Self::next_request) looks for it every second; a program that waits for the descriptor calls this
    /// now and then.
    ///
    /// # Errors
    /// As for [`try_next_request`](Self::try_next_request).
    pub fn rescan(&self) -> Result<()> {
        let mut found = delivery::rescan(&self.shared.keys)?;
        found.retain(|new| !self.shared.taken().contains(&new.target));
        let mut arrived = self.shared.arrived();
        found.retain(|new| !arrived.iter().any(|known| known.target == new.target));
        arrived.extend(found);
        Ok(())
    }

    /// Iterates over requests, and waits for each. The iterator has no end.
    pub fn requests(&self) -> Requests<'_> {
        Requests(self)
    }

    /// Ends new requests. Those that are pending stay so, and may be answered.
    ///
    /// The key is taken out of the keyring that it was added to. New requests of those who have other links to it
    /// fail with `EKEYREVOKED`, or go on without the agent if it has [`fallback`](Builder::fallback).
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn retire(&self) -> Result<()> {
        let (key, home, fallback) = (self.shared.key, self.home, self.fallback);
        self.shared.keys.run(move || {
            // To those who search for an agent, an invalidated key is none.
            let _ = if fallback { keyring::invalidate(key) } else { keyring::revoke(key) };
            // By a key that was displaced, the kernel would unlink the one in its place.
            if keyring::members(home).is_ok_and(|members| members.contains(&key)) {
                let _ = keyring::unlink(key, home);
            }
        })
    }
}

/// Authority that this thread may keep. Dropping this value gives it up.
struct KeptAuthority;

impl Drop for KeptAuthority {
    fn drop(&mut self) {
        authority::give_up();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // In a forked process neither the registration nor the signal is this value's.
        if self.retire().is_ok() {
            self.shared.has_ended.store(true, Release);
            let drained = self.shared.reject_rest();
            if let Some(signal) = self.signal.take() {
                signal.release(!drained);
            }
        }
    }
}

impl AsFd for Agent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.source.as_fd()
    }
}

impl AsRawFd for Agent {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<'a> IntoIterator for &'a Agent {
    type Item = Result<Request>;
    type IntoIter = Requests<'a>;

    fn into_iter(self) -> Requests<'a> {
        self.requests()
    }
}

/// An iterator over an agent's requests.
#[derive(Debug)]
pub struct Requests<'a>(&'a Agent);

impl Iterator for Requests<'_> {
    type Item = Result<Request>;

    fn next(&mut self) -> Option<Result<Request>> {
        Some(self.0.next_request())
    }
}
