//! Names of keys: the serial numbers that the kernel gives, and the negative ones that it understands.

use std::fmt;

/// A key's serial number as the kernel takes and gives it (`key_serial_t`).
///
/// Positive numbers name keys; negative ones are the special keyrings of the calling thread; zero names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeySerial(pub(crate) i32);

impl KeySerial {
    /// No key: as a destination, the result is linked nowhere.
    pub(crate) const NONE: Self = Self(0);
}

impl fmt::Display for KeySerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The keys that a thread can name without knowing their serial, resolved by `lookup_user_key()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Special {
    /// `@t`, seen by one thread.
    Thread = libc::KEY_SPEC_THREAD_KEYRING,
    /// `@p`, shared by a thread group.
    Process = libc::KEY_SPEC_PROCESS_KEYRING,
    /// `@s`, inherited over fork and exec: what a keyagent's key is linked into.
    Session = libc::KEY_SPEC_SESSION_KEYRING,
    /// `@u`, shared by all processes of a user.
    User = libc::KEY_SPEC_USER_KEYRING,
    /// `@us`, the session keyring of those who have none of their own.
    UserSession = libc::KEY_SPEC_USER_SESSION_KEYRING,
    /// `@g`, which no kernel implements yet.
    Group = libc::KEY_SPEC_GROUP_KEYRING,
    /// The authkey whose authority the thread has assumed.
    AuthKey = libc::KEY_SPEC_REQKEY_AUTH_KEY,
    /// The destination keyring of the request that the assumed authkey stands for.
    Requestor = libc::KEY_SPEC_REQUESTOR_KEYRING,
}

impl From<Special> for KeySerial {
    fn from(special: Special) -> Self {
        Self(special as i32)
    }
}
