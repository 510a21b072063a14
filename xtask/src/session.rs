//! A conversation with one guest: hello, plans, events, and how it ends.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use scenarios::measure::{Measurement, Series};
use scenarios::plan::Plan;
use scenarios::program::Program;
use scenarios::trace::Trace;
use scenarios::verdict::Verdict;
use scenarios::wire::{Ending, Event, Finished, GuestMessage, Hello, HostMessage, PROTOCOL};

use crate::vm::machine::Ending as MachineEnding;
use crate::vm::{Backend, Boot, Happening, Kind, Machine, Trouble};

/// How long the host waits past a plan's own deadline, which the guest keeps, before it calls the guest hung.
const PATIENCE: Duration = Duration::from_secs(10);

/// After trouble, the console is listened to until it is quiet for `QUIET`, but no longer than `AFTERMATH`.
const QUIET: Duration = Duration::from_millis(700);
const AFTERMATH: Duration = Duration::from_secs(4);

/// How long a guest may take to power off.
const POWER_OFF: Duration = Duration::from_secs(5);

/// How many lines of the console go with a failure.
const CONSOLE_LINES: usize = 40;

/// A guest that has said hello.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    kind: Kind,
    hello: Hello,
    /// How long the guest may take to power off.
    power_off: Duration,
}

/// What a plan gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Everything that happened, in the guest's order.
    pub events: Vec<Event>,
    /// How the plan ended.
    pub finished: Finished,
}

/// Why a guest is no longer of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it was.
    pub kind: FailureKind,
    /// What was seen, in one line.
    pub why: String,
    /// The console's lines that belong to it.
    pub console: Vec<String>,
    /// Where the whole console is, if a guest was started.
    pub log: Option<PathBuf>,
    /// The events up to then.
    pub events: Vec<Event>,
}

/// Whose fault a failure was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The guest's kernel reported a fault of its own.
    Crashed,
    /// Nothing went on any more.
    Hung,
    /// The testbed's own fault.
    Broken,
}

impl Failure {
    /// The testbed's own fault, before there was a guest.
    pub fn broken(why: &str) -> Self {
        Self {
            kind: FailureKind::Broken,
            why: why.into(),
            console: Vec::new(),
            log: None,
            events: Vec::new(),
        }
    }
}

impl Failure {
    /// What is to be said of the plan at hand.
    pub fn verdict(&self, plan: &Plan) -> Verdict {
        let story = Trace::of(plan, &self.events).to_string();
        let said =
            if self.events.is_empty() { self.to_string() } else { format!("{self}\nuntil then:\n{story}") };
        match self.kind {
            FailureKind::Crashed => Verdict::Crashed(said),
            FailureKind::Hung => Verdict::Hung(said),
            FailureKind::Broken => Verdict::Broken(said),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.why)?;
        for line in &self.console {
            writeln!(f, "  │ {line}")?;
        }
        match &self.log {
            Some(log) => writeln!(f, "  the whole console: {}", log.display()),
            None => Ok(()),
        }
    }
}

impl Session {
    /// Starts a guest and hears its hello.
    ///
    /// # Errors
    /// `Ok(Err(_))` when the guest did not come up; `Err` when it could not even be started.
    pub fn open(backend: &dyn Backend, boot: &Boot) -> Result<Result<Self, Failure>> {
        let mut machine = Machine::start(backend, boot)?;
        let within = boot.pace.stretch(backend.boot_deadline());
        Ok(match hello(&mut machine, within) {
            Ok(hello) => {
                Ok(Self { machine, kind: backend.kind(), hello, power_off: boot.pace.stretch(POWER_OFF) })
            }
            Err(end) => Err(end.explain(&mut machine, Vec::new())),
        })
    }

