//! The guest's console: what it said, and which of it means that the kernel is in trouble.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::Write;

/// How many lines are kept in memory; the log file has them all.
const KEPT_LINES: usize = 2000;

/// What the kernel reported about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which kind of report it is.
    pub kind: TroubleKind,
    /// The line that began it, without the time stamp.
    pub line: String,
}

/// The kinds of reports that end a guest's usefulness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// The kernel gave up.
    Panic,
    /// A fault in kernel mode.
    Oops,
    /// BUG() and its kin.
    Bug,
    /// WARN(), or a debug-object report.
    Warning,
    /// KASAN, KFENCE, KCSAN or UBSAN.
    Sanitizer,
    /// The lock validator, or RCU's.
    Lockdep,
    /// kmemleak.
    Leak,
    /// A task that was blocked for too long.
    HungTask,
    /// A processor that was busy for too long.
    Lockup,
}

impl TroubleKind {
    /// Whether it says that something does not go on, rather than that something went wrong.
    pub fn is_hang(self) -> bool {
        matches!(self, Self::HungTask | Self::Lockup)
    }

    /// Recognises the first line of a report, without its time stamp.
    pub fn of(message: &str) -> Option<Self> {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| message.starts_with(prefix));
        let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
        Some(if starts(&["Kernel panic - not syncing"]) {
            Self::Panic
        } else if starts(&["BUG: KASAN:", "BUG: KFENCE:", "BUG: KCSAN:", "BUG: KMSAN:", "UBSAN:"]) {
            Self::Sanitizer
        } else if starts(&["watchdog: BUG: soft lockup", "watchdog: Watchdog detected hard LOCKUP"])
            || (starts(&["rcu: INFO:"]) && has(&["stall"]))
            || starts(&["BUG: workqueue lockup"])
        {
            Self::Lockup
        } else if starts(&["INFO: task "]) && has(&[" blocked for more than "]) {
            Self::HungTask
        } else if starts(&["BUG: unable to handle", "Oops: ", "kernel BUG at ", "general protection fault"]) {
            Self::Oops
        } else if starts(&["BUG: sleeping function", "BUG: scheduling while atomic", "[ BUG: Invalid wait"])
            || (starts(&["WARNING: "]) && has(LOCKDEP))
        {
            Self::Lockdep
        } else if starts(&["BUG: "]) {
            Self::Bug
        } else if starts(&["WARNING: ", "ODEBUG: "]) {
            Self::Warning
        } else if starts(&["kmemleak: "]) && has(&["new suspected memory leak"]) {
            Self::Leak
        } else {
            return None;
        })
    }
}

const LOCKDEP: &[&str] = &[
    "locking dependency",
    "recursive locking",
    "lock inversion",
    "inconsistent lock state",
    "suspicious RCU usage",
    "bad unlock balance",
    "lock held when returning",
    "held lock freed",
    "Nested lock was not taken",
    "unsafe lock order",
];

impl fmt::Display for TroubleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panic => "kernel panic",
            Self::Oops => "kernel oops",
            Self::Bug => "kernel BUG",
            Self::Warning => "kernel WARNING",
            Self::Sanitizer => "sanitizer report",
            Self::Lockdep => "lockdep report",
            Self::Leak => "memory leak",
            Self::HungTask => "hung task",
            Self::Lockup => "lockup",
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.line)
    }
}

/// Everything that came over the console, line by line.
#[derive(Debug)]
pub struct Console {
    unfinished: Vec<u8>,
    lines: VecDeque<String>,
    bytes: u64,
    log: File,
}

impl Console {
    /// A console that is written to `log` as it comes in.
    pub fn new(log: File) -> Self {
        Self { unfinished: Vec::new(), lines: VecDeque::new(), bytes: 0, log }
    }

