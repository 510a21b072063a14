//! Watch queue: a pipe of notifications about watched keys (R28).

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::Result;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use scenarios::wire::Notification;

use crate::keyring::{self, KeySerial};

nix::ioctl_write_int_bad! {
    /// `IOC_WATCH_QUEUE_SET_SIZE`.
    set_size, nix::request_code_none!(b'W', 0x60)
}

/// Capacity in notifications. The kernel's minimum, one page, so that scenarios can make it overflow.
const SIZE: i32 = 32;

const TYPE_META: u32 = 0;
const LOSS: u32 = 1;

/// A watch queue. Reading never blocks.
pub(crate) struct WatchQueue {
    reader: File,
    _writer: OwnedFd,
}

impl WatchQueue {
    /// Creates an empty queue (`CONFIG_WATCH_QUEUE`).
    pub(crate) fn new() -> Result<Self> {
        // O_EXCL selects a notification pipe.
        let (reader, writer) = pipe2(OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // SAFETY: takes a number.
        unsafe { set_size(reader.as_raw_fd(), SIZE) }?;
        Ok(Self { reader: reader.into(), _writer: writer })
    }

    pub(crate) fn watch(&self, key: KeySerial) -> Result<()> {
        keyring::watch(key, self.reader.as_raw_fd())
    }

    pub(crate) fn take(&mut self) -> Vec<Notification> {
        let mut buffer = [0; 4096];
        let mut taken = Vec::new();
        while let Ok(length @ 1..) = self.reader.read(&mut buffer) {
            taken.extend(parse(&buffer[..length]));
        }
        taken
    }
}

impl AsFd for WatchQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Parses `struct key_notification`s, and the kernel's notice of lost ones.
fn parse(mut bytes: &[u8]) -> Vec<Notification> {
    let mut parsed = Vec::new();
    while let (Some(head), Some(info)) = (word(bytes, 0), word(bytes, 4)) {
        let (kind, subtype) = (head & 0xff_ffff, head >> 24);
        let length = (info & 0x7f) as usize;
        let numbers = (word(bytes, 8), word(bytes, 12));
        match (kind, numbers) {
            (TYPE_META, _) if subtype == LOSS => parsed.push(notification("lost", 0, 0)),
            (TYPE_META, _) => {}
            (_, (Some(key), Some(aux))) => parsed.push(notification(name(subtype), key, aux)),
            _ => {}
        }
        bytes = bytes.get(length.max(8)..).unwrap_or_default();
    }
    parsed
}

fn notification(subtype: &str, key: u32, aux: u32) -> Notification {
    Notification { subtype: subtype.to_owned(), key: key as i32, aux: i64::from(aux as i32) }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// `enum key_notification_subtype`.
fn name(subtype: u32) -> &'static str {
    const NAMES: [&str; 8] =
        ["instantiated", "updated", "linked", "unlinked", "cleared", "revoked", "invalidated", "setattr"];
    NAMES.get(subtype as usize).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_parsed() {
        let words: [u32; 6] = [2 << 24 | 1, 16, 7, 9, 1 << 24, 8];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(parse(&bytes), [notification("linked", 7, 9), notification("lost", 0, 0)]);
    }
}