    /// How the guest introduced itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What it runs on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.machine.age()
    }

    /// Has the guest carry out a plan.
    ///
    /// # Errors
    /// The guest is of no use any more: drop the session.
    pub fn run(&mut self, plan: &Plan) -> Result<Run, Box<Failure>> {
        let mut events = Vec::new();
        match self.carry_out(plan, &mut events) {
            Ok(finished) => Ok(Run { events, finished }),
            Err(end) => Err(Box::new(end.explain(&mut self.machine, events))),
        }
    }

    /// Has the guest run a program, and hears each line that it prints. None: its deadline passed.
    ///
    /// # Errors
    /// The guest is of no use any more: drop the session.
    pub fn execute(
        &mut self,
        program: &Program,
        mut printed: impl FnMut(String),
    ) -> Result<Option<Ending>, Box<Failure>> {
        let ending = self.watch(program, &mut printed);
        ending.map_err(|end| Box::new(end.explain(&mut self.machine, Vec::new())))
    }

    /// Has the guest measure.
    ///
    /// # Errors
    /// The guest is of no use any more: drop the session.
    pub fn measure(
        &mut self,
        measurement: &Measurement,
        within: Duration,
    ) -> Result<Vec<Series>, Box<Failure>> {
        let deadline = Instant::now() + within;
        let measured =
            self.say(&HostMessage::Measure(measurement.clone())).and_then(|()| {
                match next_message(&self.machine, deadline)? {
                    GuestMessage::Measured(series) => Ok(series),
                    GuestMessage::Broken(broken) => Err(End::Guest(broken.why)),
                    other => Err(End::Guest(format!("it said {other:?} while it measured"))),
                }
            });
        measured.map_err(|end| Box::new(end.explain(&mut self.machine, Vec::new())))
    }

    /// Ends the guest in good order.
    ///
    /// # Errors
    /// The kernel had something to report on the way, such as memory that it has lost.
    pub fn close(mut self) -> Result<(), Box<Failure>> {
        // A guest that can't be told so any more is ended by being dropped.
        if self.say(&HostMessage::PowerOff).is_err() {
            return Ok(());
        }
        let deadline = Instant::now() + self.power_off;
        loop {
            match next_message(&self.machine, deadline) {
                Ok(_) => {}
                Err(end @ End::Trouble(_)) => {
                    return Err(Box::new(end.explain(&mut self.machine, Vec::new())));
                }
                Err(_) => return Ok(()),
            }
        }
    }

    fn carry_out(&mut self, plan: &Plan, events: &mut Vec<Event>) -> Result<Finished, End> {
        self.say(&HostMessage::Run(Box::new(plan.clone())))?;
        let deadline = Instant::now() + Duration::from_millis(plan.deadline_ms) + PATIENCE;
        loop {
            match next_message(&self.machine, deadline)? {
                GuestMessage::Event(event) => events.push(event),
                GuestMessage::Finished(finished) if finished.plan == plan.name => return Ok(finished),
                GuestMessage::Broken(broken) => return Err(End::Guest(broken.why)),
                other => {
                    return Err(End::Guest(format!("it said {other:?} while it carried out {}", plan.name)));
                }
            }
        }
    }

    fn watch(&mut self, program: &Program, printed: &mut dyn FnMut(String)) -> Result<Option<Ending>, End> {
        self.say(&HostMessage::Execute(program.clone()))?;
        let deadline = Instant::now() + Duration::from_millis(program.deadline_ms) + PATIENCE;
        loop {
            match next_message(&self.machine, deadline)? {
                GuestMessage::Printed(line) => printed(line),
                GuestMessage::Returned(returned) => return Ok(returned.ending),
                GuestMessage::Broken(broken) => return Err(End::Guest(broken.why)),
                other => return Err(End::Guest(format!("it said {other:?} while it ran {}", program.path))),
            }
        }
    }

    fn say(&mut self, message: &HostMessage) -> Result<(), End> {
        let line = serde_json::to_string(message).map_err(|error| End::Guest(error.to_string()))?;
        // A guest that died can't be written to; why it died is on the queue.
        self.machine.send(&line).map_err(|_| End::Gone)
    }
}

fn hello(machine: &mut Machine, within: Duration) -> Result<Hello, End> {
    match next_message(machine, Instant::now() + within)? {
        GuestMessage::Hello(hello) if hello.protocol == PROTOCOL => Ok(hello),
        GuestMessage::Hello(hello) => Err(End::Guest(format!(
            "it speaks version {} of the protocol, and the host version {PROTOCOL}: rebuild both",
            hello.protocol
        ))),
        GuestMessage::Broken(broken) => Err(End::Guest(broken.why)),
        other => Err(End::Guest(format!("it said {other:?} before hello"))),
    }
}

