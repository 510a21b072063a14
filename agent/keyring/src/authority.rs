//! Authority over keys under construction.
//!
//! The kernel gives the handler of a request an authorization key: a keyagent finds it in its process keyring,
//! /sbin/request-key in its session keyring. The handler assumes its authority, and completes the key.

use std::io::IoSlice;

use super::syscall::{self, Arg, serial};
use super::{Errno, KeyId, KeySerial, Result};

/// The largest error number that a key can be rejected with.
pub const MAX_ERROR: i32 = 511;

/// Assumes the authority to construct `target`, and returns the serial number of its authorization key, which
/// must be in the thread's keyrings. What was assumed before is dropped.
///
/// The thread then searches the requester's keyrings too, unless it is a keyagent's. Children inherit the
/// authority, and execve(2) keeps it.
/// [`keyctl_assume_authority(3)`](https://man7.org/linux/man-pages/man3/keyctl_assume_authority.3.html), in the
/// kernel `keyctl_assume_authority()`.
///
/// # Errors
/// - `EINVAL`: the target is a special keyring.
/// - `EKEYREVOKED`, `ENOKEY`: the request has ended, or is somebody else's.
pub fn assume_authority(target: impl Into<KeyId>) -> Result<KeySerial> {
    let target = target.into();
    if target.as_raw() == 0 {
        return Err(Errno::INVAL);
    }
    serial(syscall::keyctl(libc::KEYCTL_ASSUME_AUTHORITY, [Arg::key(target)]))
}

/// Drops the assumed authority, if any.
/// [`keyctl_assume_authority(3)`](https://man7.org/linux/man-pages/man3/keyctl_assume_authority.3.html) with 0.
///
/// # Errors
/// `ENOMEM`, and those of all functions.
pub fn drop_authority() -> Result<()> {
    syscall::keyctl(libc::KEYCTL_ASSUME_AUTHORITY, [Arg::NONE]).map(drop)
}

/// Gives `target` its payload. Success ends the assumed authority. `keyring` is an additional destination.
/// [`keyctl_instantiate(3)`](https://man7.org/linux/man-pages/man3/keyctl_instantiate.3.html), in the kernel
/// `keyctl_instantiate_key()`.
///
/// # Errors
/// - `EBUSY`: the key is complete already.
/// - `EDQUOT`: the payload exceeds the quota of the requester.
/// - `EINVAL`: the payload has more than 1 MiB, or the type does not take it.
/// - `EPERM`: its authority is not assumed.
pub fn instantiate(target: impl Into<KeyId>, payload: &[u8], keyring: Option<KeyId>) -> Result<()> {
    let (target, keyring) = (Arg::key(target), Arg::destination(keyring));
    syscall::keyctl_in(libc::KEYCTL_INSTANTIATE, target, payload, keyring).map(drop)
}

/// [`instantiate`] with a payload of several pieces, in the kernel `keyctl_instantiate_key_iov()`.
///
/// # Errors
/// Those of [`instantiate`].
pub fn instantiate_iov(
    target: impl Into<KeyId>,
    pieces: &[IoSlice<'_>],
    keyring: Option<KeyId>,
) -> Result<()> {
    let (target, keyring) = (Arg::key(target), Arg::destination(keyring));
    syscall::keyctl_iov(libc::KEYCTL_INSTANTIATE_IOV, target, pieces, keyring).map(drop)
}

/// Lets requests for `target` fail with `ENOKEY` for `seconds`. Success ends the assumed authority.
/// [`keyctl_negate(3)`](https://man7.org/linux/man-pages/man3/keyctl_negate.3.html), in the kernel
/// `keyctl_negate_key()`.
///
/// # Errors
/// `EBUSY` and `EPERM`, as for [`instantiate`].
pub fn negate(target: impl Into<KeyId>, seconds: u32, keyring: Option<KeyId>) -> Result<()> {
    let args = [Arg::key(target), Arg::word(seconds), Arg::destination(keyring)];
    syscall::keyctl(libc::KEYCTL_NEGATE, args).map(drop)
}

/// Lets requests for `target` fail with `error` for `seconds`. Success ends the assumed authority.
/// [`keyctl_reject(3)`](https://man7.org/linux/man-pages/man3/keyctl_reject.3.html), in the kernel
/// `keyctl_reject_key()`.
///
/// # Errors
/// - `EBUSY` and `EPERM`, as for [`instantiate`].
/// - `EINVAL`: the error is above [`MAX_ERROR`].
pub fn reject(target: impl Into<KeyId>, seconds: u32, error: Errno, keyring: Option<KeyId>) -> Result<()> {
    let error = Arg::int(error.raw_os_error());
    let args = [Arg::key(target), Arg::word(seconds), error, Arg::destination(keyring)];
    syscall::keyctl(libc::KEYCTL_REJECT, args).map(drop)
}
