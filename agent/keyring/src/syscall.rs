//! The system calls, with all `unsafe` code of the crate.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_long, c_ulong};
use std::fs::File;
use std::io::IoSlice;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Errno, KeyId, KeySerial, Result};

/// `IOC_WATCH_QUEUE_SET_SIZE`: `_IO('W', 0x60)`.
const SET_SIZE: c_ulong = 0x5760;

/// An argument of keyctl(2): a number, or the address of something that is borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Arg<'a>(c_ulong, PhantomData<&'a ()>);

impl<'a> Arg<'a> {
    pub(crate) const NONE: Self = Self::number(0);

    const fn number(value: c_ulong) -> Self {
        Self(value, PhantomData)
    }

    /// A signed number, sign-extended as in the C prototype; an id of -1 means no change.
    pub(crate) fn int(value: i32) -> Self {
        Self::number(c_long::from(value) as c_ulong)
    }

    pub(crate) fn word(value: u32) -> Self {
        Self::number(c_ulong::from(value))
    }

    pub(crate) fn key(key: impl Into<KeyId>) -> Self {
        Self::int(key.into().as_raw())
    }

    /// 0, which is no key, for `None`.
    pub(crate) fn destination(keyring: Option<KeyId>) -> Self {
        Self::int(keyring.map_or(0, KeyId::as_raw))
    }

    fn length<T>(of: &[T]) -> Self {
        Self::number(of.len() as c_ulong)
    }

    fn address<T>(of: &'a [T]) -> Self {
        Self::number(of.as_ptr().cast::<u8>() as c_ulong)
    }

    fn address_mut<T>(of: &'a mut [T]) -> Self {
        Self::number(of.as_mut_ptr().cast::<u8>() as c_ulong)
    }
}

impl<'a> From<&'a CStr> for Arg<'a> {
    fn from(text: &'a CStr) -> Self {
        Self::address(text.to_bytes_with_nul())
    }
}

/// `SYSCALL_DEFINE5(add_key)`.
pub(crate) fn add_key(kind: &CStr, description: &CStr, payload: &[u8], keyring: KeyId) -> Result<KeySerial> {
    // SAFETY: every pointer comes from a borrow held over the call, and the length is that of the payload.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            keyring.as_raw(),
        )
    };
    serial(result(returned))
}

/// `SYSCALL_DEFINE4(request_key)`.
pub(crate) fn request_key(
    kind: &CStr,
    description: &CStr,
    callout: Option<&CStr>,
    keyring: Option<KeyId>,
) -> Result<KeySerial> {
    // SAFETY: every pointer comes from a borrow held over the call, and all strings end in NUL.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_request_key,
            kind.as_ptr(),
            description.as_ptr(),
            callout.map_or(ptr::null(), CStr::as_ptr),
            keyring.map_or(0, KeyId::as_raw),
        )
    };
    serial(result(returned))
}

/// Calls add_key(2) with null pointers, which the kernel refuses before it does anything else.
pub(crate) fn add_key_of_nothing() -> Errno {
    let nothing = ptr::null::<u8>();
    // SAFETY: the kernel returns EFAULT for a null pointer.
    let returned = unsafe { libc::syscall(libc::SYS_add_key, nothing, nothing, nothing, 0_usize, 0) };
    result(returned).err().unwrap_or(Errno::FAULT)
}

/// Calls request_key(2) with null pointers, which the kernel refuses before it does anything else.
pub(crate) fn request_key_of_nothing() -> Errno {
    let nothing = ptr::null::<u8>();
    // SAFETY: the kernel returns EFAULT for a null pointer.
    let returned = unsafe { libc::syscall(libc::SYS_request_key, nothing, nothing, nothing, 0) };
    result(returned).err().unwrap_or(Errno::FAULT)
}

