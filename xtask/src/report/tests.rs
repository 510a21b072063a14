use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use scenarios::scenario::Position;
use scenarios::verdict::{Cause, FailedStep, Failure, Mismatch, Verdict};
use signal_hook::consts::SIGINT;

use super::*;
use crate::runner::fixtures;
use crate::runner::scenario_result::Attempt;
use crate::vm::Kind;

/// Returns a run of one column with these verdicts, and a last scenario without one.
fn results(verdicts: &[Verdict]) -> SharedResults {
    let names = ["a/passed", "a/failed[n=1]", "b/crashed", "b/hung", "b/skipped", "c/never"];
    let verdicts = verdicts.iter().cloned().map(Some).chain(std::iter::repeat(None));
    let results = fixtures::run("6.12", &names.into_iter().zip(verdicts).collect::<Vec<_>>());
    for report in results.entries().parts[0].verdicts.iter_mut().flatten() {
        report.took = Duration::from_micros(1_234_567);
        report.vm = Some(Kind::Uml);
    }
    results
}

/// Returns a run with one verdict of each kind, and a scenario that has not run.
fn all() -> SharedResults {
    let position = Position { line: 6, column: 5 };
    let step = FailedStep { number: 1, process: "box".into(), file: "a/failed.toml".into(), position };
    let mismatches = vec![Mismatch { step: Some(step), complaint: "<ENOKEY> & more".into() }];
    let failure = Failure { mismatches, ..Failure::default() };
    let console = vec!["RIP: 0010:key_put+0x1/0x2\u{1b}[0m".into()];
    results(&[
        Verdict::Passed,
        Verdict::Failed(failure),
        Verdict::Crashed(Cause { console, .."Oops: 0002 [#1] SMP".into() }),
        Verdict::Hung("after 100 ms".into()),
        Verdict::Skipped("this guest has no smp".into()),
    ])
}

