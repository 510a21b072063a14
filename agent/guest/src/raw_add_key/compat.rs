//! add_key(2) as a 32-bit system call, by `int 0x80` (`CONFIG_IA32_EMULATION`).

use std::arch::asm;
use std::ffi::{CStr, c_int};
use std::io;

use keyring::{Errno, Result};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, getpid};

use crate::sys::process::{exit_now, fork};

/// From arch/x86/entry/syscalls/syscall_32.tbl.
const GETPID: u32 = 20;
const ADD_KEY: u32 = 286;

/// Memory below 4 GiB, which 32-bit pointers reach.
struct LowMemory {
    start: *mut u8,
    used: usize,
}

const SIZE: usize = 65536;

impl LowMemory {
    fn new() -> Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        // SAFETY: maps fresh memory only.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, flags, -1, 0) };
        if start == libc::MAP_FAILED { Err(last_error()) } else { Ok(Self { start: start.cast(), used: 0 }) }
    }

    /// Copies bytes into the memory, and returns their address.
    fn put(&mut self, bytes: &[u8]) -> Result<u32> {
        let end = self.used.checked_add(bytes.len()).filter(|end| *end <= SIZE).ok_or(Errno::TOOBIG)?;
        // SAFETY: the bytes fit between the used part and the end of the mapping, which nothing else refers
        // to.
        let place = unsafe {
            let place = self.start.add(self.used);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            place
        };
        self.used = end;
        u32::try_from(place as usize).map_err(|_| Errno::FAULT)
    }
}

impl Drop for LowMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value, and no pointer into it is left.
        unsafe { libc::munmap(self.start.cast(), SIZE) };
    }
}

pub(super) fn add_key(
    kind: &CStr,
    description: &CStr,
    payload: super::Payload<'_>,
    keyring: c_int,
) -> Result<i32> {
    let mut low = LowMemory::new()?;
    let (kind, description) = (low.put(kind.to_bytes_with_nul())?, low.put(description.to_bytes_with_nul())?);
    let (payload, length) = match payload {
        Ok(bytes) => (low.put(bytes)?, bytes.len() as u32),
        Err(length) => (0, length),
    };
    // SAFETY: all addresses are in the low memory, which outlives the call.
    let answer = unsafe { call(ADD_KEY, [kind, description, payload, length, keyring as u32]) };
    if answer < 0 { Err(Errno::from_raw_os_error(-answer)) } else { Ok(answer) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Returns true if the kernel supports 32-bit system calls. A child makes one, since the kernel may kill the
/// caller.
pub(crate) fn is_there() -> bool {
    match fork() {
        Ok(ForkResult::Child) => {
            // SAFETY: getpid(2) takes no addresses.
            let pid = unsafe { call(GETPID, [0; 5]) };
            exit_now(i32::from(pid != getpid().as_raw()))
        }
        Ok(ForkResult::Parent { child }) => matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))),
        Err(_) => false,
    }
}

/// # Safety
/// An argument that the call takes for an address must be valid for it.
unsafe fn call(number: u32, args: [u32; 5]) -> i32 {
    let mut answer = number;
    // SAFETY: by the function's contract. rbx is restored, since the compiler reserves it; the kernel clears
    // r8 to r11.
    unsafe {
        asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(args[0]) => _,
            inout("eax") answer,
            in("ecx") args[1],
            in("edx") args[2],
            in("esi") args[3],
            in("edi") args[4],
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    answer as i32
}
