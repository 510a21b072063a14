use std::{fs, path::Path};

use crate::{
    parse,
    scenario::Scenario,
    suite,
    verdict::{Cause, Verdict, expectations::mismatches, judge},
    wire::{Completion, Done, Event, EventKind, Finished, Outcome, Printed, Value},
};

const TEXT: &str = r#"
title = "A \"quoted\" title"
rules = ["R9"]
[process.box]
[[step]]
box.request = { description = "k" }
expect = "ENOKEY"
within_ms = 100
"#;

fn scenario(dir: &Path) -> Scenario {
    for old in ["name.snap", "name.snap.new"] {
        let _ = fs::remove_file(dir.join(old));
    }
    parse::scenarios("family/name", &dir.join("name.toml"), TEXT).unwrap().remove(0)
}

fn answer(outcome: Outcome, elapsed_us: u64) -> Vec<Event> {
    let kind = EventKind::Done(Done { outcome, begun_us: 0, elapsed_us });
    vec![Event { process: "box".into(), step: Some(0), worker: None, upcall: None, at_us: 0, kind }]
}

fn finished(completion: Completion, taint: u64) -> Finished {
    Finished {
        plan: "family/name".into(),
        completion,
        left: Vec::new(),
        taint,
        log: vec!["WARNING: at key.c:1".into()],
        printed: Vec::new(),
    }
}

fn enokey() -> Outcome {
    Outcome::Error("ENOKEY".into())
}

#[test]
fn a_story_passes_once_its_snapshot_is_accepted() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let scenario = scenario(dir);
    let complete = finished(Completion::Complete, 0);
    let first = judge(&scenario, &answer(enokey(), 5), &complete).unwrap();
    assert!(matches!(&first, Verdict::Failed(failure) if failure.mismatches.is_empty()), "{first:?}");

    // As `cargo insta accept` does.
    let pending = insta::Snapshot::from_file(&dir.join("name.snap.new")).unwrap();
    pending.save(&dir.join("name.snap")).unwrap();
    assert_eq!(judge(&scenario, &answer(enokey(), 7), &complete).unwrap(), Verdict::Passed);
    assert!(!dir.join("name.snap.new").exists(), "a snapshot that holds again is not pending");
}

#[test]
fn what_goes_against_an_expectation_is_no_candidate_for_a_snapshot() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let scenario = scenario(dir);
    let events = answer(Outcome::Ok(Value::Serial(5)), 200_000);
    let Verdict::Failed(failure) = judge(&scenario, &events, &finished(Completion::Complete, 0)).unwrap()
    else {
        panic!("an unexpected outcome passed");
    };
    assert_eq!(
        failure.mismatches.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["expected ENOKEY, got a key", "took 200 ms, at most 100 expected"]
            .map(|complaint| { format!("step 1 ({}:6:5), box: {complaint}", scenario.path.display()) })
    );
    assert!(!dir.join("name.snap.new").exists());
}

/// Returns the complaints about a step whose workers began and ended at these times, in
/// milliseconds.
fn complaints_of_workers(description: &str, workers: &[(u32, u64, u64)]) -> Vec<String> {
    let text = format!(
        r#"
title = "t"
rules = []
[process.agent]
serves = "user"
with = {{ params = {{ timeout_ms = 1000 }} }}
on_upcall = {{ hold = {{}} }}
[process.box]
session_keys = ["agent"]
[[step]]
box.request = {{ description = "{description}", callout = "c" }}
background = "waiting"
count = 2
expect = "ETIMEDOUT"
at_least_ms = 990
within_ms = 5000
"#
    );
    let scenario = parse::scenarios("family/name", Path::new("name.toml"), &text).unwrap().remove(0);
    let done = |(worker, begun, ended): &(u32, u64, u64)| {
        let outcome = Outcome::Error("ETIMEDOUT".into());
        let kind =
            EventKind::Done(Done { outcome, begun_us: begun * 1000, elapsed_us: (ended - begun) * 1000 });
        Event { process: "box".into(), step: Some(0), worker: Some(*worker), upcall: None, at_us: 0, kind }
    };
    let events: Vec<Event> = workers.iter().map(done).collect();
    mismatches(&scenario, &events).iter().map(ToString::to_string).collect()
}