    /// Takes what came in; gives the reports that it completes.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Trouble> {
        // A log that can't be written (full disk) must not cost the verdict.
        let _ = self.log.write_all(bytes);
        self.bytes += bytes.len() as u64;
        self.unfinished.extend_from_slice(bytes);
        let mut troubles = Vec::new();
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            troubles.extend(self.finish_line(&line));
        }
        troubles
    }

    /// The last lines, the one that is not finished included.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let unfinished = text(&self.unfinished);
        let unfinished = Some(unfinished).filter(|line| !line.is_empty());
        let start = self.lines.len().saturating_sub(count);
        self.lines.iter().skip(start).cloned().chain(unfinished).collect()
    }

    /// So many lines from the last one with this message on; what went before it, as far as they leave room for that.
    pub fn around(&self, report: &str, count: usize) -> Vec<String> {
        let begin = self.lines.iter().rposition(|line| message(line) == report).unwrap_or(0);
        let start = begin.min(self.lines.len().saturating_sub(count));
        self.lines.iter().skip(start).take(count).cloned().collect()
    }

    /// How many bytes have come in.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn finish_line(&mut self, line: &[u8]) -> Option<Trouble> {
        let line = text(line);
        let message = message(&line).trim_start();
        let trouble = TroubleKind::of(message).map(|kind| Trouble { kind, line: message.to_owned() });
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        trouble
    }
}

/// A line as text, without line ends and terminal control.
fn text(line: &[u8]) -> String {
    let printable = String::from_utf8_lossy(line);
    printable.trim_end().chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// The message without printk's `[    1.234567]` and `[   T12]`; its own indentation stays.
pub fn message(line: &str) -> &str {
    let mut rest = line;
    while let Some(after) = rest.strip_prefix('[') {
        match after.split_once(']') {
            Some((stamp, message)) if is_stamp(stamp.trim()) => {
                rest = message.strip_prefix(' ').unwrap_or(message)
            }
            _ => break,
        }
    }
    rest
}

fn is_stamp(inside: &str) -> bool {
    let digits = inside.trim_start_matches(['T', 'C']);
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> Console {
        Console::new(File::create("/dev/null").unwrap())
    }

    /// Lines of real kernels' reports, and what they are.
    const REPORTS: &[(&str, TroubleKind)] = &[
        (
            "[    1.02] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
            TroubleKind::Panic,
        ),
        ("[    2.1] BUG: KASAN: slab-use-after-free in key_put+0x12/0x90", TroubleKind::Sanitizer),
        (
            "[    2.1][   T12] BUG: kernel NULL pointer dereference, address: 0000000000000010",
            TroubleKind::Bug,
        ),
        ("[    3.0] BUG: unable to handle page fault for address: ffffc90000000000", TroubleKind::Oops),
        ("Oops: Oops: 0000 [#1] PREEMPT SMP", TroubleKind::Oops),
        ("[   12.3] WARNING: CPU: 1 PID: 77 at security/keys/request_key.c:450 x+0x1", TroubleKind::Warning),
        ("[   12.3] WARNING: possible circular locking dependency detected", TroubleKind::Lockdep),
        ("[   12.3] WARNING: suspicious RCU usage", TroubleKind::Lockdep),
        ("[  130.9] INFO: task agent:88 blocked for more than 60 seconds.", TroubleKind::HungTask),
        ("[   50.2] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", TroubleKind::Lockup),
        ("[   70.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [agent:9]", TroubleKind::Lockup),
        (
            "[   70.0] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            TroubleKind::Leak,
        ),
    ];

    #[test]
    fn reports_are_told_apart() {
        for (line, kind) in REPORTS {
            let troubles = console().take(format!("{line}\r\n").as_bytes());
            assert_eq!(troubles.iter().map(|t| t.kind).collect::<Vec<_>>(), [*kind], "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_no_trouble() {
        let ordinary = "[    0.0] Linux version 6.12\r\n[    0.1] Warning: unable to open an initial console.\r\n\
                        [    0.2] traps: agent[9] general protection fault ip:1 sp:2\nBUG without a colon\n";
        assert_eq!(console().take(ordinary.as_bytes()), []);
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_seen_once() {
        let mut console = console();
        assert_eq!(console.take(b"[ 1.0] Kernel pa"), []);
        assert_eq!(console.take(b"nic - not syncing: x\r").len(), 0);
        assert_eq!(console.take(b"\n").len(), 1);
    }

    #[test]
    fn the_tail_ends_with_what_is_unfinished() {
        let mut console = console();
        console.take(b"one\ntwo\r\nthr");
        assert_eq!(console.tail(1), ["two", "thr"]);
    }
}