#[test]
fn json_has_six_fields_and_a_row_for_each_scenario() {
    let results = all();
    results.entries().cut_short = Some("the run was interrupted (SIGINT)".into());
    let rows: serde_json::Value = serde_json::from_str(&json::text(&results.entries()).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(
        rows[1],
        serde_json::json!({"scenario": "a/failed[n=1]", "verdict": "failed", "kernel": "6.12", "profile": "plain",
            "vm": "uml", "seconds": 1.234})
    );
    let words: Vec<_> = rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(words, ["passed", "failed", "crashed", "hung", "skipped", "broken"]);
    assert_eq!(rows[5]["vm"], "auto");
}

#[test]
fn junit_types_failures_and_escapes_console_output() {
    let text = junit::text(&all().entries()).unwrap();
    for part in [
        r#"<testsuite name="6.12 plain auto" tests="6" skipped="1" errors="1" failures="3""#,
        r#"<testcase name="failed[n=1]" classname="a" time="1.235">"#,
        r#"<failure message="Oops: 0002 [#1] SMP" type="crashed">"#,
        r#"<error message="not run: the run has not ended" type="broken">"#,
        r#"<skipped message="this guest has no smp"/>"#,
        "step 1 (a/failed.toml:6:5), box: &lt;ENOKEY&gt; &amp; more",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn ktap_group_fails_if_a_part_fails() {
    let text = ktap::text(&all().entries());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "KTAP version 1",
            "1..1",
            "  KTAP version 1",
            "  1..3",
            "    KTAP version 1",
            "    1..2",
            "    ok 1 passed",
            "    not ok 2 failed[n=1]",
            "  not ok 1 a",
            "    KTAP version 1",
            "    1..3",
            "    not ok 1 crashed # crashed: Oops: 0002 [#1] SMP",
            "    not ok 2 hung # TIMEOUT after 100 ms",
            "    ok 3 skipped # SKIP this guest has no smp",
            "  not ok 2 b",
            "    KTAP version 1",
            "    1..1",
            "    not ok 1 never # ERROR not run: the run has not ended",
            "  not ok 3 c",
            "not ok 1 6.12 plain auto",
        ]
    );
    assert!(
        text.contains("    # step 1 (a/failed.toml:6:5), box: <ENOKEY> & more\n    not ok 2 failed[n=1]"),
        "{text}"
    );
}

#[test]
fn html_is_self_contained_and_escapes_console_output() {
    let text = html::text(&all().entries()).unwrap();
    for part in [
        "<title>keyagents: 1 passed, 1 failed, 1 crashed, 1 hung, 1 broken, 1 skipped</title>",
        "<mark>RIP: 0010:key_put+0x1/0x2</mark>",
        "step 1 (a/failed.toml:6:5), box: &#60;ENOKEY&#62; &#38; more",
        "id=\"a/failed[n=1]\"",
        "<li><a class=\"crashed\" href=\"#b/crashed\">b/crashed</a> <small class=\"crashed\">crashed</small></li>",
        "<h3 class=\"skipped\">– skipped</h3>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let outside = ["http://", "https://", "src=", "<link", "@import", "url("];
    assert!(outside.iter().all(|it| !text.contains(it)), "{text}");
}

#[test]
fn every_report_marks_a_flaky_scenario_and_has_its_failed_attempt() {
    let results = results(&[Verdict::Passed]);
    if let Some(report) = &mut results.entries().parts[0].verdicts[0] {
        let verdict = Verdict::Hung("step 2 waits".into());
        report.earlier.push(Attempt { verdict, took: Duration::from_secs(2) });
    }
    results.entries().scenarios.truncate(1);
    let entries = results.entries();
    let rows: serde_json::Value = serde_json::from_str(&json::text(&entries).unwrap()).unwrap();
    assert_eq!(rows[0]["verdict"], "flaky");
    let first = serde_json::json!({"verdict": "hung", "seconds": 2.0, "detail": "step 2 waits"});
    assert_eq!(
        (rows[0]["attempts"][0].clone(), rows[0]["attempts"][1]["verdict"].clone()),
        (first, "passed".into())
    );
    let junit = junit::text(&entries).unwrap();
    assert!(junit.contains(r#"tests="1" skipped="0" errors="0" failures="0""#), "{junit}");
    assert!(junit.contains(r#"<flakyFailure time="2.000" message="step 2 waits" type="hung">"#), "{junit}");
    let ktap = ktap::text(&entries);
    assert!(ktap.contains("    # step 2 waits\n    ok 1 passed # flaky: hung, passed\n"), "{ktap}");
    let html = html::text(&entries).unwrap();
    for part in
        ["<title>keyagents: 1 flaky</title>", "<h3 class=\"hung\">… hung at attempt 1</h3>", "step 2 waits"]
    {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}

#[test]
fn scenarios_after_an_early_stop_are_skipped_with_the_reason() {
    let results = all();
    results.entries().stopped = Some("b/hung hung (--fail-fast)".into());
    let entries = results.entries();
    let rows: serde_json::Value = serde_json::from_str(&json::text(&entries).unwrap()).unwrap();
    assert_eq!(
        (&rows[5]["verdict"], &rows[5]["reason"]),
        (&"skipped".into(), &"not run: b/hung hung (--fail-fast)".into())
    );
    assert_eq!(entries.exit_code(), 1);
    assert!(ktap::text(&entries).contains("ok 1 never # SKIP not run: b/hung hung (--fail-fast)"));
}

#[test]
fn report_argument_is_a_format_and_a_file() {
    assert_eq!("json=a=b".parse(), Ok(ReportArg { format: Format::Json, file: "a=b".into() }));
    let refused = |text: &str| text.parse::<ReportArg>().unwrap_err();
    assert!(refused("yaml=x").contains("one of ktap, junit, json, html"), "{}", refused("yaml=x"));
    assert!(refused("json").contains("json=report.json"));
    assert!(refused("json=").contains("json=report.json"));
}

#[test]
fn unwritable_report_is_refused_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let refused = |file: &Path| {
        let report_arg = ReportArg { format: Format::Json, file: file.into() };
        check(&[report_arg]).unwrap_err().to_string()
    };
    assert!(refused(directory).ends_with("it is a directory; name a file in it"));
    assert!(refused(Path::new("/dev/null")).ends_with("it is not a regular file; name another"));
    let missing = directory.join("no/such");
    let parent = missing.parent().unwrap().display().to_string();
    assert!(refused(&missing).ends_with(&format!("there is no {parent}; `mkdir -p {parent}` makes it")));
    assert!(refused(Path::new("/proc/report.json")).contains("/proc: "));
    let same = ReportArg { format: Format::Json, file: directory.join("x") };
    let other = ReportArg { format: Format::Ktap, ..same.clone() };
    assert!(check(&[same, other]).unwrap_err().to_string().starts_with("two reports can't be one file"));
}

#[test]
fn report_exists_from_the_start_and_covers_a_failed_run() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let file = directory.join("report.json");
    fs::write(&file, "[] of yesterday").unwrap();
    let report_arg = ReportArg { format: Format::Json, file: file.clone() };
    let reporter =
        ReportWriter::begin(Outlets { report_args: vec![report_arg], ..Outlets::default() }, &all()).unwrap();
    assert!(fs::read_to_string(&file).unwrap().contains("\"broken\""));
    fs::remove_file(&file).unwrap();
    drop(reporter);
    assert!(fs::read_to_string(&file).unwrap().contains("\"crashed\""));
    assert_eq!(fs::read_dir(directory).unwrap().count(), 1);
}

#[test]
fn ctrl_c_writes_the_report_and_ends_by_the_signal() {
    use std::os::unix::process::ExitStatusExt;
    const NAME: &str = "KEYAGENTS_TEST_INTERRUPTED_REPORT";
    if let Some(file) = std::env::var_os(NAME) {
        let report_arg = ReportArg { format: Format::Json, file: file.into() };
        let reporter =
            ReportWriter::begin(Outlets { report_args: vec![report_arg], ..Outlets::default() }, &all())
                .unwrap();
        interruption::watch().unwrap();
        // Changed after the first reports have been written.
        reporter.results.entries().parts[0].verdicts[3] = None;
        signal_hook::low_level::raise(SIGINT).unwrap();
        thread::sleep(Duration::from_secs(20));
        std::process::exit(0);
    }
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let file = directory.join("report.json");
    let test = concat!(module_path!(), "::ctrl_c_writes_the_report_and_ends_by_the_signal")
        .trim_start_matches("xtask::");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let ended = command.args(["--exact", test, "--nocapture"]).env(NAME, &file).output().unwrap();
    assert_eq!(ended.status.signal(), Some(SIGINT), "{ended:?}");
    assert_eq!(fs::read_to_string(&file).unwrap().matches("\"broken\"").count(), 2);
}
