//! Memory allocations that fail on request: CONFIG_FAULT_INJECTION, CONFIG_FAILSLAB.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

const DEBUGFS: &str = "/sys/kernel/debug";

/// Has allocations that may sleep fail, too, and nothing said about it. Says whether this kernel can inject faults.
pub(crate) fn configure() -> bool {
    for kind in ["failslab", "fail_page_alloc", "fail_usercopy"] {
        for (knob, value) in [("ignore-gfp-wait", "N"), ("verbose", "0")] {
            // Not every kind has every knob.
            let _ = fs::write(format!("{DEBUGFS}/{kind}/{knob}"), value);
        }
    }
    fs::exists(format!("{DEBUGFS}/failslab")).unwrap_or(false) && FailNth::open().is_ok()
}

/// The calling thread's failing allocation.
pub(crate) struct FailNth(File);

impl FailNth {
    /// # Errors
    /// The kernel can't do it.
    pub(crate) fn open() -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open("/proc/thread-self/fail-nth").map(Self)
    }

    /// Runs something with its `nth` allocation failing. Says whether it came so far.
    ///
    /// # Errors
    /// The kernel does not do it.
    pub(crate) fn fail_at<T>(&self, nth: u32, act: impl FnOnce() -> T) -> io::Result<(T, bool)> {
        self.0.write_at(nth.to_string().as_bytes(), 0)?;
        let done = act();
        Ok((done, self.has_failed()?))
    }

    /// What is left of the count is read, then cleared. Both copy from or to the caller, which may be what fails.
    fn has_failed(&self) -> io::Result<bool> {
        let mut left = [0; 16];
        let failed = match self.0.read_at(&mut left, 0) {
            Ok(length) => left[..length].trim_ascii() == b"0",
            Err(why) if why.raw_os_error() == Some(libc::EFAULT) => false,
            Err(why) => return Err(why),
        };
        match self.0.write_at(b"0", 0) {
            Err(why) if why.raw_os_error() == Some(libc::EFAULT) => self.0.write_at(b"0", 0)?,
            cleared => cleared?,
        };
        Ok(failed)
    }
}
