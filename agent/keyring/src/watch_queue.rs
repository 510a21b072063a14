//! Watch queue: a pipe of notifications about changes of watched keys.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::syscall::{self, Arg};
use super::{Errno, KeyId, KeySerial, Result};

/// `KEYCTL_WATCH_KEY`, which libc does not name.
const KEYCTL_WATCH_KEY: u32 = 32;

/// The tag of every watch. Notifications name the key, which is enough.
const TAG: i32 = 1;

const TYPE_META: u32 = 0;
const TYPE_KEY: u32 = 1;
const META_LOSS: u32 = 1;

/// A watch queue (`CONFIG_WATCH_QUEUE`, `CONFIG_KEY_NOTIFICATIONS`).
///
/// Its descriptor is readable when a notification is there; reading never blocks.
#[derive(Debug)]
pub struct WatchQueue {
    reader: File,
    /// Without a writer, the kernel would report the end of the pipe.
    _writer: OwnedFd,
}

impl WatchQueue {
    /// Creates an empty queue for this many notifications, from 1 to 512, rounded up to whole pages of 32.
    /// [`pipe2(2)`](https://man7.org/linux/man-pages/man2/pipe2.2.html) with `O_NOTIFICATION_PIPE`.
    ///
    /// # Errors
    /// - `EINVAL`: the number is none of these.
    /// - `ENOPKG`, or `EINVAL` on older kernels: the kernel was built without `CONFIG_WATCH_QUEUE`.
    /// - `EPERM`: the user's pipes have too many pages (`/proc/sys/fs/pipe-user-pages-soft`).
    pub fn new(notifications: u32) -> Result<Self> {
        let (reader, writer) = syscall::notification_pipe()?;
        syscall::set_queue_size(reader.as_fd(), notifications)?;
        Ok(Self { reader, _writer: writer })
    }

    /// Watches a key, or the links of a keyring. Needs View permission.
    /// [`keyctl_watch_key(3)`](https://man7.org/linux/man-pages/man3/keyctl_watch_key.3.html), in the kernel
    /// `keyctl_watch_key()`.
    ///
    /// # Errors
    /// - `EBUSY`: the queue watches the key already.
    /// - `EOPNOTSUPP`: the kernel was built without `CONFIG_KEY_NOTIFICATIONS`.
    pub fn watch(&self, key: impl Into<KeyId>) -> Result<()> {
        let pipe = Arg::int(self.reader.as_raw_fd());
        syscall::keyctl(KEYCTL_WATCH_KEY, [Arg::key(key), pipe, Arg::int(TAG)]).map(drop)
    }

    /// Takes all notifications that are there.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn take(&self) -> Result<Vec<Notification>> {
        let mut buffer = [0; 4096];
        let mut taken = Vec::new();
        loop {
            match (&self.reader).read(&mut buffer) {
                Ok(0) => return Ok(taken),
                Ok(length) => taken.extend(parse_notifications(&buffer[..length])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(taken),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            }
        }
    }
}

impl AsFd for WatchQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// A record of a watch queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A watched key has changed.
    Key {
        /// The watched key.
        key: KeySerial,
        /// What happened to it.
        change: Change,
    },
    /// The queue was full, and notifications are lost (`WATCH_META_LOSS_NOTIFICATION`).
    Lost,
    /// A watched key was destroyed (`WATCH_META_REMOVAL_NOTIFICATION`).
    Removed,
}

/// A change of a watched key (`enum key_notification_subtype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was instantiated, or rejected with an error number other than 0.
    Instantiated(i32),
    /// Its payload was replaced.
    Updated,
    /// A key was linked into it.
    Linked(KeySerial),
    /// A key was unlinked from it.
    Unlinked(KeySerial),
    /// It was cleared.
    Cleared,
    /// It was revoked.
    Revoked,
    /// It was invalidated.
    Invalidated,
    /// Its owner, permissions or timeout were set.
    Setattr,
    /// Something that this crate does not know: the subtype, and the record's last word.
    Other(u8, u32),
}

/// Parses the records that a read of a watch queue returns. Whatever is incomplete, or of an unknown type, is
/// left out.
pub fn parse_notifications(mut bytes: &[u8]) -> Vec<Notification> {
    const LENGTH: u32 = 0x7f;
    const HEADER: usize = 8;
    let mut parsed = Vec::new();
    while let (Some(head), Some(info)) = (word(bytes, 0), word(bytes, 4)) {
        let length = ((info & LENGTH) as usize).max(HEADER);
        let record = bytes.get(..length).unwrap_or_default();
        parsed.extend(parse_record(head, record));
        bytes = bytes.get(length..).unwrap_or_default();
    }
    parsed
}

fn parse_record(head: u32, record: &[u8]) -> Option<Notification> {
    let (kind, subtype) = (head & 0xff_ffff, head >> 24);
    match kind {
        TYPE_META if subtype == META_LOSS => Some(Notification::Lost),
        TYPE_META => Some(Notification::Removed),
        TYPE_KEY => {
            let (key, aux) = (serial(word(record, 8)?)?, word(record, 12)?);
            let change = match (subtype, serial(aux)) {
                (0, _) => Change::Instantiated(aux.cast_signed()),
                (1, _) => Change::Updated,
                (2, Some(linked)) => Change::Linked(linked),
                (3, Some(unlinked)) => Change::Unlinked(unlinked),
                (4, _) => Change::Cleared,
                (5, _) => Change::Revoked,
                (6, _) => Change::Invalidated,
                (7, _) => Change::Setattr,
                _ => Change::Other(subtype as u8, aux),
            };
            Some(Notification::Key { key, change })
        }
        _ => None,
    }
}

fn serial(word: u32) -> Option<KeySerial> {
    KeySerial::new(word.cast_signed())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn links_and_losses_are_parsed() {
        let (key, linked) = (KeySerial::new(7).unwrap(), KeySerial::new(9).unwrap());
        let records = bytes(&[2 << 24 | TYPE_KEY, 16, 7, 9, META_LOSS << 24, 8, 77, 8]);
        let expected = [Notification::Key { key, change: Change::Linked(linked) }, Notification::Lost];
        assert_eq!(parse_notifications(&records), expected);
    }

    #[test]
    fn incomplete_record_is_left_out() {
        assert_eq!(parse_notifications(&bytes(&[2 << 24 | TYPE_KEY, 16, 7])), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(bytes: Vec<u8>) {
            prop_assert!(parse_notifications(&bytes).len() <= bytes.len() / 8);
        }

        #[test]
        fn every_record_is_found(subtypes in prop::collection::vec(0_u32..12, 0..40)) {
            let records: Vec<u8> =
                subtypes.iter().flat_map(|subtype| bytes(&[subtype << 24 | TYPE_KEY, 16, 3, 4])).collect();
            prop_assert_eq!(parse_notifications(&records).len(), subtypes.len());
        }
    }
}
