//! Copies the pages that a process and its child share after a fork, all at once.
//!
//! Otherwise each page takes a fault when it is first written. On User-Mode Linux a fault takes six context
//! switches of the host, forty times as long as copying the page, and would dominate a scenario's time.

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

use rustix::mm::{Advice, madvise};

use super::procfs;

/// Writable private memory of this process and its descendants; unset where faults are cheap.
static WRITABLE: OnceLock<Vec<Range<usize>>> = OnceLock::new();

/// Records the writable ranges. Called early, before large and mostly unused mappings exist.
pub(crate) fn record_writable_ranges() {
    if procfs::is_user_mode_linux() {
        let maps = procfs::read("/proc/self/maps").unwrap_or_default();
        WRITABLE.get_or_init(|| maps.lines().filter_map(writable_range).collect());
    }
}

/// Copies all pages that are still shared with the other side of a fork.
pub(crate) fn copy_shared_pages() {
    let here = 0_u8;
    // The stack grows below its current end.
    let end = (&raw const here).addr().saturating_sub(8 << 10) & !0xfff;
    for range in WRITABLE.get().into_iter().flatten() {
        let start = if range.contains(&end) { end } else { range.start };
        let address: *mut c_void = ptr::with_exposed_provenance_mut(start);
        // SAFETY: writes nothing; an unmapped range is an error. A kernel that lacks the advice copies page
        // by page.
        let _ = unsafe { madvise(address, range.end - start, Advice::LinuxPopulateWrite) };
    }
}

/// The range of a line of /proc/PID/maps if it is private and writable.
fn writable_range(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let private = fields.next().is_some_and(|rights| rights.starts_with("rw") && rights.ends_with('p'));
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    private.then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_heap_and_stack_are_writable_ranges() {
        let maps = "\
40074000-40247000 r-xp 00073000 00:02 290                                /init
40254000-40258000 rw-p 00251000 00:02 290                                /init
4025f000-40281000 rwxp 00000000 00:00 0                                  [heap]
40281000-40282000 ---p 00000000 00:00 0 
40282000-40284000 rw-s 00000000 00:00 0 
7f7f93f000-7f7f960000 rw-p 00000000 00:00 0                              [stack]
";
        let found: Vec<_> = maps.lines().filter_map(writable_range).collect();
        assert_eq!(
            found,
            [0x4025_4000..0x4025_8000, 0x4025_f000..0x4028_1000, 0x7f_7f93_f000..0x7f_7f96_0000]
        );
    }
}
