//! Typed wrappers of the kernel's key service: `add_key(2)`, `request_key(2)` and `keyctl(2)`.
//!
//! Each function makes one system call and returns the kernel's errno.

mod compat;
mod serial;
mod syscall;
pub(crate) mod watch_queue;

use std::ffi::CStr;
use std::io::IoSlice;

use nix::Result;

pub(crate) use compat::is_there as takes_compat_calls;
pub(crate) use serial::KeySerial;

use syscall::Arg;

/// `KEYCTL_WATCH_KEY`, which libc does not name.
const KEYCTL_WATCH_KEY: u32 = 32;

impl From<KeySerial> for Arg {
    fn from(key: KeySerial) -> Self {
        Arg::int(key.0)
    }
}

fn done(result: Result<i32>) -> Result<()> {
    result.map(drop)
}

fn serial(result: Result<i32>) -> Result<KeySerial> {
    result.map(KeySerial)
}

/// Bytes of a payload, or the length of a null pointer, which must fail with EFAULT (R2).
pub(crate) type Payload<'a> = std::result::Result<&'a [u8], u32>;

/// Adds or updates a key: `key_create_or_update()`.
pub(crate) fn add_key(
    kind: &CStr,
    description: &CStr,
    payload: Payload<'_>,
    keyring: KeySerial,
) -> Result<KeySerial> {
    serial(syscall::add_key(kind, description, payload, keyring.0))
}

/// Adds a key by the 32-bit system call (R2).
pub(crate) fn add_key_compat(
    kind: &CStr,
    description: &CStr,
    payload: Payload<'_>,
    keyring: KeySerial,
) -> Result<KeySerial> {
    serial(compat::add_key(kind, description, payload, keyring.0))
}

/// Finds a key, or requests its construction if there is callout information: `request_key_and_link()`.
pub(crate) fn request_key(
    kind: &CStr,
    description: &CStr,
    callout: Option<&CStr>,
    keyring: KeySerial,
) -> Result<KeySerial> {
    serial(syscall::request_key(kind, description, callout, keyring.0))
}

/// Resolves a special keyring; `create` creates it if it is missing: `keyctl_get_keyring_ID()`.
pub(crate) fn get_keyring_id(keyring: KeySerial, create: bool) -> Result<KeySerial> {
    let args = [keyring.into(), Arg::int(create.into())];
    serial(syscall::keyctl(libc::KEYCTL_GET_KEYRING_ID, args))
}

/// Joins the session keyring called `name`, or a fresh anonymous one: `keyctl_join_session_keyring()`.
pub(crate) fn join_session_keyring(name: Option<&CStr>) -> Result<KeySerial> {
    serial(syscall::keyctl(libc::KEYCTL_JOIN_SESSION_KEYRING, [name.map_or(Arg::NONE, Arg::from)]))
}

/// Replaces a key's payload: `keyctl_update_key()`.
pub(crate) fn update(key: KeySerial, payload: &[u8]) -> Result<()> {
    done(syscall::keyctl_in(libc::KEYCTL_UPDATE, key.into(), payload, Arg::NONE))
}

/// Revokes a key, whose later uses fail with EKEYREVOKED: `keyctl_revoke_key()`.
pub(crate) fn revoke(key: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_REVOKE, [key.into()]))
}

/// Invalidates a key, which removes it from all keyrings: `keyctl_invalidate_key()`.
pub(crate) fn invalidate(key: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_INVALIDATE, [key.into()]))
}

/// Changes a key's owner, its group, or both: `keyctl_chown_key()`.
pub(crate) fn chown(key: KeySerial, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let id = |id: Option<u32>| id.map_or(Arg::int(-1), Arg::word);
    done(syscall::keyctl(libc::KEYCTL_CHOWN, [key.into(), id(uid), id(gid)]))
}

/// Sets a key's permission mask, possessor's rights in the highest byte: `keyctl_setperm_key()`.
pub(crate) fn set_permissions(key: KeySerial, mask: u32) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_SETPERM, [key.into(), Arg::word(mask)]))
}

/// `type;uid;gid;perm;description`, without the closing NUL: `keyctl_describe_key()`.
pub(crate) fn describe(key: KeySerial) -> Result<String> {
    syscall::keyctl_out(libc::KEYCTL_DESCRIBE, key.into()).map(text)
}

/// Unlinks everything from a keyring: `keyctl_keyring_clear()`.
pub(crate) fn clear(keyring: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_CLEAR, [keyring.into()]))
}

/// Links a key into a keyring: `keyctl_keyring_link()`.
pub(crate) fn link(key: KeySerial, keyring: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_LINK, [key.into(), keyring.into()]))
}

/// Takes a key out of a keyring: `keyctl_keyring_unlink()`.
pub(crate) fn unlink(key: KeySerial, keyring: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_UNLINK, [key.into(), keyring.into()]))
}

/// Moves a link in one step: `keyctl_keyring_move()`.
pub(crate) fn move_link(key: KeySerial, from: KeySerial, to: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_MOVE, [key.into(), from.into(), to.into()]))
}

