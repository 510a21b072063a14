use std::process::Command;
use std::sync::mpsc;

use scenarios::wire::PROTOCOL;

use super::*;
use crate::vm::{Backend, BootConfig, GuestOutput, Kind, OutputObserver};

/// A shell script in the place of a guest: its channel is descriptor 0, its console descriptor 1.
struct Script(String);

impl Backend for Script {
    fn kind(&self) -> Kind {
        Kind::Tcg
    }

    fn command(&self, _: &BootConfig) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &self.0]);
        command
    }

    fn boot_deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
}

const HELLO: &str = r#"echo '{"hello":{"protocol":PROTOCOL,"release":"r","cpus":1,"features":[]}}' >&0;"#;

fn open(script: &str) -> Result<Session, Box<Failure>> {
    let script = script.replace("HELLO", HELLO).replace("PROTOCOL", &PROTOCOL.to_string());
    Session::open(&Script(script), &BootConfig::without_files()).unwrap()
}

/// Lets the script run an empty plan.
fn run(script: &str) -> Result<Run, Box<Failure>> {
    let plan = r#"{"protocol":7,"name":"f/n","deadline_ms":100,"processes":[],"steps":[]}"#;
    open(script).unwrap().run(&serde_json::from_str(plan).unwrap())
}

const FINISHED: &str =
    r#"echo '{"finished":{"plan":"f/n","completion":"complete","left":[],"taint":0,"log":[]}}' >&0;"#;

#[test]
fn run_returns_when_the_plan_has_finished() {
    let run = run(&format!("HELLO read plan; {FINISHED} read power_off")).unwrap();
    assert_eq!(run.finished.plan, "f/n");
}

#[test]
fn kernel_report_outweighs_a_later_message() {
    let failure =
        run(&format!("HELLO read plan; echo 'WARNING: CPU: 0 at x'; {FINISHED} sleep 9")).unwrap_err();
    assert_eq!(
        (failure.kind, &*failure.cause.summary),
        (FailureKind::Crashed, "kernel WARNING: WARNING: CPU: 0 at x")
    );
}

#[test]
fn full_host_is_broken_and_no_crash() {
    let full = "Bus error - the host /dev/shm or /tmp mount likely just ran out of space";
    let panic = "Kernel panic - not syncing: Kernel mode signal 7";
    let failure =
        run(&format!("HELLO read plan; echo '[ 1.0] {full}'; echo '[ 1.0] {panic}'; exit 134")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Broken);
    assert!(failure.cause.summary.starts_with("the host ran out of space in "), "{}", failure.cause.summary);
}

#[test]
fn output_after_a_panic_is_kept() {
    let panic = "echo '[ 1.0] Kernel panic - not syncing: x'; sleep 0.2; echo 'Call Trace:'; sleep 9";
    let failure = open(panic).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Crashed);
    assert_eq!(
        failure.cause.console,
        ["[ 1.0] Kernel panic - not syncing: x", "Call Trace:"].map(Into::into)
    );
}

#[test]
fn silent_guest_is_hung_and_failed_back_end_is_broken() {
    let soon = BootConfig { boot_deadline: Some(Duration::from_millis(100)), ..BootConfig::without_files() };
    let silent = Session::open(&Script("exec sleep 60".into()), &soon).unwrap();
    assert_eq!(silent.unwrap_err().kind, FailureKind::Hung);
    let failure = open("echo no such machine; exit 3").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Broken);
    assert_eq!(failure.cause.console, ["no such machine".into()]);
}

#[test]
fn queued_messages_do_not_extend_a_deadline() {
    let (seen, reading) = mpsc::channel();
    let observer = OutputObserver::new(move |output| {
        if matches!(output, GuestOutput::Message("second")) {
            seen.send(()).unwrap();
        }
    });
    let boot = BootConfig { observer, ..BootConfig::without_files() };
    let script = Script("echo first >&0; echo second >&0; sleep 9".into());
    let machine = Machine::start(&script, &boot).unwrap();
    let past = Instant::now();
    // The first message is in the queue when the second one is read.
    reading.recv().unwrap();
    assert_eq!(machine.next(past), None);
    let message = machine.next(Instant::now() + Duration::from_secs(60));
    assert_eq!(message, Some(MachineEvent::Message("first".into())));
}

