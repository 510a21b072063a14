//! Operations on keys of all types.

use std::ffi::CStr;

use super::syscall::{self, Arg};
use super::{Description, Errno, KeyId, KeySerial, Permissions, Result};

/// Adds a key and links it into `keyring`; or updates the key of this type and description that the keyring
/// has, if the type can be updated, and displaces it otherwise.
///
/// `payload` has the form that the type takes: text or bytes of at most 32,767 bytes for `user`, nothing for
/// `keyring`, `struct keyagent_params` for `keyagent`. Needs Write permission on the keyring.
/// [`add_key(2)`](https://man7.org/linux/man-pages/man2/add_key.2.html), in the kernel
/// `key_create_or_update()`.
///
/// # Errors
/// - `EDQUOT`: the user's quota of keys or bytes is used up ([`/proc/key-users`](https://man7.org/linux/man-pages/man5/proc_key-users.5.html)).
/// - `EINVAL`: the type does not take this payload or description.
/// - `ENODEV`: the kernel has no such type.
/// - `EPERM`: the type's name begins with a dot, or the keyring is restricted.
pub fn add_key(
    kind: &CStr,
    description: &CStr,
    payload: &[u8],
    keyring: impl Into<KeyId>,
) -> Result<KeySerial> {
    syscall::add_key(kind, description, payload, keyring.into())
}

/// Finds a key in the thread's keyrings, with Search permission.
///
/// With `callout`, a key that is not found is requested from a keyagent or /sbin/request-key, and the call
/// waits until it is constructed. The callout information may be empty, and has less than a page. `destination`
/// is the keyring that a requested or found key is linked into; without one, a requested key is linked into
/// the thread's [default destination](super::set_default_destination).
/// [`request_key(2)`](https://man7.org/linux/man-pages/man2/request_key.2.html), in the kernel
/// `request_key_and_link()`.
///
/// # Errors
/// - `EINTR`: a signal has interrupted the wait.
/// - `EKEYREJECTED`, or any other error: the key was rejected with it.
/// - `ENOKEY`: there is no such key, or it was negated.
/// - Those of keyagent(7), `ETIMEDOUT` for one, if a keyagent is asked.
pub fn request_key(
    kind: &CStr,
    description: &CStr,
    callout: Option<&CStr>,
    destination: Option<KeyId>,
) -> Result<KeySerial> {
    syscall::request_key(kind, description, callout, destination)
}

/// Describes a key: type, owner, permissions, description. Needs View permission, or the authorization key of
/// a key under construction in the thread's keyrings.
///
/// Makes a second call if the description has more than some 200 bytes.
/// [`keyctl_describe(3)`](https://man7.org/linux/man-pages/man3/keyctl_describe.3.html), in the kernel
/// `keyctl_describe_key()`.
///
/// # Errors
/// `EBADMSG`: the kernel's text has another form than [`Description::parse`] knows.
pub fn describe(key: impl Into<KeyId>) -> Result<Description> {
    let text = syscall::keyctl_out(libc::KEYCTL_DESCRIBE, Arg::key(key))?;
    Description::parse(&text).ok_or(Errno::BADMSG)
}

/// A key's whole payload. Needs Read permission, or Search permission on a key that the thread possesses.
///
/// Of [`SpecialKey::AssumedAuthkey`](super::SpecialKey::AssumedAuthkey), it is the callout information.
/// Makes a second call if the payload has more than 256 bytes.
/// [`keyctl_read(3)`](https://man7.org/linux/man-pages/man3/keyctl_read.3.html), in the kernel
/// `keyctl_read_key()`.
///
/// # Errors
/// `EOPNOTSUPP`: keys of this type can't be read.
pub fn read(key: impl Into<KeyId>) -> Result<Vec<u8>> {
    syscall::keyctl_out(libc::KEYCTL_READ, Arg::key(key))
}