#[test]
fn who_asks_for_a_key_that_is_pending_waits_as_long_as_the_first_and_no_less() {
    assert!(complaints_of_workers("k", &[(0, 100, 1100), (1, 400, 1100)]).is_empty());
    assert_eq!(
        complaints_of_workers("k", &[(0, 100, 1100), (1, 400, 500)]),
        ["step 1 (name.toml:11:5), box: took 400 ms, at least 990 expected"]
    );
    assert_eq!(
        complaints_of_workers("k{worker}", &[(0, 100, 1100), (1, 400, 1100)]),
        ["step 1 (name.toml:11:5), box: took 700 ms, at least 990 expected"]
    );
}

#[test]
fn each_worker_has_to_answer() {
    assert_eq!(
        complaints_of_workers("k", &[(1, 0, 1000)]),
        ["step 1 (name.toml:11:5), box: only 1 of 2 have answered"]
    );
    assert_eq!(complaints_of_workers("k", &[]), ["step 1 (name.toml:11:5), box: no answer"]);
}

#[test]
fn crashed_comes_before_hung_and_hung_before_failed() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let scenario = scenario(dir);
    let hung = || Completion::Deadline { waiting: vec![0] };
    let verdict = |completion, taint| judge(&scenario, &[], &finished(completion, taint)).unwrap();
    let console = vec!["WARNING: at key.c:1".into()];
    let cause = Cause { console, .."kernel WARNING: WARNING: at key.c:1".into() };
    assert_eq!(verdict(hung(), 1 << 9), Verdict::Crashed(cause));
    assert_eq!(verdict(hung(), 0).word(), "hung");
    let unkillable = verdict(Completion::Unkillable { who: vec!["box".into()] }, 0);
    assert_eq!(unkillable.word(), "hung");
    assert!(unkillable.details().starts_with("SIGKILL does not end box\n"), "{}", unkillable.details());
    assert_eq!(verdict(Completion::Complete, 0).word(), "failed");
}

#[test]
fn tainted_kernel_gets_the_verdict_of_its_report_or_else_of_the_taint() {
    let temporary = tempfile::tempdir().unwrap();
    let scenario = scenario(temporary.path());
    let word = |log: &str, taint| {
        let finished = Finished { log: vec![log.into()], ..finished(Completion::Complete, taint) };
        judge(&scenario, &[], &finished).unwrap().word()
    };
    assert_eq!(word("watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [agent:9]", 1 << 14), "hung");
    assert_eq!(word("BUG: KASAN: slab-use-after-free in key_put+0x12/0x90", 1 << 14), "crashed");
    assert_eq!(word("cut off", 1 << 14), "hung");
    assert_eq!(word("cut off", 1 << 14 | 1 << 9), "crashed");
}

