//! The identity of this process, without a system call for each use.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The last identity that this process, or one that it was forked from, has given out.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The identity, or 0 before its first use. The kernel sets it to 0 in a forked process. `None`: it does not do so.
static IDENTITY: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();

/// A number that no process has which this one was forked from. Its pid may be such a process's, in a pid namespace of
/// its own.
pub(crate) fn identity() -> u64 {
    let Some(identity) = IDENTITY.get_or_init(wiped_on_fork) else { return std::process::id().into() };
    match identity.load(Relaxed) {
        0 => {
            let new = LAST.fetch_add(1, Relaxed) + 1;
            // Another thread may have been faster.
            identity.compare_exchange(0, new, Relaxed, Relaxed).map_or_else(|theirs| theirs, |_| new)
        }
        known => known,
    }
}

/// Memory that a forked process finds zeroed: `MADV_WIPEONFORK`, since Linux 4.14.
fn wiped_on_fork() -> Option<&'static AtomicU64> {
    let size = size_of::<AtomicU64>();
    // SAFETY: the mapping is new, at an address that the kernel chooses.
    let page = unsafe {
        mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    };
    let page = page.ok()?;
    // SAFETY: the range is that of the mapping.
    unsafe { madvise(page, size, Advice::LinuxWipeOnFork) }.ok()?;
    // SAFETY: it is zeroed and aligned to a page, is never unmapped, and has no other reference.
    Some(unsafe { &*page.cast::<AtomicU64>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forks. Returns whether that succeeds, and `check` holds in the child.
    fn holds_in_fork(check: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child makes system calls alone, and ends without running handlers.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the call takes a number, and does not return.
            unsafe { libc::_exit(if check() { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the status is borrowed over the call.
        unsafe { libc::waitpid(child, &raw mut status, 0) == child && status == 0 }
    }

    #[test]
    fn forked_processes_have_identities_of_their_own() {
        let own = identity();
        assert_eq!(identity(), own);
        assert!(holds_in_fork(|| {
            let childs = identity();
            childs != own && identity() == childs && holds_in_fork(|| ![own, childs].contains(&identity()))
        }));
    }
}