/// `SYSCALL_DEFINE5(keyctl)` with numbers and strings as arguments. The others are zero.
pub(crate) fn keyctl<const N: usize>(operation: u32, given: [Arg<'_>; N]) -> Result<i32> {
    let mut args = [Arg::NONE; 4];
    args[..N].copy_from_slice(&given);
    // SAFETY: an address is that of a string, which its argument borrows over the call.
    result(unsafe { raw(operation, args) })
}

/// `keyctl(2)` that reads a payload from `bytes` as its second and third argument.
pub(crate) fn keyctl_in(operation: u32, first: Arg<'_>, bytes: &[u8], last: Arg<'_>) -> Result<i32> {
    // SAFETY: the buffer is borrowed over the call and its length goes with it.
    result(unsafe { raw(operation, [first, Arg::address(bytes), Arg::length(bytes), last]) })
}

/// `keyctl(2)` that gathers a payload from several pieces as its second and third argument.
pub(crate) fn keyctl_iov(
    operation: u32,
    first: Arg<'_>,
    pieces: &[IoSlice<'_>],
    last: Arg<'_>,
) -> Result<i32> {
    // SAFETY: IoSlice is ABI compatible with struct iovec, and the slices are borrowed over the call.
    result(unsafe { raw(operation, [first, Arg::address(pieces), Arg::length(pieces), last]) })
}

/// `keyctl(2)` that writes into a buffer: returns all of the kernel's data.
///
/// Repeats the call with a larger buffer if the data did not fit.
pub(crate) fn keyctl_out(operation: u32, first: Arg) -> Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        let length = Arg::length(&buffer);
        let address = Arg::address_mut(&mut buffer);
        // SAFETY: the buffer is exclusively borrowed over the call and its length goes with it.
        let needed = result(unsafe { raw(operation, [first, address, length, Arg::NONE]) })? as usize;
        if needed <= buffer.len() {
            buffer.truncate(needed);
            return Ok(buffer);
        }
        buffer.resize(needed, 0);
    }
}

/// `KEYCTL_CAPABILITIES`, whose buffer comes first.
pub(crate) fn keyctl_capabilities(buffer: &mut [u8]) -> Result<i32> {
    let length = Arg::length(buffer);
    let args = [Arg::address_mut(buffer), length, Arg::NONE, Arg::NONE];
    // SAFETY: the buffer is exclusively borrowed over the call and its length goes with it.
    result(unsafe { raw(libc::KEYCTL_CAPABILITIES, args) })
}

/// # Safety
/// An argument that the operation takes for an address must be valid for it during the call.
unsafe fn raw(operation: u32, args: [Arg<'_>; 4]) -> c_long {
    // SAFETY: by the function's contract.
    unsafe { libc::syscall(libc::SYS_keyctl, operation as c_int, args[0].0, args[1].0, args[2].0, args[3].0) }
}

/// `pipe2(O_NOTIFICATION_PIPE | O_CLOEXEC | O_NONBLOCK)`: both ends.
pub(crate) fn notification_pipe() -> Result<(File, OwnedFd)> {
    let mut ends = [0; 2];
    // O_EXCL selects a notification pipe.
    let flags = libc::O_EXCL | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the kernel writes two descriptors into the array.
    result(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) }.into())?;
    // SAFETY: both descriptors are new and have no other owner.
    Ok(unsafe { (File::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Sets the capacity of a notification pipe, in notifications.
pub(crate) fn set_queue_size(pipe: BorrowedFd<'_>, notifications: u32) -> Result<()> {
    let size = c_ulong::from(notifications);
    // SAFETY: the descriptor is open, and the request takes a number.
    result(unsafe { libc::ioctl(pipe.as_raw_fd(), SET_SIZE as libc::Ioctl, size) }.into()).map(drop)
}

fn result(returned: c_long) -> Result<i32> {
    if returned == -1 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    // The calls return an int: a serial, a length, a descriptor or zero.
    Ok(returned as i32)
}

/// A call that returns a key returns a positive number.
pub(crate) fn serial(returned: Result<i32>) -> Result<KeySerial> {
    KeySerial::new(returned?).ok_or(Errno::BADMSG)
}
