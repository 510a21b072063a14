//! What a process and its child share after a fork: pages that are copied when one of them first writes to them.
//!
//! That is a fault for each page. On User-Mode Linux a fault takes six switches between processes of the host, forty times as
//! long as copying the page: there, most of a scenario's time would be faults.

use std::ffi::c_void;
use std::ops::Range;
use std::sync::OnceLock;
use std::{fs, ptr};

use rustix::mm::{Advice, madvise};

/// Where this process writes, and its descendants do, if faults are dear here.
static WRITABLE: OnceLock<Vec<Range<usize>>> = OnceLock::new();

/// Takes note of where this process writes, before it has got any memory that is large and mostly unused.
pub(crate) fn record_writable_ranges() {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if processor.contains("User Mode Linux") {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        WRITABLE.get_or_init(|| maps.lines().filter_map(writable_range).collect());
    }
}

/// Copies all pages at once that are shared with the other side of a fork.
pub(crate) fn copy_shared_pages() {
    let here = 0_u8;
    // What lies below the stack's end will be written to as well.
    let end = (&raw const here).addr().saturating_sub(8 << 10) & !0xfff;
    for range in WRITABLE.get().into_iter().flatten() {
        let start = if range.contains(&end) { end } else { range.start };
        let address: *mut c_void = ptr::with_exposed_provenance_mut(start);
        // SAFETY: writes nothing; what is not mapped any more is an error. A kernel that can't does it page by page.
        let _ = unsafe { madvise(address, range.end - start, Advice::LinuxPopulateWrite) };
    }
}

/// The place that a line of /proc/PID/maps tells of, if it is written to and nobody else sees it.
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
    fn a_process_writes_to_its_data_heap_and_stack() {
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
