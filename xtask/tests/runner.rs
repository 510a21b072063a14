//! Selection, early stop, retries and reports of a run, as requested on the command line.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Parser;
use common::{streams, xtask};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;
use scenarios::{parse, snapshot};
use xtask::args::matrix::MatrixOptions;
use xtask::host::terminal::Terminal;
use xtask::report::live;
use xtask::runner::executor::{Event, Policy};
use xtask::runner::result_word::Word;
use xtask::runner::run_results::SharedResults;
use xtask::runner::testbed::Testbed;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: MatrixOptions,
}

/// Returns a testbed with one guest of User-Mode Linux at a time.
fn testbed(label: &str, terminal: &Terminal) -> Result<Testbed> {
    let line = CommandLine::parse_from(["test", "--vm", "uml", "--jobs", "1"]);
    Testbed::prepare(&line.options, &[], label, terminal)
}

/// Creates a scenario without a snapshot, which expects this outcome of a request for a key that
/// does not exist.
fn scenario(name: &str, expected: &str) -> Result<Scenario> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runner");
    fs::create_dir_all(&folder)?;
    let text = format!(
        "title = \"A miss\"\nrules = []\n[process.box]\n[[step]]\nbox.request = {{ description = \"k\" }}\nexpect = \"{expected}\"\n"
    );
    let file = folder.join(name.replace('/', "-")).with_extension("toml");
    let _ = fs::remove_file(file.with_extension("snap"));
    let mut cases = parse::scenarios(name, &file, &text)
        .map_err(|problems| anyhow::anyhow!("{:?}", problems.problems))?;
    cases.pop().context("a scenario without cases")
}

#[test]
fn fail_fast_skips_the_scenarios_after_the_first_failure() -> Result<()> {
    let terminal = Terminal::default();
    let testbed = testbed("fail-fast", &terminal)?;
    let scenarios = [("a/bad", "EPERM"), ("b/left", "ENOKEY"), ("c/left", "ENOKEY")];
    let scenarios = scenarios.iter().map(|(name, expected)| scenario(name, expected));
    let results = SharedResults::new(scenarios.collect::<Result<_>>()?, testbed.about()?);
    let policy = Policy { fail_fast: true, retries: 0 };
    let mut begun = 0;
    let code = live::run(&testbed, &results, policy, &terminal, |event| {
        begun += usize::from(matches!(event, Event::Started { .. }));
    })?;
    let entries = results.entries();
    let reports = entries.complete(&entries.parts[0]);
    let words: Vec<_> = reports.iter().map(|report| report.word()).collect();
    assert_eq!((code, begun, words), (1, 1, vec![Word::Failed, Word::Skipped, Word::Skipped]));
    assert_eq!(reports[2].verdict.details(), "not run: a/bad failed (--fail-fast)");
    Ok(())
}

#[test]
fn scenario_that_passes_in_another_guest_is_flaky_with_its_failure() -> Result<()> {
    let terminal = Terminal::default();
    let testbed = testbed("retries", &terminal)?;
    let scenario = scenario("a/flaky", "ENOKEY")?;
    let results = SharedResults::new(vec![scenario.clone()], testbed.about()?);
    // More retries than it takes until the snapshot exists.
    let policy = Policy { fail_fast: true, retries: 50 };
    let mut seen = Vec::new();
    let code = live::run(&testbed, &results, policy, &terminal, |event| {
        seen.push(match event {
            Event::Started { attempt, .. } => format!("begun {attempt}"),
            Event::Judged { verdict, retried: true, .. } => {
                if let Verdict::Failed(failure) = verdict {
                    snapshot::save(&scenario, &failure.trace.to_string()).expect("a snapshot can be written");
                }
                "judged".into()
            }
            Event::ShutDown { .. } => "left".into(),
            _ => String::new(),
        });
    })?;
    let entries = results.entries();
    let report = entries.parts[0].verdicts[0].clone().context("no verdict")?;
    assert_eq!((code, report.word()), (0, Word::Flaky));
    assert!(matches!(&report.earlier[0].verdict, Verdict::Failed(failure) if failure.is_pending()));
    seen.retain(|event| !event.is_empty());
    assert_eq!(seen[..4], ["begun 1", "judged", "left", "begun 2"]);
    Ok(())
}