fn next_message(machine: &Machine, deadline: Instant) -> Result<GuestMessage, End> {
    match machine.next(deadline.saturating_duration_since(Instant::now())) {
        Some(Happening::Message(line)) => serde_json::from_str(&line)
            .map_err(|error| End::Guest(format!("it said what nobody understands ({error}): {line}"))),
        Some(Happening::Trouble(trouble)) => Err(End::Trouble(trouble)),
        Some(Happening::Gone) => Err(End::Gone),
        None => Err(End::Silence),
    }
}

/// What ended a conversation before its time.
enum End {
    Trouble(Trouble),
    Gone,
    Silence,
    Guest(String),
}

impl End {
    /// Listens to the guest's last words, stops it, and says what happened.
    fn explain(self, machine: &mut Machine, events: Vec<Event>) -> Failure {
        let trouble = match &self {
            Self::Trouble(trouble) => Some(trouble.clone()),
            // The reason may still be on its way.
            Self::Gone | Self::Silence => settle(machine),
            Self::Guest(_) => None,
        };
        if matches!(self, Self::Trouble(_)) {
            settle(machine);
        }
        let age = machine.age().as_secs_f32();
        let (kind, why) = match (trouble, self) {
            (Some(trouble), _) if trouble.kind.is_hang() => (FailureKind::Hung, trouble.to_string()),
            (Some(trouble), _) => (FailureKind::Crashed, trouble.to_string()),
            (None, Self::Guest(why)) => (FailureKind::Broken, format!("the guest's fault: {why}")),
            (None, Self::Silence) => {
                (FailureKind::Hung, format!("the guest is silent, {age:.0} s after its start"))
            }
            (None, Self::Gone | Self::Trouble(_)) => gone(machine),
        };
        machine.stop();
        Failure {
            kind,
            why,
            console: machine.console().tail(CONSOLE_LINES),
            log: Some(machine.log().to_path_buf()),
            events,
        }
    }
}

fn gone(machine: &mut Machine) -> (FailureKind, String) {
    match machine.end_within(POWER_OFF) {
        // A processor that resets without a word has met a fault that nobody could report.
        MachineEnding::PoweredOff => (FailureKind::Crashed, "the guest restarted without a word".into()),
        MachineEnding::Stopped => {
            (FailureKind::Broken, "the guest closed its console and did not end".into())
        }
        MachineEnding::Failed(status) => (
            FailureKind::Broken,
            format!("the virtual machine failed ({status}): {}", machine.command_line()),
        ),
    }
}

