//! The guest's console: recent output, and kernel reports found in it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;

use scenarios::kernel_report::{self, KernelReport, message, text};

/// Number of lines kept in memory; the log file has all of them.
const KEPT_LINES: usize = 2000;

#[derive(Debug)]
pub struct Console {
    unfinished: Vec<u8>,
    lines: VecDeque<String>,
    bytes: u64,
    log: File,
}

impl Console {
    pub fn new(log: File) -> Self {
        Self { unfinished: Vec::new(), lines: VecDeque::new(), bytes: 0, log }
    }

    /// Adds received output; returns the kernel reports that it completes.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<KernelReport> {
        // A failed write to the log (full disk) does not affect the verdict.
        let _ = self.log.write_all(bytes);
        self.bytes += bytes.len() as u64;
        self.unfinished.extend_from_slice(bytes);
        let mut reports = Vec::new();
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            reports.extend(self.finish_line(&line));
        }
        reports
    }

    /// Returns the last lines, with the unfinished one.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let unfinished = text(&self.unfinished);
        let unfinished = Some(unfinished).filter(|line| !line.is_empty());
        let start = self.lines.len().saturating_sub(count);
        self.lines.iter().skip(start).cloned().chain(unfinished).collect()
    }

    /// Returns `count` lines that begin with the last one whose message is `report`. If fewer
    /// follow it, earlier lines fill the count.
    pub fn around(&self, report: &str, count: usize) -> Vec<String> {
        let begin = self.lines.iter().rposition(|line| message(line) == report).unwrap_or(0);
        let start = begin.min(self.lines.len().saturating_sub(count));
        self.lines.iter().skip(start).take(count).cloned().collect()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn finish_line(&mut self, line: &[u8]) -> Option<KernelReport> {
        let line = text(line);
        let report = kernel_report::begun_by(&line);
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> Console {
        Console::new(File::create("/dev/null").unwrap())
    }

    #[test]
    fn line_in_several_pieces_is_one_report() {
        let mut console = console();
        assert_eq!(console.take(b"[ 1.0] Kernel pa"), []);
        assert_eq!(console.take(b"nic - not syncing: x\r").len(), 0);
        assert_eq!(console.take(b"\n").len(), 1);
    }

    #[test]
    fn tail_includes_the_unfinished_line() {
        let mut console = console();
        console.take(b"one\ntwo\r\nthr");
        assert_eq!(console.tail(1), ["two", "thr"]);
    }
}
