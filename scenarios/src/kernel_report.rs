//! Patterns of kernel reports (oops, WARN, sanitizers, lockups, …) in console output.
//!
//! The testbed reads consoles with [`KernelReportKind::of`]. A bundle may run on a host for which
//! this code is not compiled. It uses the same patterns as a program for awk: [`awk`].

use std::fmt::{self, Write};

use self::KernelReportKind as Kind;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelReport {
    pub kind: KernelReportKind,
    /// The first line, without the time stamp.
    pub line: String,
}

impl KernelReport {
    /// Checks for a panic at boot because the emulated timer did not tick during `check_timer()`.
    /// That happens on a busy host, and is no fault of the kernel.
    pub fn is_late_timer(&self) -> bool {
        self.line.contains("IO-APIC + timer doesn't work")
    }
}

/// Kinds of reports after which a guest is not used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelReportKind {
    Panic,
    /// A fault in kernel mode.
    Oops,
    /// BUG() and similar reports.
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
    /// User-Mode Linux: the host has no space left for the file with the guest's memory.
    HostFull,
}

/// Classes of failures, by their cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The guest's kernel reported a fault of its own.
    Crashed,
    /// No progress.
    Hung,
    /// A fault of the testbed.
    Broken,
}

impl FailureKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::Hung => "hung",
            Self::Broken => "broken",
        }
    }
}

/// First lines of one kind of report.
struct Pattern {
    kind: KernelReportKind,
    /// Possible beginnings of the line.
    begins: &'static [&'static str],
    /// Other possible parts of the line. One of them must be in it, if there are any.
    has: &'static [&'static str],
}

const fn begins(kind: KernelReportKind, begins: &'static [&'static str]) -> Pattern {
    Pattern { kind, begins, has: &[] }
}

/// The patterns. The first one that fits determines the kind.
const PATTERNS: &[Pattern] = &[
    begins(Kind::HostFull, &["Bus error - the host /dev/shm or /tmp mount likely just ran out of space"]),
    begins(Kind::Panic, &["Kernel panic - not syncing"]),
    begins(Kind::Sanitizer, &["BUG: KASAN:", "BUG: KFENCE:", "BUG: KCSAN:", "BUG: KMSAN:", "UBSAN:"]),
    begins(
        Kind::Lockup,
        &["watchdog: BUG: soft lockup", "watchdog: Watchdog detected hard LOCKUP", "BUG: workqueue lockup"],
    ),
    Pattern { kind: Kind::Lockup, begins: &["rcu: INFO:"], has: &["stall"] },
    Pattern { kind: Kind::HungTask, begins: &["INFO: task "], has: &[" blocked for more than "] },
    begins(Kind::Oops, &["BUG: unable to handle", "Oops: ", "kernel BUG at ", "general protection fault"]),
    begins(Kind::Lockdep, &["BUG: sleeping function", "BUG: scheduling while atomic", "[ BUG: Invalid wait"]),
    Pattern {
        kind: Kind::Lockdep,
        begins: &["WARNING: "],
        has: &[
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
        ],
    },
    begins(Kind::Bug, &["BUG: "]),
    begins(Kind::Warning, &["WARNING: ", "ODEBUG: "]),
    Pattern { kind: Kind::Leak, begins: &["kmemleak: "], has: &["new suspected memory leak"] },
];

impl Pattern {
    fn fits(&self, message: &str) -> bool {
        self.begins.iter().any(|begin| message.starts_with(begin))
            && (self.has.is_empty() || self.has.iter().any(|part| message.contains(part)))
    }

    /// Returns the pattern as a condition of awk.
    fn awk(&self) -> String {
        let any = |function: &str, texts: &[&str]| {
            let calls = texts.iter().map(|text| format!("{function}({text:?})"));
            format!("({})", calls.collect::<Vec<_>>().join(" || "))
        };
        let mut condition = any("begins", self.begins);
        if !self.has.is_empty() {
            condition.push_str(" && ");
            condition.push_str(&any("has", self.has));
        }
        condition
    }
}

impl KernelReportKind {
    /// Recognises the first line of a report, without its time stamp.
    pub fn of(message: &str) -> Option<Self> {
        PATTERNS.iter().find(|pattern| pattern.fits(message)).map(|pattern| pattern.kind)
    }

    pub fn failure(self) -> FailureKind {
        match self {
            // No progress, rather than an error.
            Self::HungTask | Self::Lockup => FailureKind::Hung,
            Self::HostFull => FailureKind::Broken,
            _ => FailureKind::Crashed,
        }
    }
}

impl fmt::Display for KernelReportKind {
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
            Self::HostFull => "no space left on the host",
        })
    }
}

impl fmt::Display for KernelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.line)
    }
}

