//! add_key(2) in ways that no crate offers: with a null payload, and as a 32-bit system call (R2).

mod compat;

use std::ffi::CStr;

use keyring::{Errno, KeyId, KeySerial, Result};

pub(crate) use compat::is_there as takes_compat_calls;

/// Bytes of a payload, or the length of a null pointer, which must fail with EFAULT (R2).
pub(crate) type Payload<'a> = std::result::Result<&'a [u8], u32>;

/// Adds a key by the native system call.
pub(crate) fn add_key(
    kind: &CStr,
    description: &CStr,
    payload: Payload<'_>,
    keyring: KeyId,
) -> Result<KeySerial> {
    match payload {
        Ok(payload) => keyring::add_key(kind, description, payload, keyring),
        Err(length) => add_key_from_null(kind, description, length, keyring),
    }
}

/// Adds a key by the 32-bit system call.
pub(crate) fn add_key_compat(
    kind: &CStr,
    description: &CStr,
    payload: Payload<'_>,
    keyring: KeyId,
) -> Result<KeySerial> {
    let answer = compat::add_key(kind, description, payload, keyring.as_raw())?;
    KeySerial::new(answer).ok_or(Errno::BADMSG)
}

fn add_key_from_null(kind: &CStr, description: &CStr, length: u32, keyring: KeyId) -> Result<KeySerial> {
    // SAFETY: the strings are borrowed over the call. The kernel returns EFAULT for a null payload that has a
    // length.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            description.as_ptr(),
            std::ptr::null::<u8>(),
            length as usize,
            keyring.as_raw(),
        )
    };
    if answer == -1 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    KeySerial::new(answer as i32).ok_or(Errno::BADMSG)
}
