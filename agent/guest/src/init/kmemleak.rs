//! Runs kmemleak when all plans are over.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::sys::kmsg::{self, Level};

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// kmemleak ignores objects younger than five seconds.
const AGE: Duration = Duration::from_millis(5500);

/// Scans if the kernel has kmemleak, and logs the leaks to the console, which the host reads.
pub(super) fn report() {
    if !Path::new(KMEMLEAK).exists() {
        return;
    }
    thread::sleep(AGE);
    // The first scan only takes checksums: an object that changes is in use.
    for _ in 0..2 {
        if let Err(why) = fs::write(KMEMLEAK, "scan") {
            return kmsg::log(Level::Warning, &format!("kmemleak does not scan: {why}"));
        }
    }
    let found = fs::read_to_string(KMEMLEAK).unwrap_or_default();
    let count = found.matches("unreferenced object").count();
    if count == 0 {
        return kmsg::log(Level::Info, "kmemleak has found nothing");
    }
    // The kernel logs this itself, but below the console's log level.
    kmsg::write(Level::Warning, "kmemleak: ", &format!("{count} new suspected memory leaks"));
    kmsg::write(Level::Warning, "", &found);
}
