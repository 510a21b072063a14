//! The id of this process, without a system call for each use.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The id, or 0 before its first use. The kernel sets it to 0 in a forked process. `None`: it does not do so.
static PID: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();

/// The id of this process.
pub(crate) fn current() -> u32 {
    let Some(pid) = PID.get_or_init(wiped_on_fork) else { return std::process::id() };
    match pid.load(Relaxed) {
        0 => {
            let new = std::process::id();
            pid.store(new, Relaxed);
            new
        }
        known => known,
    }
}

/// Memory that a forked process finds zeroed: `MADV_WIPEONFORK`, since Linux 4.14.
fn wiped_on_fork() -> Option<&'static AtomicU32> {
    let size = size_of::<AtomicU32>();
    // SAFETY: the mapping is new, at an address that the kernel chooses.
    let page = unsafe {
        mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    };
    let page = page.ok()?;
    // SAFETY: the range is that of the mapping.
    unsafe { madvise(page, size, Advice::LinuxWipeOnFork) }.ok()?;
    // SAFETY: it is zeroed and aligned to a page, is never unmapped, and has no other reference.
    Some(unsafe { &*page.cast::<AtomicU32>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forked_process_has_an_id_of_its_own() {
        assert_eq!((current(), current()), (std::process::id(), std::process::id()));
        // SAFETY: the child makes system calls alone, and ends without running handlers.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_known = current() == std::process::id() && current() == std::process::id();
            // SAFETY: the call takes a number, and does not return.
            unsafe { libc::_exit(if is_known { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the status is borrowed over the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
