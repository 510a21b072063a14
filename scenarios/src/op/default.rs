//! Default values of arguments.

use crate::key_ref::{KeyRef, Special};

/// Timeout of a rejected key in seconds, longer than any scenario.
pub const REJECTED_SECONDS: u32 = 60;

pub(super) fn minute() -> u32 {
    REJECTED_SECONDS
}

pub(super) fn target() -> KeyRef {
    KeyRef::Target
}

pub(super) fn session() -> KeyRef {
    KeyRef::Special(Special::Session)
}

pub(super) fn user() -> String {
    "user".to_owned()
}

pub(super) fn callout() -> String {
    "{callout}".to_owned()
}

pub(super) fn enokey() -> String {
    "ENOKEY".to_owned()
}

/// Limit of a `wait` in milliseconds, sufficient for the slowest back end.
pub(super) fn patience() -> u64 {
    20_000
}

pub(super) fn yes() -> bool {
    true
}
