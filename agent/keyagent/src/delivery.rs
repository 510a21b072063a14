//! How an agent learns of requests.

use std::os::fd::{AsFd, BorrowedFd};

use keyring::{Change, KeySerial, Notification, SpecialKey, WatchQueue};

use super::key_calls::KeyCalls;
use super::signals::{SignalFd, UpcallSignal};
use super::{Error, Result};

/// The way in which requests arrive. The crate's documentation compares both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// By a watch on the keyring into which the kernel links authorization keys.
    #[default]
    WatchQueue,
    /// By a signal that is blocked in all threads. While it can't be queued, as `RLIMIT_SIGPENDING` is used up,
    /// [`Agent::rescan`](super::Agent::rescan) finds requests.
    Signal,
}

/// Capacity of a watch queue: one record for each request of the kernel's default window, and for its end.
pub(crate) const WATCH_QUEUE_SIZE: u32 = 64;

/// What an agent waits for.
#[derive(Debug)]
pub(crate) enum Source {
    Watch(WatchQueue),
    Signal(SignalFd),
}

/// A request that the kernel has handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) target: KeySerial,
    /// The authorization key. A signal does not name it.
    pub(crate) authkey: Option<KeySerial>,
    pub(crate) pid: Option<u32>,
    pub(crate) real_uid: Option<u32>,
}

impl Source {
    /// The requests since the last call. One that is announced twice may be among them.
    pub(crate) fn take(&self, keys: &KeyCalls) -> Result<Vec<Announced>> {
        match self {
            Self::Signal(signals) => {
                let taken = signals.take().map_err(Error::io("reading the signalfd"))?;
                Ok(taken.into_iter().map(Announced::from).collect())
            }
            Self::Watch(queue) => {
                let taken = queue.take().map_err(Error::call("reading the watch queue"))?;
                let linked = linked(&taken);
                if linked == Linked::These(Vec::new()) {
                    return Ok(Vec::new());
                }
                keys.run(move || targets(linked))?
            }
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Watch(queue) => queue.as_fd(),
            Self::Signal(signals) => signals.as_fd(),
        }
    }
}

impl From<UpcallSignal> for Announced {
    fn from(signal: UpcallSignal) -> Self {
        Self { target: signal.target, authkey: None, pid: signal.pid, real_uid: Some(signal.uid) }
    }
}

/// The requests in the process keyring, those that were taken before included.
pub(crate) fn rescan(keys: &KeyCalls) -> Result<Vec<Announced>> {
    keys.run(|| targets(Linked::Unknown))?
}

/// Keys that were linked into the watched keyring.
#[derive(Debug, PartialEq, Eq)]
enum Linked {
    These(Vec<KeySerial>),
    /// Notifications were lost.
    Unknown,
}

fn linked(notifications: &[Notification]) -> Linked {
    if notifications.contains(&Notification::Lost) {
        return Linked::Unknown;
    }
    let linked = notifications.iter().filter_map(|notification| match notification {
        Notification::Key { change: Change::Linked(key), .. } => Some(*key),
        _ => None,
    });
    Linked::These(linked.collect())
}

/// The targets of those keys that are authorization keys and still valid.
fn targets(linked: Linked) -> Result<Vec<Announced>> {
    let keys = match linked {
        Linked::These(keys) => keys,
        Linked::Unknown => {
            keyring::members(SpecialKey::Process).map_err(Error::call("reading the process keyring"))?
        }
    };
    let announced = |authkey: KeySerial| {
        let target = keyring::describe(authkey).ok()?.target()?;
        Some(Announced { target, authkey: Some(authkey), pid: None, real_uid: None })
    };
    Ok(keys.into_iter().filter_map(announced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_notifications_make_all_links_unknown() {
        let [keyring, key] = [1, 2].map(|serial| KeySerial::new(serial).unwrap());
        let of = |change| Notification::Key { key: keyring, change };
        let (added, removed) = (of(Change::Linked(key)), of(Change::Unlinked(key)));
        assert_eq!(linked(&[removed, added]), Linked::These(vec![key]));
        assert_eq!(linked(&[added, Notification::Lost]), Linked::Unknown);
    }
}
