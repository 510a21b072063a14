//! Fault injection into memory allocations: CONFIG_FAULT_INJECTION, CONFIG_FAILSLAB.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

const DEBUGFS: &str = "/sys/kernel/debug";

/// Makes sleeping allocations fail too, without messages in the log. Returns whether the kernel can inject
/// faults.
pub(crate) fn configure() -> bool {
    for kind in ["failslab", "fail_page_alloc", "fail_usercopy"] {
        for (knob, value) in [("ignore-gfp-wait", "N"), ("verbose", "0")] {
            // Not every kind has every knob.
            let _ = fs::write(format!("{DEBUGFS}/{kind}/{knob}"), value);
        }
    }
    fs::exists(format!("{DEBUGFS}/failslab")).unwrap_or(false) && FailNth::open().is_ok()
}

/// `/proc/thread-self/fail-nth`: makes the calling thread's nth allocation fail.
pub(crate) struct FailNth(File);

impl FailNth {
    pub(crate) fn open() -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open("/proc/thread-self/fail-nth").map(Self)
    }

    /// Runs `act` with its `nth` allocation failing. Returns its result, and whether it made that many
    /// allocations.
    pub(crate) fn fail_at<T>(&self, nth: u32, act: impl FnOnce() -> T) -> io::Result<(T, bool)> {
        self.0.write_at(nth.to_string().as_bytes(), 0)?;
        let done = act();
        Ok((done, self.has_failed()?))
    }

    /// Reads what is left of the count, then clears it. Both accesses copy from or to user memory, which may
    /// be what fails.
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
