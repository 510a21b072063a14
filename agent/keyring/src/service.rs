//! The key service as a whole: what the kernel offers, and what it lets the caller use.

use super::syscall::{self, Arg};
use super::{Errno, Result};

bitflags::bitflags! {
    /// Features of the kernel's key service: the first two bytes of KEYCTL_CAPABILITIES.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Capabilities: u16 {
        /// [`capabilities`] itself.
        const CAPABILITIES = 0x0001;
        /// [`get_persistent`](super::get_persistent) (`CONFIG_PERSISTENT_KEYRINGS`).
        const PERSISTENT_KEYRINGS = 0x0002;
        /// Diffie-Hellman computations (`CONFIG_KEY_DH_OPERATIONS`).
        const DIFFIE_HELLMAN = 0x0004;
        /// Operations with public keys (`CONFIG_ASYMMETRIC_KEY_TYPE`).
        const PUBLIC_KEY = 0x0008;
        /// The type `big_key` (`CONFIG_BIG_KEYS`).
        const BIG_KEY = 0x0010;
        /// [`invalidate`](super::invalidate).
        const INVALIDATE = 0x0020;
        /// [`restrict`](super::restrict).
        const RESTRICT_KEYRING = 0x0040;
        /// [`move_link`](super::move_link).
        const MOVE = 0x0080;
        /// Each user namespace has its own names of keyrings.
        const NS_KEYRING_NAME = 0x0100;
        /// Keys can be kept apart by network namespace.
        const NS_KEY_TAG = 0x0200;
        /// Watch queues (`CONFIG_KEY_NOTIFICATIONS`).
        const NOTIFICATIONS = 0x0400;
        /// Keyagents (`CONFIG_KEYAGENT`).
        const KEYAGENT = 0x0800;
    }
}

/// Features of the kernel's key service, bits that this crate does not know included.
/// [`keyctl_capabilities(3)`](https://man7.org/linux/man-pages/man3/keyctl_capabilities.3.html), in the kernel
/// `keyctl_capabilities()`.
///
/// # Errors
/// `EOPNOTSUPP`: Linux before 5.3.
pub fn capabilities() -> Result<Capabilities> {
    let mut bytes = [0; 2];
    syscall::keyctl_capabilities(&mut bytes)?;
    Ok(Capabilities::from_bits_retain(u16::from_le_bytes(bytes)))
}

/// The keyring that [`request_key`](super::request_key) links a requested key into if it names none
/// (`KEY_REQKEY_DEFL_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum DefaultDestination {
    /// The first that exists of the thread, process, session and user session keyring.
    Default = 0,
    /// The thread keyring.
    Thread = 1,
    /// The process keyring.
    Process = 2,
    /// The session keyring.
    Session = 3,
    /// The user keyring.
    User = 4,
    /// The user session keyring.
    UserSession = 5,
    /// A group keyring, which Linux does not implement: EINVAL.
    Group = 6,
    /// With assumed authority, the destination of the requester.
    Requestor = 7,
}

/// Sets the thread's default destination of [`request_key`](super::request_key), which children inherit.
/// [`keyctl_set_reqkey_keyring(3)`](https://man7.org/linux/man-pages/man3/keyctl_set_reqkey_keyring.3.html), in
/// the kernel `keyctl_set_reqkey_keyring()`.
///
/// # Errors
/// Those of all functions.
pub fn set_default_destination(destination: DefaultDestination) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_SET_REQKEY_KEYRING, [Arg::int(destination as i32)]).map(drop)
}

/// A system call of the key service that something in front of the kernel's code denies: a seccomp filter, as
/// docker and podman install it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `add_key`, `request_key` or `keyctl`.
    pub call: &'static str,
    /// The filter's choice: mostly `EPERM` or `ENOSYS`.
    pub error: Errno,
}

/// Finds out whether the system calls reach the kernel's code.
///
/// Makes each call in a way that the kernel refuses with a certain error and without an effect. Another error
/// comes from elsewhere. `ENOSYS` of all three also comes from a kernel without `CONFIG_KEYS`. A filter that
/// looks at the arguments may deny other calls.
pub fn refusal() -> Option<Refusal> {
    const UNKNOWN_OPERATION: u32 = i32::MAX as u32;
    let keyctl = syscall::keyctl(UNKNOWN_OPERATION, []).err().unwrap_or(Errno::OPNOTSUPP);
    let calls = [
        ("add_key", syscall::add_key_of_nothing(), Errno::FAULT),
        ("keyctl", keyctl, Errno::OPNOTSUPP),
        ("request_key", syscall::request_key_of_nothing(), Errno::FAULT),
    ];
    let denied = calls.into_iter().find(|(_, error, expected)| error != expected);
    denied.map(|(call, error, _)| Refusal { call, error })
}
