//! The kernel log: the guest's own lines go in, warnings of the kernel come out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

const DEVICE: &str = "/dev/kmsg";

/// How loud a line is: the kernel's log levels.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Level {
    /// The testbed failed.
    Error = 3,
    /// The testbed can go on, but somebody should know.
    Warning = 4,
    /// For the curious.
    Info = 6,
}

/// Writes a line to the kernel log. There is nobody to tell if that fails.
pub(crate) fn log(level: Level, text: &str) {
    let Ok(mut device) = OpenOptions::new().write(true).open(DEVICE) else { return };
    // A record is cut at about a thousand bytes.
    for line in text.lines() {
        let _ = device.write_all(format!("<{}>keyagents: {line}\n", level as u8).as_bytes());
    }
}

/// Stands in the log where a plan begins, so that whoever reads the log knows what was at hand.
const PLAN_START: &str = "keyagents: begins ";

/// Marks the beginning of a plan in the log.
pub(crate) fn mark_plan_start(plan: &str) {
    log(Level::Info, &format!("begins {plan}"));
}

/// What has been logged since the plan began.
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

/// What the kernel logs from now on.
pub(crate) struct LogReader(File);

impl LogReader {
    /// Starts at the end of the log.
    pub(crate) fn new() -> io::Result<Self> {
        let mut device = open()?;
        device.seek(SeekFrom::End(0))?;
        Ok(Self(device))
    }

    /// The kernel's lines of warning level and worse since the last call.
    pub(crate) fn warnings(&mut self) -> Vec<String> {
        self.records(warning)
    }

    /// What there is to say of each record since the last call.
    fn records(&mut self, say: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut record = [0; 8192];
        let mut lines = Vec::new();
        loop {
            match self.0.read(&mut record) {
                Ok(0) => return lines,
                Ok(length) => lines.extend(say(&String::from_utf8_lossy(&record[..length]))),
                // Records were overwritten before they were read: go on with the oldest there is.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(_) => return lines,
            }
        }
    }
}

/// The text of a record `priority,sequence,time,flags;text`, if the kernel itself warns in it.
fn warning(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    // The low three bits are the level; the others name the facility, 0 for the kernel.
    (priority <= Level::Warning as u32).then(|| first_line(text))
}

/// What follows is a dictionary.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_own_warnings_count() {
        assert_eq!(warning("4,1,99,-;WARNING: CPU: 0\n SUBSYSTEM=x\n"), Some("WARNING: CPU: 0".to_owned()));
        assert_eq!(warning("6,2,99,-;fine\n"), None);
        assert_eq!(warning("12,3,99,-;keyagents: a line from user space\n"), None);
    }
}
