//! Failures of a guest: their cause, their kind, and the console lines that show it.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use scenarios::kernel_report::{FailureKind, KernelReportKind};
use scenarios::plan::Plan;
use scenarios::trace::Trace;
use scenarios::verdict::{Cause, ConsoleLine, Verdict};
use scenarios::wire::{Event, GuestMessage};

use super::POWER_OFF;
use crate::vm::{Ending, KernelReport, Machine, MachineEvent};

/// After a kernel report, console output is read until it stops for `QUIET`, at most for `SETTLE`.
const QUIET: Duration = Duration::from_millis(700);
const SETTLE: Duration = Duration::from_secs(4);

const CONSOLE_LINES: usize = 40;

/// Number of console lines in a failure with a kernel report.
const REPORT_LINES: usize = 90;

/// Failure that makes a guest unusable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Kind of failure, which shows whose fault it is.
    pub kind: FailureKind,
    pub cause: Cause,
    report: Option<KernelReport>,
    pub events: Vec<Event>,
}

impl Failure {
    /// Returns a failure of the testbed itself, before a guest was started.
    pub fn broken(why: &str) -> Box<Self> {
        Box::new(Self { kind: FailureKind::Broken, cause: why.into(), report: None, events: Vec::new() })
    }

    pub(super) fn is_late_timer(&self) -> bool {
        self.report.as_ref().is_some_and(KernelReport::is_late_timer)
    }

    pub fn verdict(&self, plan: &Plan) -> Verdict {
        let trace = (!self.events.is_empty()).then(|| Trace::of(plan, &self.events));
        self.kind.verdict(Cause { trace, ..self.cause.clone() })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.to_string().trim_end())
    }
}

impl std::error::Error for Failure {}

/// Cause of a session's early end.
pub(super) enum End {
    KernelReport(KernelReport),
    Gone,
    Timeout,
    Guest(String),
}

impl End {
    /// Returns the failure of a guest that sends a message which the session does not expect.
    pub(super) fn unexpected(message: &GuestMessage) -> Self {
        Self::Guest(format!("unexpected message: {message:?}"))
    }

    /// Reads the guest's last output, stops the guest, and returns the failure.
    pub(super) fn explain(self, machine: &mut Machine, events: Vec<Event>) -> Box<Failure> {
        let report = match &self {
            Self::KernelReport(report) => Some(report.clone()),
            // The kernel report may not have arrived yet.
            Self::Gone | Self::Timeout => settle(machine),
            Self::Guest(_) => None,
        };
        if matches!(self, Self::KernelReport(_)) {
            settle(machine);
        }
        let age = machine.age().as_secs_f32();
        let (kind, why) = match (&report, self) {
            (Some(report), _) if report.kind == KernelReportKind::HostFull => {
                (report.kind.failure(), host_full(machine))
            }
            (Some(report), _) => (report.kind.failure(), report.to_string()),
            (None, Self::Guest(why)) => (FailureKind::Broken, format!("the agent failed: {why}")),
            (None, Self::Timeout) => (
                FailureKind::Hung,
                format!("the guest was not done by its deadline, {age:.0} s after its start"),
            ),
            (None, Self::Gone | Self::KernelReport(_)) => gone(machine),
        };
        machine.stop();
        let console = match &report {
            Some(report) => machine.console().around(&report.line, REPORT_LINES),
            None => machine.console().tail(CONSOLE_LINES),
        };
        let console = console.into_iter().map(ConsoleLine::from).collect();
        let cause = Cause { console, log: Some(machine.log.clone()), ..why.into() };
        Box::new(Failure { kind, cause, report, events })
    }
}

fn gone(machine: &mut Machine) -> (FailureKind, String) {
    match machine.end_within(POWER_OFF) {
        // A processor that resets without output has hit a fault that the kernel could not report.
        Ending::PoweredOff => (FailureKind::Crashed, "the guest restarted without output".into()),
        Ending::Stopped => (FailureKind::Broken, "the guest closed its console and did not end".into()),
        Ending::Failed(status) => {
            (FailureKind::Broken, format!("the virtual machine failed ({status}): {}", machine.command_line))
        }
    }
}

/// Error for a host without room for a guest's memory.
fn host_full(machine: &Machine) -> String {
    let place = machine.memory_directory.as_deref().unwrap_or(Path::new("/tmp"));
    format!(
        "the host ran out of space in {}, which holds the memory of the guests: free some, set TMPDIR to a directory with more \
         room, or run fewer guests at once (--jobs)",
        place.display()
    )
}

/// Reads until the guest is quiet or has ended; returns the first kernel report.
fn settle(machine: &Machine) -> Option<KernelReport> {
    let deadline = Instant::now() + SETTLE;
    let mut first = None;
    let mut bytes = machine.console().bytes();
    loop {
        match machine.next(deadline.min(Instant::now() + QUIET)) {
            Some(MachineEvent::KernelReport(report)) => {
                first.get_or_insert(report);
            }
            Some(MachineEvent::Message(_)) => {}
            Some(MachineEvent::Gone) => return first,
            None => {
                let now = machine.console().bytes();
                if now == bytes || Instant::now() >= deadline {
                    return first;
                }
                bytes = now;
            }
        }
    }
}
