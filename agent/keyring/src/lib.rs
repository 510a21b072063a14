//! The Linux kernel's key service: [`add_key(2)`], [`request_key(2)`] and [`keyctl(2)`].
//!
//! Each function makes one system call, unless its documentation says otherwise, and returns the kernel's
//! error number unchanged. A key argument is a [`KeySerial`], which the kernel has assigned, or a
//! [`SpecialKey`], which names a keyring of the calling thread. Both convert into [`KeyId`].
//!
//! ```no_run
//! use keyring::{SpecialKey, add_key, read};
//!
//! let key = add_key(c"user", c"greeting", b"hello", SpecialKey::Session)?;
//! assert_eq!(read(key)?, b"hello");
//! # Ok::<(), keyring::Errno>(())
//! ```
//!
//! # Threads
//!
//! Keyrings and authority belong to credentials, and each thread has its own. [`join_session_keyring`],
//! [`assume_authority`] and [`set_default_destination`] change the calling thread alone. A process keyring
//! is shared with those threads that are created after it.
//!
//! # Errors
//!
//! These errors are common to all functions that take a key, and are not repeated there:
//!
//! | error | cause |
//! |---|---|
//! | `EACCES` | the key does not grant the permission that the function names |
//! | `EINVAL` | the serial number is 0, or the special keyring does not exist in Linux |
//! | `EKEYEXPIRED`, `EKEYREVOKED` | the key has expired, or was revoked |
//! | `ENOKEY` | there is no such key, or it was invalidated or negated |
//! | `ENOSYS` | the kernel was built without `CONFIG_KEYS`, or a seccomp filter says so |
//! | `EPERM` | a seccomp filter denies the call, or a security module does |
//!
//! [`add_key(2)`]: https://man7.org/linux/man-pages/man2/add_key.2.html
//! [`request_key(2)`]: https://man7.org/linux/man-pages/man2/request_key.2.html
//! [`keyctl(2)`]: https://man7.org/linux/man-pages/man2/keyctl.2.html

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod authority;
mod description;
mod key;
mod links;
mod permissions;
mod serial;
mod service;
mod syscall;
mod watch_queue;

pub use authority::{
    MAX_ERROR, assume_authority, drop_authority, instantiate, instantiate_iov, negate, reject,
};
pub use description::{Description, target_of_authkey};
pub use key::{
    add_key, chown, describe, invalidate, read, request_key, revoke, security_label, set_permissions,
    set_timeout, update,
};
pub use links::{
    clear, get_keyring_id, get_persistent, join_session_keyring, link, members, move_link, restrict, search,
    session_to_parent, unlink,
};
pub use permissions::{Permissions, Rights};
pub use serial::{KeyId, KeySerial, SpecialKey};
pub use service::{
    Capabilities, DefaultDestination, Refusal, capabilities, refusal, set_default_destination,
};
pub use watch_queue::{Change, Notification, WatchQueue, parse_notifications};

/// The kernel's error number. Unlike an enumeration, it can hold numbers without a name.
pub use rustix::io::Errno;

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Errno>;