/// Listens until the guest is quiet or gone; gives the first trouble heard.
fn settle(machine: &Machine) -> Option<Trouble> {
    let deadline = Instant::now() + AFTERMATH;
    let mut first = None;
    let mut heard = machine.console().bytes();
    loop {
        match machine.next(QUIET.min(deadline.saturating_duration_since(Instant::now()))) {
            Some(Happening::Trouble(trouble)) => {
                first.get_or_insert(trouble);
            }
            Some(Happening::Message(_)) => {}
            Some(Happening::Gone) => return first,
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::pace::Pace;

    /// A shell script that plays the guest: its channel is descriptor 0, its console descriptor 1.
    struct Script(String);

    impl Backend for Script {
        fn kind(&self) -> Kind {
            Kind::Tcg
        }

        fn command(&self, _: &Boot) -> Command {
            let mut command = Command::new("sh");
            command.args(["-c", &self.0]);
            command
        }

        fn boot_deadline(&self) -> Duration {
            Duration::from_millis(700)
        }
    }

    const HELLO: &str = r#"echo '{"hello":{"protocol":PROTOCOL,"release":"r","cpus":1,"features":[]}}' >&0;"#;

    fn open(script: &str) -> Result<Session, Failure> {
        let script = script.replace("HELLO", HELLO).replace("PROTOCOL", &PROTOCOL.to_string());
        let nowhere = PathBuf::from("/dev/null");
        let boot = Boot {
            image: nowhere.clone(),
            initramfs: nowhere.clone(),
            parameters: Vec::new(),
            memory_mib: 1,
            cpus: 1,
            pace: Pace::PLAIN,
            log: nowhere,
        };
        Session::open(&Script(script), &boot).unwrap()
    }

    /// Has the script carry out an empty plan.
    fn run(script: &str) -> Result<Run, Box<Failure>> {
        let plan = r#"{"name":"f/n","deadline_ms":100,"processes":[],"steps":[]}"#;
        open(script).unwrap().run(&serde_json::from_str(plan).unwrap())
    }

    const FINISHED: &str =
        r#"echo '{"finished":{"plan":"f/n","how":"complete","left":[],"taint":0,"log":[]}}' >&0;"#;

    #[test]
    fn a_plan_is_sent_and_its_end_is_heard() {
        let run = run(&format!("HELLO read plan; {FINISHED} read power_off")).unwrap();
        assert_eq!(run.finished.plan, "f/n");
    }

    #[test]
    fn a_report_on_the_console_outweighs_the_message_that_follows_it() {
        let failure =
            run(&format!("HELLO read plan; echo 'WARNING: CPU: 0 at x'; {FINISHED} sleep 9")).unwrap_err();
        assert_eq!(
            (failure.kind, &*failure.why),
            (FailureKind::Crashed, "kernel WARNING: WARNING: CPU: 0 at x")
        );
    }

    #[test]
    fn what_is_printed_after_a_panic_is_kept() {
        let panic = "echo '[ 1.0] Kernel panic - not syncing: x'; sleep 0.2; echo 'Call Trace:'; sleep 9";
        let failure = open(panic).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Crashed);
        assert_eq!(failure.console, ["[ 1.0] Kernel panic - not syncing: x", "Call Trace:"]);
    }

    #[test]
    fn a_silent_guest_is_hung_and_one_that_fails_is_broken() {
        assert_eq!(open("sleep 9").unwrap_err().kind, FailureKind::Hung);
        let failure = open("echo no such machine; exit 3").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Broken);
        assert_eq!(failure.console, ["no such machine"]);
    }

    #[test]
    fn a_guest_that_restarts_without_a_word_has_crashed() {
        assert_eq!(run("HELLO read plan; exit 0").unwrap_err().kind, FailureKind::Crashed);
    }

    #[test]
    fn a_programs_lines_and_its_end_are_heard() {
        let program = r#"{"path":"/p","uid":7,"deadline_ms":100}"#;
        let program: Program = serde_json::from_str(program).unwrap();
        let run = |said: &str| {
            let mut lines = Vec::new();
            let session = open(&format!("HELLO read program; {said} sleep 9"));
            let ended = session.unwrap().execute(&program, |line| lines.push(line));
            (ended, lines)
        };
        let line = r#"echo '{"printed":"ok 1"}' >&0;"#;
        let end = r#"echo '{"returned":{"program":"/p","ending":{"exited":1}}}' >&0;"#;
        let (ended, lines) = run(&format!("{line} {end}"));
        assert_eq!((ended.unwrap(), lines), (Some(Ending::Exited(1)), vec!["ok 1".to_owned()]));
        // What the console says may be heard before a line that was sent just before it.
        let (ended, _) = run(&format!("{line} echo '[ 1.0] BUG: KASAN: x';"));
        assert_eq!(ended.unwrap_err().kind, FailureKind::Crashed);
    }

    #[test]
    fn what_the_kernel_reports_on_its_way_out_is_heard() {
        let leak = "echo 'kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'";
        let failure = open(&format!("HELLO read power_off; {leak}; sleep 9")).unwrap().close().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Crashed);
        open("HELLO read power_off").unwrap().close().unwrap();
    }

    #[test]
    fn another_version_of_the_protocol_is_refused_by_name() {
        let failure =
            open(r#"echo '{"hello":{"protocol":999,"release":"r","cpus":1,"features":[]}}' >&0; sleep 9"#);
        let failure = failure.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Broken);
        assert!(failure.why.contains("version 999"), "{}", failure.why);
    }
}