fn lines(command: &mut Command) -> Result<Vec<String>> {
    let (code, stdout, stderr) = streams(&command.output()?);
    assert_eq!(code, Some(0), "{stderr}");
    Ok(stdout.lines().map(str::to_owned).collect())
}

#[test]
fn shares_together_list_the_suite() -> Result<()> {
    let list = |more: &[&str]| lines(&mut xtask(&[&["test", "--list"], more].concat()));
    let all = list(&[])?;
    let shares = [list(&["--shard", "1/2"])?, list(&["--shard", "2/2"])?].concat();
    assert_eq!(shares.len(), all.len());
    assert_eq!(shares.into_iter().collect::<BTreeSet<_>>(), all.iter().cloned().collect());
    let one = list(&["--exact", &all[0], "--shard", "1/1"])?;
    assert_eq!(one, all[..1]);
    Ok(())
}

#[test]
fn contradictory_options_are_refused_before_any_work() -> Result<()> {
    for (line, why) in [
        (&["test", "--list", "--report", "json=x"][..], "cannot be used with"),
        (&["test", "--list", "--message-format", "jsonl"], "cannot be used with"),
        (&["test", "--exact"], "required"),
        (&["test", "--shard", "5/4"], "the shares are 1/4 to 4/4"),
        (&["test", "--exact", "timeout"], "there is no scenario `timeout`"),
        (&["test", "--report", "json=-", "--report", "junit=-"], "error: two reports can't be one file"),
        (&["watch", "--shard", "1/2"], "unexpected argument '--shard'"),
    ] {
        let (code, stdout, stderr) = streams(&xtask(line).output()?);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{line:?}");
        assert!(stderr.contains(why), "{line:?}: {stderr}");
    }
    Ok(())
}

const EVENTS: [&str; 6] = ["test", "rejection", "--vm", "uml", "--message-format", "jsonl"];

#[test]
fn each_scenario_has_a_final_event_on_standard_output() -> Result<()> {
    let lines = lines(&mut xtask(&EVENTS))?;
    let events: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    let (first, last) = (&events[0], &events[events.len() - 1]);
    assert_eq!((&first["event"], &first["version"]), (&"run-started".into(), &1.into()));
    assert_eq!((&last["event"], &last["exit_code"]), (&"run-finished".into(), &0.into()));
    let finished = events.iter().filter(|event| event["event"] == "scenario-finished");
    let finished: BTreeSet<&str> = finished.filter_map(|event| event["scenario"].as_str()).collect();
    let asked = first["scenarios"].as_array().into_iter().flatten().filter_map(|it| it.as_str());
    assert_eq!(finished, asked.collect());
    Ok(())
}

#[test]
fn terminated_run_has_one_final_event_per_scenario() -> Result<()> {
    let mut run = xtask(&EVENTS).spawn()?;
    let (mut events, mut terminated) = (Vec::new(), false);
    for line in BufReader::new(run.stdout.take().context("no pipe")?).lines() {
        let event: serde_json::Value = serde_json::from_str(&line?)?;
        if event["event"] == "scenario-finished" && !terminated {
            terminated = true;
            kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM)?;
        }
        events.push(event);
    }
    assert_eq!(run.wait()?.signal(), Some(Signal::SIGTERM as i32));
    let last = events.last().context("no events")?;
    assert_eq!((&last["event"], &last["exit_code"]), (&"run-finished".into(), &serde_json::Value::Null));
    let ends = events
        .iter()
        .filter(|event| event["event"] == "scenario-finished" || event["event"] == "scenario-not-run");
    let mut ended: Vec<&str> = ends.filter_map(|event| event["scenario"].as_str()).collect();
    let mut asked: Vec<&str> =
        events[0]["scenarios"].as_array().into_iter().flatten().filter_map(|it| it.as_str()).collect();
    ended.sort_unstable();
    asked.sort_unstable();
    assert_eq!(ended, asked);
    Ok(())
}

#[test]
fn run_ends_by_sigpipe_without_a_reader() -> Result<()> {
    let mut run = xtask(&EVENTS).spawn()?;
    let mut first = String::new();
    BufReader::new(run.stdout.take().context("no pipe")?).read_line(&mut first)?;
    let output = run.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(Signal::SIGPIPE as i32), "{stderr}");
    Ok(())
}