/// Replaces a key's payload. Needs Write permission.
/// [`keyctl_update(3)`](https://man7.org/linux/man-pages/man3/keyctl_update.3.html), in the kernel
/// `keyctl_update_key()`.
///
/// # Errors
/// `EOPNOTSUPP`: keys of this type can't be updated.
pub fn update(key: impl Into<KeyId>, payload: &[u8]) -> Result<()> {
    syscall::keyctl_in(libc::KEYCTL_UPDATE, Arg::key(key), payload, Arg::NONE).map(drop)
}

/// Revokes a key, so that its later uses fail with `EKEYREVOKED`. Needs Write or Set Attribute permission; of
/// a keyagent's key the latter.
/// [`keyctl_revoke(3)`](https://man7.org/linux/man-pages/man3/keyctl_revoke.3.html), in the kernel
/// `keyctl_revoke_key()`.
///
/// # Errors
/// Those of all functions.
pub fn revoke(key: impl Into<KeyId>) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_REVOKE, [Arg::key(key)]).map(drop)
}

/// Invalidates a key, which is no longer found, and is soon removed from all keyrings. Needs Search
/// permission; of a keyagent's key also Set Attribute.
/// [`keyctl_invalidate(3)`](https://man7.org/linux/man-pages/man3/keyctl_invalidate.3.html), in the kernel
/// `keyctl_invalidate_key()`.
///
/// # Errors
/// Those of all functions.
pub fn invalidate(key: impl Into<KeyId>) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_INVALIDATE, [Arg::key(key)]).map(drop)
}

/// Changes a key's owner, its group, or both. `None` leaves it. Needs Set Attribute permission.
/// [`keyctl_chown(3)`](https://man7.org/linux/man-pages/man3/keyctl_chown.3.html), in the kernel
/// `keyctl_chown_key()`.
///
/// # Errors
/// - `EACCES`: without CAP_SYS_ADMIN, the owner can't be changed, and the group only to one of the caller's.
/// - `EDQUOT`: the new owner's quota is used up.
/// - `EINVAL`: the id has no mapping in the caller's user namespace.
pub fn chown(key: impl Into<KeyId>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let id = |id: Option<u32>| id.map_or(Arg::int(-1), Arg::word);
    syscall::keyctl(libc::KEYCTL_CHOWN, [Arg::key(key), id(uid), id(gid)]).map(drop)
}

/// Sets a key's permissions. Needs Set Attribute permission.
/// [`keyctl_setperm(3)`](https://man7.org/linux/man-pages/man3/keyctl_setperm.3.html), in the kernel
/// `keyctl_setperm_key()`.
///
/// # Errors
/// - `EACCES`: the caller neither owns the key nor has CAP_SYS_ADMIN.
/// - `EINVAL`: the mask has bits without a meaning.
pub fn set_permissions(key: impl Into<KeyId>, permissions: Permissions) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_SETPERM, [Arg::key(key), Arg::word(permissions.to_mask())]).map(drop)
}

/// Lets a key expire in `seconds` from now, never if 0. Needs Set Attribute permission, or the authorization
/// key of a key under construction.
/// [`keyctl_set_timeout(3)`](https://man7.org/linux/man-pages/man3/keyctl_set_timeout.3.html), in the kernel
/// `keyctl_set_timeout()`.
///
/// # Errors
/// Those of all functions.
pub fn set_timeout(key: impl Into<KeyId>, seconds: u32) -> Result<()> {
    syscall::keyctl(libc::KEYCTL_SET_TIMEOUT, [Arg::key(key), Arg::word(seconds)]).map(drop)
}

/// A security module's label of a key, without its closing NUL; empty without such a module. Needs View
/// permission.
/// [`keyctl_get_security(3)`](https://man7.org/linux/man-pages/man3/keyctl_get_security.3.html), in the kernel
/// `keyctl_get_security()`.
///
/// # Errors
/// Those of all functions.
pub fn security_label(key: impl Into<KeyId>) -> Result<Vec<u8>> {
    let mut label = syscall::keyctl_out(libc::KEYCTL_GET_SECURITY, Arg::key(key))?;
    if label.last() == Some(&0) {
        label.pop();
    }
    Ok(label)
}
