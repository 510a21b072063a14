//! Memory that the kernel has lost, as kmemleak sees it when all plans are over.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::sys::kmsg::{self, Level};

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// kmemleak does not judge what is younger than five seconds.
const AGE: Duration = Duration::from_millis(5500);

/// Has kmemleak look, if this kernel has it, and puts what it finds on the console, where the host sees it.
pub(super) fn report() {
    if !Path::new(KMEMLEAK).exists() {
        return;
    }
    thread::sleep(AGE);
    // The first scan only takes note of what objects contain: one that changes is in use.
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
    let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") else { return };
    // The kernel says so itself, but too softly for the console.
    let _ = log.write_all(format!("<4>kmemleak: {count} new suspected memory leaks\n").as_bytes());
    for line in found.lines() {
        let _ = log.write_all(format!("<4>{line}\n").as_bytes());
    }
}
