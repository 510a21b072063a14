//! Arguments and results that name a key.

use std::fmt;
use std::num::NonZeroI32;

/// The serial number of a key (`key_serial_t`), as the kernel has assigned it: a positive number.
///
/// The kernel may assign the number of a freed key to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "i32", into = "i32"))]
pub struct KeySerial(NonZeroI32);

impl KeySerial {
    /// `None` for numbers below 1, which are no serial numbers.
    pub const fn new(serial: i32) -> Option<Self> {
        match NonZeroI32::new(serial) {
            Some(number) if serial > 0 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0.get()
    }
}

impl From<KeySerial> for i32 {
    fn from(serial: KeySerial) -> Self {
        serial.get()
    }
}

impl TryFrom<i32> for KeySerial {
    type Error = NotASerial;

    fn try_from(serial: i32) -> Result<Self, NotASerial> {
        Self::new(serial).ok_or(NotASerial(serial))
    }
}

impl fmt::Display for KeySerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number below 1, which is no serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASerial(i32);

impl fmt::Display for NotASerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not the serial number of a key: it is not positive", self.0)
    }
}

impl std::error::Error for NotASerial {}

/// A keyring, or an authorization key, that the calling thread has a name for (`KEY_SPEC_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum SpecialKey {
    /// `@t`, thread-keyring(7): of the calling thread alone.
    Thread = libc::KEY_SPEC_THREAD_KEYRING,
    /// `@p`, process-keyring(7): of the threads that were created after it.
    Process = libc::KEY_SPEC_PROCESS_KEYRING,
    /// `@s`, session-keyring(7): inherited over fork(2) and execve(2). A thread without one uses
    /// [`Self::UserSession`].
    Session = libc::KEY_SPEC_SESSION_KEYRING,
    /// `@u`, user-keyring(7): of all processes of a user.
    User = libc::KEY_SPEC_USER_KEYRING,
    /// `@us`, user-session-keyring(7).
    UserSession = libc::KEY_SPEC_USER_SESSION_KEYRING,
    /// `@g`, which Linux does not implement: EINVAL.
    Group = libc::KEY_SPEC_GROUP_KEYRING,
    /// `@a`, the authorization key whose authority the thread has assumed. ENOKEY without one.
    AssumedAuthkey = libc::KEY_SPEC_REQKEY_AUTH_KEY,
    /// The keyring that the requester has named as destination, with assumed authority.
    RequestorKeyring = libc::KEY_SPEC_REQUESTOR_KEYRING,
}

/// A key argument of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(i32);

impl KeyId {
    /// Any number, those that the kernel refuses included. Programs that test the kernel need it; others
    /// convert a [`KeySerial`] or a [`SpecialKey`].
    pub const fn from_raw(id: i32) -> Self {
        Self(id)
    }

    /// The number that the kernel is given.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl From<KeySerial> for KeyId {
    fn from(serial: KeySerial) -> Self {
        Self(serial.get())
    }
}

impl From<SpecialKey> for KeyId {
    fn from(special: SpecialKey) -> Self {
        Self(special as i32)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positive_numbers_are_serials() {
        assert_eq!(KeySerial::new(7).map(KeySerial::get), Some(7));
        assert_eq!([0, -3].map(KeySerial::new), [None, None]);
    }
}
