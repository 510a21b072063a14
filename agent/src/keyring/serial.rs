//! Key serial numbers, including those of special keyrings.

use std::fmt;

/// A key's serial number (`key_serial_t`).
///
/// Positive numbers are keys, negative ones the calling thread's special keyrings. Zero is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeySerial(pub(crate) i32);

impl KeySerial {
    /// No key; as a destination it means that the result is not linked.
    pub(crate) const NONE: Self = Self(0);
}

impl fmt::Display for KeySerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Keys with a fixed number, which `lookup_user_key()` resolves for the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Special {
    /// `@t`, of one thread.
    Thread = libc::KEY_SPEC_THREAD_KEYRING,
    /// `@p`, of a thread group.
    Process = libc::KEY_SPEC_PROCESS_KEYRING,
    /// `@s`, inherited over fork and exec; a keyagent's key is linked into it.
    Session = libc::KEY_SPEC_SESSION_KEYRING,
    /// `@u`, of a user.
    User = libc::KEY_SPEC_USER_KEYRING,
    /// `@us`, the session keyring of processes without their own.
    UserSession = libc::KEY_SPEC_USER_SESSION_KEYRING,
    /// `@g`, which no kernel implements.
    Group = libc::KEY_SPEC_GROUP_KEYRING,
    /// The authkey whose authority the thread has assumed.
    AuthKey = libc::KEY_SPEC_REQKEY_AUTH_KEY,
    /// The destination keyring of the request that the assumed authkey belongs to.
    Requestor = libc::KEY_SPEC_REQUESTOR_KEYRING,
}

impl From<Special> for KeySerial {
    fn from(special: Special) -> Self {
        Self(special as i32)
    }
}
