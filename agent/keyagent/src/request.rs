//! A request that is to be answered.

use std::sync::Arc;
use std::time::Duration;

use keyring::{Errno, KeySerial};

use super::agent::Shared;
use super::authority::{read_callout, with_authority};
use super::delivery::Announced;
use super::error::has_ended;
use super::{Delegation, Error, Result};

/// The most bytes that a description has.
pub const MAX_DESCRIPTION: usize = 4095;

/// The most bytes of callout information that a request has. The kernel takes less than a page from programs;
/// what is longer is rejected with `E2BIG`.
pub const MAX_CALLOUT: usize = 65_535;

/// Whoever has made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requester {
    /// The owner of the requested key, in the agent's user namespace: the requester's file system uid, the
    /// overflow uid if it has none there.
    pub uid: u32,
    /// The group of the requested key, in the same way.
    pub gid: u32,
    /// The requester's pid in the agent's pid namespace. `None` if it is not there, if the kernel has made the
    /// request under credentials of its own, or with [`Delivery::WatchQueue`](super::Delivery::WatchQueue). The
    /// pid may be another process's by the time it is used.
    pub pid: Option<u32>,
    /// The requester's real uid, with [`Delivery::Signal`](super::Delivery::Signal).
    pub real_uid: Option<u32>,
}

/// A request for a key. It is answered once; if it is dropped without an answer, it is rejected with `ENOKEY`,
/// which is not cached.
///
/// It can be answered from any thread.
#[derive(Debug)]
#[must_use = "a request that is dropped is rejected"]
pub struct Request {
    shared: Arc<Shared>,
    target: KeySerial,
    authkey: KeySerial,
    description: Vec<u8>,
    callout: Vec<u8>,
    requester: Requester,
    is_answered: bool,
}

impl Request {
    /// Reads what is requested. `None` if the request has ended, is another agent's, or was taken before. If that
    /// needs the authority and `keep` says so, the thread in which calls are made keeps it.
    pub(crate) fn take(shared: &Arc<Shared>, announced: Announced, keep: bool) -> Result<Option<Self>> {
        let Announced { target, pid, real_uid, .. } = announced;
        if !shared.taken().insert(target) {
            return Ok(None);
        }
        let kind = shared.kind.clone();
        let question = shared.keys.run(move || Question::read(announced, &kind, keep));
        match question.and_then(|read| read.map_err(Error::call("reading a request"))) {
            Ok(Some(Question { authkey, uid, gid, description, callout })) => Ok(Some(Self {
                shared: Arc::clone(shared),
                target,
                authkey,
                description,
                callout,
                requester: Requester { uid, gid, pid, real_uid },
                is_answered: false,
            })),
            nothing => {
                shared.taken().remove(&target);
                nothing.map(|_| None)
            }
        }
    }

    /// Whether its deadline and other causes have left the request open. It may end at any moment after.
    pub fn is_pending(&self) -> bool {
        let authkey = self.authkey;
        self.shared.keys.run(move || keyring::describe(authkey)).is_ok_and(|described| described.is_ok())
    }

    /// The serial number of the key that is requested.
    pub fn key(&self) -> KeySerial {
        self.target
    }

    /// The type of the key, which is the agent's.
    pub fn kind(&self) -> &str {
        &self.shared.kind
    }

    /// The description of the key: at most [`MAX_DESCRIPTION`] bytes, none of them NUL. The requester has
    /// chosen it.
    pub fn description(&self) -> &[u8] {
        &self.description
    }

    /// The callout information: at most [`MAX_CALLOUT`] bytes. The requester has chosen it.
    pub fn callout(&self) -> &[u8] {
        &self.callout
    }

    /// Whoever has made the request.
    pub fn requester(&self) -> Requester {
        self.requester
    }

