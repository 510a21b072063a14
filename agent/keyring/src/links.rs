//! Operations on keyrings and their links.

use std::ffi::CStr;

use super::syscall::{self, Arg, serial};
use super::{KeyId, KeySerial, Result};

/// Resolves a special keyring to its serial number. `create` creates it if it is missing.
/// [`keyctl_get_keyring_ID(3)`](https://man7.org/linux/man-pages/man3/keyctl_get_keyring_ID.3.html), in the
/// kernel `keyctl_get_keyring_ID()`.
///
/// # Errors
/// `ENOKEY`: it is missing.
pub fn get_keyring_id(keyring: impl Into<KeyId>, create: bool) -> Result<KeySerial> {
    serial(syscall::keyctl(libc::KEYCTL_GET_KEYRING_ID, [Arg::key(keyring), Arg::int(create.into())]))
}

/// Replaces the thread's session keyring: by the one called `name`, which is created if it is missing, or by a
/// new anonymous one.
/// [`keyctl_join_session_keyring(3)`](https://man7.org/linux/man-pages/man3/keyctl_join_session_keyring.3.html),
/// in the kernel `keyctl_join_session_keyring()`.
///
/// # Errors
/// - `EDQUOT`: the user's quota of keys is used up.
/// - `EPERM`: the name begins with a dot.
pub fn join_session_keyring(name: Option<&CStr>) -> Result<KeySerial> {
    serial(syscall::keyctl(libc::KEYCTL_JOIN_SESSION_KEYRING, [name.map_or(Arg::NONE, Arg::from)]))
}

/// The keys that a keyring links to, in the kernel's order. Needs Read permission.
/// [`keyctl_read(3)`](https://man7.org/linux/man-pages/man3/keyctl_read.3.html), in the kernel
/// `keyring_read()`.
///
/// # Errors
/// Those of [`read`](super::read). The result has no meaning for a key that is no keyring.
pub fn members(keyring: impl Into<KeyId>) -> Result<Vec<KeySerial>> {
    let payload = super::read(keyring)?;
    let (serials, _) = payload.as_chunks();
    Ok(serials.iter().filter_map(|bytes| KeySerial::new(i32::from_ne_bytes(*bytes))).collect())
}

/// Links a key into a keyring. Needs Link permission on the key, and Write permission on the keyring.
/// [`keyctl_link(3)`](https://man7.org/linux/man-pages/man3/keyctl_link.3.html), in the kernel
/// `keyctl_keyring_link()`.
///
/// # Errors
/// - `EDEADLK`: the keyring would contain itself.
/// - `EDQUOT`: the quota of the keyring's owner is used up.
/// - `ELOOP`: keyrings would be nested too deeply.
/// - `ENFILE`: the keyring is full.
/// - `EPERM`: the keyring is restricted.
pub fn link(key: impl Into<KeyId>, keyring: impl Into<KeyId>) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_LINK, [Arg::key(key), Arg::key(keyring)]).map(drop)
}

/// Takes a key out of a keyring. Needs Write permission on the keyring.
/// [`keyctl_unlink(3)`](https://man7.org/linux/man-pages/man3/keyctl_unlink.3.html), in the kernel
/// `keyctl_keyring_unlink()`.
///
/// # Errors
/// `ENOENT`: the key is not in the keyring.
pub fn unlink(key: impl Into<KeyId>, keyring: impl Into<KeyId>) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_UNLINK, [Arg::key(key), Arg::key(keyring)]).map(drop)
}

/// Moves a link from one keyring to another in one step. It displaces a key of the same type and description.
/// [`keyctl_move(3)`](https://man7.org/linux/man-pages/man3/keyctl_move.3.html), in the kernel
/// `keyctl_keyring_move()`.
///
/// # Errors
/// Those of [`link`] and [`unlink`].
pub fn move_link(key: impl Into<KeyId>, from: impl Into<KeyId>, to: impl Into<KeyId>) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_MOVE, [Arg::key(key), Arg::key(from), Arg::key(to)]).map(drop)
}

/// Unlinks everything from a keyring. Needs Write permission.
/// [`keyctl_clear(3)`](https://man7.org/linux/man-pages/man3/keyctl_clear.3.html), in the kernel
/// `keyctl_keyring_clear()`.
///
/// # Errors
/// `ENOTDIR`: the key is no keyring.
pub fn clear(keyring: impl Into<KeyId>) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_CLEAR, [Arg::key(keyring)]).map(drop)
}

/// Searches a keyring and those nested in it, and links what it finds to `destination`. Needs Search
/// permission. Types whose names begin with a dot are refused: `EPERM`.
/// [`keyctl_search(3)`](https://man7.org/linux/man-pages/man3/keyctl_search.3.html), in the kernel
/// `keyctl_keyring_search()`.
///
/// # Errors
/// - `ENOKEY`: there is no such key.
/// - Those of [`link`], with a destination.
pub fn search(
    keyring: impl Into<KeyId>,
    kind: &CStr,
    description: &CStr,
    destination: Option<KeyId>,
) -> Result<KeySerial> {
    let args = [Arg::key(keyring), kind.into(), description.into(), Arg::destination(destination)];
    serial(syscall::keyctl(libc::KEYCTL_SEARCH, args))
}

/// Restricts a keyring for good, so that it takes no further links. Needs Set Attribute permission.
/// [`keyctl_restrict_keyring(3)`](https://man7.org/linux/man-pages/man3/keyctl_restrict_keyring.3.html), in the
/// kernel `keyctl_restrict_keyring()`.
///
/// # Errors
/// `EEXIST`: it is restricted already.
pub fn restrict(keyring: impl Into<KeyId>) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_RESTRICT_KEYRING, [Arg::key(keyring)]).map(drop)
}

/// The persistent keyring of `uid`, of the caller's own user if `None`, which is linked into `keyring`.
/// [`keyctl_get_persistent(3)`](https://man7.org/linux/man-pages/man3/keyctl_get_persistent.3.html), in the
/// kernel `keyctl_get_persistent()`.
///
/// # Errors
/// - `EOPNOTSUPP`: the kernel was built without `CONFIG_PERSISTENT_KEYRINGS`.
/// - `EPERM`: the user is another one, and the caller lacks CAP_SETUID.
pub fn get_persistent(uid: Option<u32>, keyring: impl Into<KeyId>) -> Result<KeySerial> {
    let uid = uid.map_or(Arg::int(-1), Arg::word);
    serial(syscall::keyctl(libc::KEYCTL_GET_PERSISTENT, [uid, Arg::key(keyring)]))
}

/// Gives the parent process the caller's session keyring.
/// [`keyctl_session_to_parent(3)`](https://man7.org/linux/man-pages/man3/keyctl_session_to_parent.3.html), in
/// the kernel `keyctl_session_to_parent()`.
///
/// # Errors
/// `EPERM`: the parent has several threads or other ids.
pub fn session_to_parent() -> Result<()> {
    syscall::keyctl(libc::KEYCTL_SESSION_TO_PARENT, []).map(drop)
}