#[test]
fn the_cases_of_a_file_share_a_snapshot_and_one_that_is_no_more_is_stale() {
    let temporary = tempfile::tempdir().unwrap();
    let suite = temporary.path();
    let family = suite.join("family");
    let text =
        TEXT.replace("[process", "[matrix]\nwaiters = [1, 2]\n[process").replace("\"k\"", "\"k{waiters}\"");
    fs::create_dir_all(&family).unwrap();
    fs::write(family.join("name.toml"), &text).unwrap();
    let snapshot = family.join("name.snap");
    fs::write(&snapshot, "---\nsource: x\n---\n[waiters=1]\nold\n\n[waiters=3]\ngone\n").unwrap();
    let cases = suite::load(suite).unwrap();

    let stale = suite::stale_snapshots(suite, &cases).unwrap();
    assert_eq!(stale, [suite::Stale { snapshot: snapshot.clone(), case: Some("waiters=3".into()) }]);
    let complete = finished(Completion::Complete, 0);
    for case in &cases {
        assert!(matches!(judge(case, &answer(enokey(), 5), &complete).unwrap(), Verdict::Failed(_)));
    }
    let pending = family.join("name.snap.new");
    let proposed = fs::read_to_string(&pending).unwrap();
    let sections: Vec<&str> = proposed.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(sections, ["[waiters=1]", "[waiters=2]"], "what is no case is not proposed again: {proposed}");

    fs::rename(&pending, &snapshot).unwrap();
    assert_eq!(judge(&cases[0], &answer(enokey(), 5), &complete).unwrap(), Verdict::Passed);
    assert!(matches!(
        judge(&cases[1], &answer(Outcome::TimedOut, 5), &complete).unwrap(),
        Verdict::Failed(_)
    ));
    assert_eq!(judge(&cases[1], &answer(enokey(), 5), &complete).unwrap(), Verdict::Passed);
    assert!(!pending.exists());
}

#[test]
fn a_snapshot_without_a_header_is_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let scenario = scenario(temporary.path());
    fs::write(scenario.snapshot(), "rubbish\n").unwrap();
    let error = judge(&scenario, &[], &finished(Completion::Complete, 0)).unwrap_err();
    assert!(error.to_string().ends_with("name.snap is no snapshot: restore it or delete it"), "{error}");
}

#[test]
fn failed_or_hung_scenario_shows_what_its_programs_printed() {
    let temporary = tempfile::tempdir().unwrap();
    let scenario = scenario(temporary.path());
    let printed = vec![Printed { process: "daemon".into(), text: "serving\nno \u{1b}[2J rule\n".into() }];
    let shown = "daemon printed:\n  │ serving\n  │ no \\u{1b}[2J rule";
    for (completion, word) in
        [(Completion::Complete, "failed"), (Completion::Deadline { waiting: vec![0] }, "hung")]
    {
        let finished = Finished { printed: printed.clone(), ..finished(completion, 0) };
        let verdict = judge(&scenario, &answer(Outcome::TimedOut, 5), &finished).unwrap();
        assert_eq!(verdict.word(), word);
        assert!(verdict.details().contains(shown), "{}", verdict.details());
    }
}

#[test]
fn end_of_a_program_is_a_success_if_its_exit_code_is_zero() {
    let temporary = tempfile::tempdir().unwrap();
    let text = "title = \"t\"\nrules = []\nprocess.daemon = { program = \"keyagentd\" }\n[[step]]\ndaemon.wait = { until = \"ended\" }\n";
    let complaints = |text: &str, code| {
        let path = temporary.path().join("name.toml");
        let scenario = parse::scenarios("family/name", &path, text).unwrap().remove(0);
        let events = answer(Outcome::Ok(Value::ExitCode(code)), 5);
        mismatches(&scenario, &events).into_iter().map(|it| it.complaint).collect::<Vec<_>>()
    };
    assert_eq!(complaints(text, 0), [""; 0]);
    assert_eq!(complaints(text, 137), ["expected success, got exit code 137"]);
    assert_eq!(complaints(&format!("{text}expect = 137\n"), 137), [""; 0]);
}

#[test]
fn only_the_end_of_a_long_output_is_shown_and_a_run_of_nul_once() {
    let lines: Vec<String> = (1..=21).map(|number| format!("line {number}")).collect();
    let long = Printed { process: "p".into(), text: lines.join("\n") }.to_string();
    assert!(long.starts_with("p printed, at the end:\n  │ line 2\n"), "{long}");
    assert!(long.ends_with("  │ line 21"), "{long}");
    let hole = Printed { process: "p".into(), text: format!("a{}b", "\0".repeat(4096)) };
    assert_eq!(hole.to_string(), "p printed:\n  │ a\\u{0}b");
}