#[test]
fn guest_that_restarts_without_output_has_crashed() {
    assert_eq!(run("HELLO read plan; exit 0").unwrap_err().kind, FailureKind::Crashed);
}

#[test]
fn program_output_and_exit_are_returned() {
    let program = r#"{"path":"/p","uid":7,"deadline_ms":100}"#;
    let program: Program = serde_json::from_str(program).unwrap();
    let run = |output: &str| {
        let mut lines = Vec::new();
        let session = open(&format!("HELLO read program; {output} sleep 9"));
        let ended = session.unwrap().execute(&program, |line| lines.push(line));
        (ended, lines)
    };
    let line = r#"echo '{"printed":"ok 1"}' >&0;"#;
    let end = r#"echo '{"returned":{"program":"/p","ending":{"exited":1}}}' >&0;"#;
    let (ended, lines) = run(&format!("{line} {end}"));
    assert_eq!((ended.unwrap(), lines), (Some(Ending::Exited(1)), vec!["ok 1".to_owned()]));
    // Console output may be read before a line that was sent just before it.
    let (ended, _) = run(&format!("{line} echo '[ 1.0] BUG: KASAN: x';"));
    assert_eq!(ended.unwrap_err().kind, FailureKind::Crashed);
}

#[test]
fn kernel_report_during_shutdown_is_returned() {
    let leak = "echo 'kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'";
    let failure = open(&format!("HELLO read power_off; {leak}; sleep 9")).unwrap().close().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Crashed);
    open("HELLO read power_off").unwrap().close().unwrap();
}

#[test]
fn incomplete_counters_are_dropped() {
    let counters = |left: usize| {
        format!(r#"echo '{{"counters":{{"file":"a.gcda","content":"AA==","left":{left}}}}}' >&0;"#)
    };
    let counters_of =
        |output: &str| open(&format!("HELLO read power_off; {output}")).unwrap().close().unwrap().len();
    assert_eq!(counters_of(&(counters(1) + &counters(0))), 2);
    assert_eq!(counters_of(&counters(1)), 0);
}

#[test]
fn long_plan_is_sent_in_acknowledged_parts() {
    let name = "n".repeat(wire::framing::LONGEST_LINE);
    let plan = format!(r#"{{"protocol":7,"name":"{name}","deadline_ms":100,"processes":[],"steps":[]}}"#);
    let finished = FINISHED.replace("f/n", &name);
    let ack = r#"echo '"ack"' >&0;"#;
    let mut session = open(&format!(
        "HELLO read part; {ack} read part; case $part in =*) ;; *) exit 3;; esac; {finished} read off"
    ));
    let run = session.as_mut().unwrap().run(&serde_json::from_str(&plan).unwrap()).unwrap();
    assert_eq!(run.finished.plan, name);
}

#[test]
fn other_protocol_version_is_refused() {
    let failure =
        open(r#"echo '{"hello":{"protocol":999,"release":"r","cpus":1,"features":[]}}' >&0; sleep 9"#);
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Broken);
    assert!(failure.cause.summary.contains("version 999"), "{}", failure.cause.summary);
}

#[test]
fn only_a_guest_with_a_late_timer_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let marker = directory.path().join("late-timer");
    let once = |panic: &str| {
        let _ = std::fs::remove_file(&marker);
        let file = marker.display();
        open(&format!(
            "[ -e {file} ] || {{ touch {file}; echo 'Kernel panic - not syncing: {panic}'; exit; }}; HELLO read power_off"
        ))
    };
    once("IO-APIC + timer doesn'\\''t work!").unwrap().close().unwrap();
    assert_eq!(once("Fatal exception").unwrap_err().kind, FailureKind::Crashed);
}
