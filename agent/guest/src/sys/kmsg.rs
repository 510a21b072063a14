//! Access to the kernel log, `/dev/kmsg`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

const DEVICE: &str = "/dev/kmsg";

/// The kernel's log levels, as far as they are used.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Level {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// Writes lines to the kernel log. A failure is ignored, since the log is the last place to report to.
pub(crate) fn log(level: Level, text: &str) {
    write(level, "keyagents: ", text);
}

/// As [`log`], with another prefix.
pub(crate) fn write(level: Level, prefix: &str, text: &str) {
    let Ok(mut device) = OpenOptions::new().write(true).open(DEVICE) else { return };
    // The kernel cuts a record at about a thousand bytes.
    for line in text.lines() {
        let _ = device.write_all(format!("<{}>{prefix}{line}\n", level as u8).as_bytes());
    }
}

/// Marks a plan's start in the log, for readers and for [`since_plan_start`].
const PLAN_START: &str = "keyagents: begins ";

pub(crate) fn mark_plan_start(plan: &str) {
    log(Level::Info, &format!("begins {plan}"));
}

pub(crate) fn since_plan_start() -> io::Result<Vec<String>> {
    let mut log = LogReader(open()?);
    let mut lines = log.records(|record| record.split_once(';').map(|(_, text)| first_line(text)));
    match lines.iter().rposition(|line| line.starts_with(PLAN_START)) {
        Some(place) => Ok(lines.split_off(place + 1)),
        None => Ok(lines),
    }
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(DEVICE)
}

/// Reads the records logged after its creation.
pub(crate) struct LogReader(File);

impl LogReader {
    pub(crate) fn new() -> io::Result<Self> {
        let mut device = open()?;
        device.seek(SeekFrom::End(0))?;
        Ok(Self(device))
    }

    /// Returns the kernel's lines of level warning and worse since the last call.
    pub(crate) fn warnings(&mut self) -> Vec<String> {
        self.records(warning)
    }

    /// Returns what `select` takes from each record since the last call.
    fn records(&mut self, select: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut record = [0; 8192];
        let mut lines = Vec::new();
        loop {
            match self.0.read(&mut record) {
                Ok(0) => return lines,
                Ok(length) => lines.extend(select(&String::from_utf8_lossy(&record[..length]))),
                // The kernel has overwritten unread records: the next read returns the oldest one left.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(_) => return lines,
            }
        }
    }
}

/// The text of a record `priority,sequence,time,flags;text` if it is a kernel warning.
fn warning(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    // The low three bits are the level; the others are the facility, which is 0 for the kernel.
    (priority <= Level::Warning as u32).then(|| first_line(text))
}

/// The lines that follow are a dictionary.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernel_warnings_are_reported() {
        assert_eq!(warning("4,1,99,-;WARNING: CPU: 0\n SUBSYSTEM=x\n"), Some("WARNING: CPU: 0".to_owned()));
        assert_eq!(warning("6,2,99,-;fine\n"), None);
        assert_eq!(warning("12,3,99,-;keyagents: a line from user space\n"), None);
    }
}