    /// Lets the key expire some time after it is instantiated, in whole seconds, rounded up. Zero: never.
    ///
    /// Set before a helper answers that can't do it itself.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        let (target, seconds) = (self.target, seconds(timeout));
        let set = self.shared.keys.run(move || keyring::set_timeout(target, seconds))?;
        set.map_err(Error::of_request("keyctl_set_timeout"))
    }

    /// Answers with the key's payload: at most 1 MiB, in the form that the type takes.
    ///
    /// # Errors
    /// - [`Error::Ended`].
    /// - [`Error::Call`] with `EINVAL` if the type does not take the payload, [`Error::Quota`] if the
    ///   requester's quota is used up, or the like. The request is then rejected with that error, which is not
    ///   cached.
    pub fn instantiate(mut self, payload: &[u8]) -> Result<()> {
        let payload = payload.to_vec();
        let target = self.target;
        self.complete("keyctl_instantiate", move || keyring::instantiate(target, &payload, None))
    }

    /// Answers that there is no such key: `ENOKEY`, which is cached for whole seconds, rounded up.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn negate(mut self, cached: Duration) -> Result<()> {
        let (target, seconds) = (self.target, seconds(cached));
        self.complete("keyctl_negate", move || keyring::negate(target, seconds, None))
    }

    /// Answers with an error from 1 to 511, which is cached for whole seconds, rounded up.
    ///
    /// # Errors
    /// - [`Error::Ended`].
    /// - [`Error::Rejection`]: another number. The request is then rejected as if it was dropped.
    pub fn reject(mut self, error: Errno, cached: Duration) -> Result<()> {
        if !(1..=keyring::MAX_ERROR).contains(&error.raw_os_error()) {
            return Err(Error::Rejection(error));
        }
        let (target, seconds) = (self.target, seconds(cached));
        self.complete("keyctl_reject", move || keyring::reject(target, seconds, error, None))
    }

    /// Prepares to hand the request to a child process, which then answers it.
    ///
    /// The request stays this process's as well: drop it when the child has exited. If the child has not
    /// answered, it is rejected then.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Quota`].
    pub fn delegate(&self) -> Result<Delegation> {
        Delegation::new(&self.shared.keys, self.target, self.requester)
    }

    fn complete(
        &mut self,
        call: &'static str,
        answer: impl FnOnce() -> keyring::Result<()> + Send + 'static,
    ) -> Result<()> {
        let target = self.target;
        let completed = self.shared.keys.run(move || {
            let answered = with_authority(target, answer);
            if let Err(errno) = answered
                && !has_ended(errno)
            {
                let _ = with_authority(target, || keyring::reject(target, 0, errno, None));
            }
            answered
        })?;
        self.is_answered = true;
        completed.map_err(Error::of_request(call))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.is_answered {
            let target = self.target;
            let negate = move || with_authority(target, || keyring::negate(target, 0, None));
            // An error means that the request has ended, or is not this process's.
            let _ = self.shared.keys.run(negate);
        }
        self.shared.release(self.target);
    }
}

/// Rejects a request of this type as if it was dropped. It may have ended.
pub(crate) fn reject_unread(target: KeySerial, kind: &str) {
    if keyring::describe(target).is_ok_and(|described| described.kind == kind) {
        let _ = with_authority(target, || keyring::negate(target, 0, None));
    }
}

/// What a request asks.
struct Question {
    authkey: KeySerial,
    uid: u32,
    gid: u32,
    description: Vec<u8>,
    callout: Vec<u8>,
}

impl Question {
    /// Reads a request for a key of this type. `None` if it has ended, or is for another agent.
    ///
    /// One that can't be read is rejected, as nobody else can answer it.
    fn read(announced: Announced, kind: &str, keep: bool) -> keyring::Result<Option<Self>> {
        let target = announced.target;
        let read = keyring::describe(target).and_then(|described| {
            if described.kind != kind {
                return Ok(None);
            }
            let (authkey, callout) = match announced.authkey {
                // Its possessor reads it without authority.
                Some(authkey) => (authkey, keyring::read(authkey)?),
                None => read_callout(target, keep)?,
            };
            if callout.len() > MAX_CALLOUT {
                return Err(Errno::TOOBIG);
            }
            let (uid, gid, description) = (described.uid, described.gid, described.description);
            Ok(Some(Self { authkey, uid, gid, description, callout }))
        });
        match read {
            // Not even described without the authorization key, which goes when the request ends.
            Err(errno) if has_ended(errno) || errno == Errno::ACCESS => Ok(None),
            Err(errno) => {
                let _ = with_authority(target, || keyring::reject(target, 0, errno, None));
                Err(errno)
            }
            read => Ok(read?),
        }
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u32 {
    let seconds = time.as_secs().saturating_add((time.subsec_nanos() > 0).into());
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_are_rounded_up() {
        let times = [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(2), Duration::MAX];
        assert_eq!(times.map(seconds), [0, 1, 2, u32::MAX]);
    }
}
