//! Key serial numbers, including those of special keyrings.

use serde::{Deserialize, Serialize};

/// A key's serial number (`key_serial_t`).
///
/// Positive numbers are keys, negative ones the calling thread's special keyrings. Zero is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct KeySerial(pub(crate) i32);

impl KeySerial {
    /// No key; as a destination it means that the result is not linked.
    pub(crate) const NONE: Self = Self(0);
    /// `@p`, of a thread group.
    pub(crate) const PROCESS: Self = Self(libc::KEY_SPEC_PROCESS_KEYRING);
    /// `@s`, inherited over fork and exec; a keyagent's key is linked into it.
    pub(crate) const SESSION: Self = Self(libc::KEY_SPEC_SESSION_KEYRING);
    /// `@us`, the session keyring of processes without their own.
    pub(crate) const USER_SESSION: Self = Self(libc::KEY_SPEC_USER_SESSION_KEYRING);
    /// The authkey whose authority the thread has assumed.
    pub(crate) const AUTHKEY: Self = Self(libc::KEY_SPEC_REQKEY_AUTH_KEY);
}
