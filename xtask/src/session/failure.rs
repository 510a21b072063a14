//! Why a guest is no longer of use: what was seen, whose fault it was, and the console's lines that tell it.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use scenarios::kernel_report::{FailureKind, KernelReportKind};
use scenarios::plan::Plan;
use scenarios::trace::Trace;
use scenarios::verdict::{Cause, ConsoleLine, Verdict};
use scenarios::wire::Event;

use super::POWER_OFF;
use crate::vm::{Ending, KernelReport, Machine, MachineEvent};

/// After trouble, the console is listened to until it is quiet for `QUIET`, but no longer than `SETTLE`.
const QUIET: Duration = Duration::from_millis(700);
const SETTLE: Duration = Duration::from_secs(4);

/// How many lines of the console go with a failure.
const CONSOLE_LINES: usize = 40;

/// How many lines of it, where they are the kernel's report of a fault.
const REPORT_LINES: usize = 90;

/// Why a guest is no longer of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it was.
    pub kind: FailureKind,
    /// What was seen.
    pub cause: Cause,
    /// The report that the kernel began, if it did.
    report: Option<KernelReport>,
    /// The events up to then.
    pub events: Vec<Event>,
}

impl Failure {
    /// The testbed's own fault, before there was a guest.
    pub fn broken(why: &str) -> Box<Self> {
        Box::new(Self { kind: FailureKind::Broken, cause: why.into(), report: None, events: Vec::new() })
    }

    /// Whether the guest's kernel gave up at boot because the emulated timer did not tick while it looked (`check_timer()`): that
    /// happens where the host has other things to do, and says nothing of the kernel.
    pub(super) fn is_for_want_of_time(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.line.contains("IO-APIC + timer doesn't work"))
    }

    /// What is to be said of the plan at hand.
    pub fn verdict(&self, plan: &Plan) -> Verdict {
        let trace = (!self.events.is_empty()).then(|| Trace::of(plan, &self.events).to_string());
        self.kind.verdict(Cause { trace, ..self.cause.clone() })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

/// What ended a conversation before its time.
pub(super) enum End {
    KernelReport(KernelReport),
    Gone,
    Silence,
    Guest(String),
}

impl End {
    /// Listens to the guest's last words, stops it, and says what happened.
    pub(super) fn explain(self, machine: &mut Machine, events: Vec<Event>) -> Box<Failure> {
        let trouble = match &self {
            Self::KernelReport(trouble) => Some(trouble.clone()),
            // The reason may still be on its way.
            Self::Gone | Self::Silence => settle(machine),
            Self::Guest(_) => None,
        };
        if matches!(self, Self::KernelReport(_)) {
            settle(machine);
        }
        let age = machine.age().as_secs_f32();
        let (kind, why) = match (&trouble, self) {
            (Some(trouble), _) if trouble.kind == KernelReportKind::HostFull => {
                (trouble.kind.failure(), host_full(machine))
            }
            (Some(trouble), _) => (trouble.kind.failure(), trouble.to_string()),
            (None, Self::Guest(why)) => (FailureKind::Broken, format!("the guest's fault: {why}")),
            (None, Self::Silence) => {
                (FailureKind::Hung, format!("the guest is silent, {age:.0} s after its start"))
            }
            (None, Self::Gone | Self::KernelReport(_)) => gone(machine),
        };
        machine.stop();
        let console = match &trouble {
            Some(report) => machine.console().around(&report.line, REPORT_LINES),
            None => machine.console().tail(CONSOLE_LINES),
        };
        let console = console.into_iter().map(ConsoleLine::from).collect();
        let cause = Cause { console, log: Some(machine.log().to_path_buf()), ..why.into() };
        Box::new(Failure { kind, cause, report: trouble, events })
    }
}

fn gone(machine: &mut Machine) -> (FailureKind, String) {
    match machine.end_within(POWER_OFF) {
        // A processor that resets without a word has met a fault that nobody could report.
        Ending::PoweredOff => (FailureKind::Crashed, "the guest restarted without a word".into()),
        Ending::Stopped => (FailureKind::Broken, "the guest closed its console and did not end".into()),
        Ending::Failed(status) => (
            FailureKind::Broken,
            format!("the virtual machine failed ({status}): {}", machine.command_line()),
        ),
    }
}

/// What is to be done where the host has no room left for a guest's memory.
fn host_full(machine: &Machine) -> String {
    let place = machine.memory_directory().unwrap_or(Path::new("/tmp"));
    format!(
        "the host ran out of space in {}, which holds the memory of the guests: free some, set TMPDIR to a directory with more \
         room, or run fewer guests at once (--jobs)",
        place.display()
    )
}

/// Listens until the guest is quiet or gone; gives the first trouble heard.
fn settle(machine: &Machine) -> Option<KernelReport> {
    let deadline = Instant::now() + SETTLE;
    let mut first = None;
    let mut heard = machine.console().bytes();
    loop {
        match machine.next(QUIET.min(deadline.saturating_duration_since(Instant::now()))) {
            Some(MachineEvent::KernelReport(trouble)) => {
                first.get_or_insert(trouble);
            }
            Some(MachineEvent::Message(_)) => {}
            Some(MachineEvent::Gone) => return first,
            None => {
                let now = machine.console().bytes();
                if now == heard || Instant::now() >= deadline {
                    return first;
                }
                heard = now;
            }
        }
    }
}