/// Returns a line as text, without line ends and terminal control.
pub fn text(line: &[u8]) -> String {
    let printable = String::from_utf8_lossy(line);
    printable.trim_end().chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// Returns the message without printk's `<3>`, `[    1.234567]` and `[   T12]`. Its own indentation
/// stays.
pub fn message(line: &str) -> &str {
    // A kernel that panics before it has a console dumps its log with the levels in it.
    let level = line.strip_prefix('<').and_then(|rest| rest.strip_prefix(|c: char| c.is_ascii_digit()));
    let mut rest = level.and_then(|rest| rest.strip_prefix('>')).unwrap_or(line);
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

/// Returns the report that begins with a line of the console, or `None`.
pub fn begun_by(line: &str) -> Option<KernelReport> {
    let message = message(line).trim_start();
    KernelReportKind::of(message).map(|kind| KernelReport { kind, line: message.to_owned() })
}

/// Returns a program for any awk that finds the first report in a console. It prints the word of
/// the verdict, and then this number of lines from the report on. Without a report it prints
/// nothing.
pub fn awk(lines: usize) -> String {
    let mut kinds = String::new();
    for pattern in PATTERNS {
        let word = pattern.kind.failure().word();
        // Writing to a string can't fail.
        let _ = writeln!(kinds, "\tif ({}) return \"{word}\"", pattern.awk());
    }
    format!(
        r#"# Finds the first report of a fault in a kernel's console. Made from the patterns by which the testbed itself judges.
function begins(text) {{ return index(message, text) == 1 }}
function has(text) {{ return index(message, text) > 0 }}
function verdict() {{
{kinds}	return ""
}}
{{ gsub(/[\001-\010\013-\037\177]/, "") }}
!found {{
	message = $0
	sub(/^<[0-9]>/, "", message)
	while (match(message, /^\[ *[TC]*[0-9.]+ *\]/)) {{
		message = substr(message, RLENGTH + 1)
		sub(/^ /, "", message)
	}}
	sub(/^[ \t]+/, "", message)
	found = verdict()
	if (found) print found
}}
found && printed++ < {lines} {{ print }}
"#
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// Lines of real kernels' reports, each with its kind and the word of the verdict.
    const REPORTS: &[(&str, Kind, &str)] = &[
        (
            "[    1.02] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
            Kind::Panic,
            "crashed",
        ),
        ("[    2.1] BUG: KASAN: slab-use-after-free in key_put+0x12/0x90", Kind::Sanitizer, "crashed"),
        ("[    2.1] UBSAN: shift-out-of-bounds in security/keys/key.c:7:3", Kind::Sanitizer, "crashed"),
        (
            "[    2.1][   T12] BUG: kernel NULL pointer dereference, address: 0000000000000010",
            Kind::Bug,
            "crashed",
        ),
        ("[    3.0] BUG: unable to handle page fault for address: ffffc90000000000", Kind::Oops, "crashed"),
        ("Oops: Oops: 0000 [#1] PREEMPT SMP", Kind::Oops, "crashed"),
        (
            "[   12.3] WARNING: CPU: 1 PID: 77 at security/keys/request_key.c:450 x+0x1",
            Kind::Warning,
            "crashed",
        ),
        ("[   12.3] WARNING: possible circular locking dependency detected", Kind::Lockdep, "crashed"),
        ("[   12.3] WARNING: suspicious RCU usage", Kind::Lockdep, "crashed"),
        ("[   12.3]  [ BUG: Invalid wait context ]", Kind::Lockdep, "crashed"),
        ("[  130.9] INFO: task agent:88 blocked for more than 60 seconds.", Kind::HungTask, "hung"),
        ("[   50.2] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", Kind::Lockup, "hung"),
        ("[   70.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [agent:9]", Kind::Lockup, "hung"),
        (
            "[   70.0] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            Kind::Leak,
            "crashed",
        ),
        (
            "<3>[    0.000000] Bus error - the host /dev/shm or /tmp mount likely just ran out of space",
            Kind::HostFull,
            "broken",
        ),
    ];

    const ORDINARY: &[&str] = &[
        "[    0.0] Linux version 6.12",
        "[    0.1] Warning: unable to open an initial console.",
        "[    0.2] traps: agent[9] general protection fault ip:1 sp:2",
        "BUG without a colon",
        "[    0.3] audit: WARNING: quoted in the middle",
        "[    0.4] INFO: task agent:88 is well",
    ];

    fn awk_says(console: &str) -> String {
        let mut command = Command::new("awk");
        command.arg(awk(3)).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(console.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_report_is_told_from_others_and_judged_alike_by_the_testbed_and_by_awk() {
        for (line, kind, word) in REPORTS {
            let trouble = begun_by(line).unwrap();
            assert_eq!((trouble.kind, kind.failure().word()), (*kind, *word), "{line}");
            let console = format!("[ 0.1] quiet\r\n{line}\r\nnext\nlast\nleft out\n");
            assert_eq!(awk_says(&console), format!("{word}\n{line}\nnext\nlast\n"));
        }
    }

    #[test]
    fn ordinary_lines_are_no_report_to_either() {
        for line in ORDINARY {
            assert_eq!(begun_by(line), None);
        }
        assert_eq!(awk_says(&ORDINARY.join("\n")), "");
    }

    #[test]
    fn the_first_of_several_reports_counts_for_awk_as_it_does_in_a_conversation() {
        let both = format!("{}\n{}\n", REPORTS[10].0, REPORTS[0].0);
        assert!(awk_says(&both).starts_with("hung\n"));
    }
}