/// Searches one keyring tree and links what it finds to `destination`, if any: `keyctl_keyring_search()`.
pub(crate) fn search(
    keyring: KeySerial,
    kind: &CStr,
    description: &CStr,
    destination: KeySerial,
) -> Result<KeySerial> {
    let args = [keyring.into(), kind.into(), description.into(), destination.into()];
    serial(syscall::keyctl(libc::KEYCTL_SEARCH, args))
}

/// A key's whole payload: `keyctl_read_key()`.
pub(crate) fn read(key: KeySerial) -> Result<Vec<u8>> {
    syscall::keyctl_out(libc::KEYCTL_READ, key.into())
}

/// The serials that a keyring links to, in the kernel's own order.
pub(crate) fn members(keyring: KeySerial) -> Result<Vec<KeySerial>> {
    let payload = read(keyring)?;
    let (serials, _) = payload.as_chunks();
    Ok(serials.iter().map(|bytes| KeySerial(i32::from_ne_bytes(*bytes))).collect())
}

/// Gives a key under construction its payload: `keyctl_instantiate_key()`. Needs the assumed authority.
pub(crate) fn instantiate(key: KeySerial, payload: &[u8], keyring: KeySerial) -> Result<()> {
    done(syscall::keyctl_in(libc::KEYCTL_INSTANTIATE, key.into(), payload, keyring.into()))
}

/// As [`instantiate`], from several pieces: `keyctl_instantiate_key_iov()`.
pub(crate) fn instantiate_iov(key: KeySerial, pieces: &[IoSlice<'_>], keyring: KeySerial) -> Result<()> {
    done(syscall::keyctl_iov(libc::KEYCTL_INSTANTIATE_IOV, key.into(), pieces, keyring.into()))
}

/// Answers ENOKEY for `timeout` seconds: `keyctl_negate_key()`.
pub(crate) fn negate(key: KeySerial, timeout: u32, keyring: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_NEGATE, [key.into(), Arg::word(timeout), keyring.into()]))
}

/// Answers `error` for `timeout` seconds: `keyctl_reject_key()`.
pub(crate) fn reject(key: KeySerial, timeout: u32, error: i32, keyring: KeySerial) -> Result<()> {
    let args = [key.into(), Arg::word(timeout), Arg::int(error), keyring.into()];
    done(syscall::keyctl(libc::KEYCTL_REJECT, args))
}

/// Sets the default destination of request_key (`KEY_REQKEY_DEFL_*`), and returns the previous one:
/// `keyctl_set_reqkey_keyring()`.
pub(crate) fn set_default_destination(choice: i32) -> Result<i32> {
    syscall::keyctl(libc::KEYCTL_SET_REQKEY_KEYRING, [Arg::int(choice)])
}

/// Lets a key expire in `seconds`, never if 0: `keyctl_set_timeout()`.
pub(crate) fn set_timeout(key: KeySerial, seconds: u32) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_SET_TIMEOUT, [key.into(), Arg::word(seconds)]))
}

/// Assumes the authority to construct `target`, or drops it with [`KeySerial::NONE`]:
/// `keyctl_assume_authority()`.
///
/// Returns the authkey's serial, zero after a drop.
pub(crate) fn assume_authority(target: KeySerial) -> Result<KeySerial> {
    serial(syscall::keyctl(libc::KEYCTL_ASSUME_AUTHORITY, [target.into()]))
}

/// The security module's label of a key: `keyctl_get_security()`.
pub(crate) fn security_label(key: KeySerial) -> Result<String> {
    syscall::keyctl_out(libc::KEYCTL_GET_SECURITY, key.into()).map(text)
}

/// Gives the parent process this one's session keyring: `keyctl_session_to_parent()`.
pub(crate) fn session_to_parent() -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_SESSION_TO_PARENT, []))
}

/// The persistent keyring of `uid` (the caller's own if `None`), linked into `keyring`:
/// `keyctl_get_persistent()`.
pub(crate) fn get_persistent(uid: Option<u32>, keyring: KeySerial) -> Result<KeySerial> {
    let uid = uid.map_or(Arg::int(-1), Arg::word);
    serial(syscall::keyctl(libc::KEYCTL_GET_PERSISTENT, [uid, keyring.into()]))
}

/// Restricts a keyring, so that it accepts no more keys: `keyctl_restrict_keyring()`.
pub(crate) fn restrict(keyring: KeySerial) -> Result<()> {
    done(syscall::keyctl(libc::KEYCTL_RESTRICT_KEYRING, [keyring.into()]))
}

/// Feature bits of the kernel's key service: `keyctl_capabilities()`.
pub(crate) fn capabilities() -> Result<Vec<u8>> {
    let mut bytes = vec![0; 16];
    let length = syscall::keyctl_capabilities(&mut bytes)?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

/// Watches a key through a notification pipe: `keyctl_watch_key()`.
pub(crate) fn watch(key: KeySerial, pipe: i32) -> Result<()> {
    const TAG: i32 = 1;
    done(syscall::keyctl(KEYCTL_WATCH_KEY, [key.into(), Arg::int(pipe), Arg::int(TAG)]))
}

/// Converts a kernel string: drops its NUL, and replaces what is not UTF-8.
fn text(mut bytes: Vec<u8>) -> String {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
