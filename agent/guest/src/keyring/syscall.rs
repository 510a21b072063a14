//! The three system calls of the key service, with their `unsafe` code.

use std::ffi::{CStr, c_int, c_long, c_ulong};

use nix::{Result, errno::Errno};

/// An argument of keyctl(2). Pointers come from borrows that outlive the call.
#[derive(Clone, Copy)]
pub(super) struct Arg(c_ulong);

impl Arg {
    pub(super) const NONE: Self = Self(0);

    /// A signed number, sign-extended as in the C prototype; an id of -1 means no change.
    pub(super) fn int(value: i32) -> Self {
        Self(c_long::from(value) as c_ulong)
    }

    pub(super) fn word(value: u32) -> Self {
        Self(c_ulong::from(value))
    }

    fn address<T>(pointer: *const T) -> Self {
        Self(pointer.cast::<u8>() as c_ulong)
    }
}

impl From<&CStr> for Arg {
    /// The caller's borrow must outlive the call.
    fn from(text: &CStr) -> Self {
        Self::address(text.as_ptr())
    }
}

/// `add_key(2)`: `SYSCALL_DEFINE5(add_key)`.
pub(super) fn add_key(
    kind: &CStr,
    description: &CStr,
    payload: super::Payload<'_>,
    keyring: i32,
) -> Result<i32> {
    let (address, length) = match payload {
        Ok(bytes) => (bytes.as_ptr(), bytes.len()),
        Err(length) => (std::ptr::null(), length as usize),
    };
    let (kind, description) = (kind.as_ptr(), description.as_ptr());
    // SAFETY: every pointer comes from a borrow held over the call, and the length is that of the payload. The
    // kernel returns EFAULT for a null payload that has a length.
    result(unsafe { libc::syscall(libc::SYS_add_key, kind, description, address, length, keyring) })
}

/// `request_key(2)`: `SYSCALL_DEFINE4(request_key)`. Without callout information there is no upcall.
pub(super) fn request_key(
    kind: &CStr,
    description: &CStr,
    callout: Option<&CStr>,
    keyring: i32,
) -> Result<i32> {
    // SAFETY: every pointer comes from a borrow held over the call, and all strings end in NUL.
    let serial = unsafe {
        libc::syscall(
            libc::SYS_request_key,
            kind.as_ptr(),
            description.as_ptr(),
            callout.map_or(std::ptr::null(), CStr::as_ptr),
            keyring,
        )
    };
    result(serial)
}

/// `keyctl(2)` with numbers and strings as arguments. The others are zero.
pub(super) fn keyctl<const N: usize>(operation: u32, given: [Arg; N]) -> Result<i32> {
    let mut args = [Arg::NONE; 4];
    args[..N].copy_from_slice(&given);
    // SAFETY: callers in this module pass numbers, or addresses of live borrows.
    result(unsafe { raw(operation, args) })
}

/// `keyctl(2)` that reads a payload from `bytes` as its second and third argument.
pub(super) fn keyctl_in(operation: u32, first: Arg, bytes: &[u8], last: Arg) -> Result<i32> {
    let length = Arg(bytes.len() as c_ulong);
    // SAFETY: the buffer is borrowed over the call and its length goes with it.
    result(unsafe { raw(operation, [first, Arg::address(bytes.as_ptr()), length, last]) })
}

/// `keyctl(KEYCTL_INSTANTIATE_IOV)`: the payload is gathered from several pieces.
pub(super) fn keyctl_iov(
    operation: u32,
    first: Arg,
    pieces: &[std::io::IoSlice<'_>],
    last: Arg,
) -> Result<i32> {
    let length = Arg(pieces.len() as c_ulong);
    // SAFETY: IoSlice is ABI compatible with struct iovec, and the slices are borrowed over the call.
    result(unsafe { raw(operation, [first, Arg::address(pieces.as_ptr()), length, last]) })
}

/// `keyctl(2)` that writes into a buffer: returns all of the kernel's data.
///
/// Repeats the call with a larger buffer if the data did not fit.
pub(super) fn keyctl_out(operation: u32, first: Arg) -> Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        let length = Arg(buffer.len() as c_ulong);
        let address = Arg::address(buffer.as_mut_ptr());
        // SAFETY: the buffer is exclusively borrowed over the call and its length goes with it.
        let needed = result(unsafe { raw(operation, [first, address, length, Arg::NONE]) })? as usize;
        if needed <= buffer.len() {
            buffer.truncate(needed);
            return Ok(buffer);
        }
        buffer.resize(needed, 0);
    }
}

/// `keyctl(KEYCTL_CAPABILITIES)`, whose buffer comes first.
pub(super) fn keyctl_capabilities(buffer: &mut [u8]) -> Result<i32> {
    let args = [Arg::address(buffer.as_mut_ptr()), Arg(buffer.len() as c_ulong), Arg::NONE, Arg::NONE];
    // SAFETY: the buffer is exclusively borrowed over the call and its length goes with it.
    result(unsafe { raw(libc::KEYCTL_CAPABILITIES, args) })
}

/// # Safety
/// An argument that the operation takes for an address must be valid for it during the call.
unsafe fn raw(operation: u32, args: [Arg; 4]) -> c_long {
    // SAFETY: by the function's contract.
    unsafe { libc::syscall(libc::SYS_keyctl, operation as c_int, args[0].0, args[1].0, args[2].0, args[3].0) }
}

fn result(returned: c_long) -> Result<i32> {
    // The calls return an int: a serial, a length or zero.
    Errno::result(returned).map(|value| value as i32)
}
