//! The examples of the crate for agents, run on the patched kernel.

use std::sync::LazyLock;

use anyhow::Result;
use common::{streams, xtask};
use rstest::rstest;
use xtask::host::workspace;

mod common;

/// Whether the examples could be built, with cargo's messages.
static BUILT: LazyLock<Result<(), String>> = LazyLock::new(|| {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "keyagent", "--examples", "--features", "tokio"]);
    let output = cargo.current_dir(workspace::root()).output().map_err(|why| why.to_string())?;
    if output.status.success() { Ok(()) } else { Err(streams(&output).2) }
});

/// Every example checks what it shows, and ends with an error if it is otherwise.
#[rstest]
#[case::by_watch_queue("answers", &[], "all as documented\n")]
#[case::by_signal("answers", &["signal"], "all as documented\n")]
#[case::by_watch_queue_in_one_thread("answers", &["current-thread"], "all as documented\n")]
#[case::by_signal_in_one_thread("answers", &["signal", "current-thread"], "all as documented\n")]
#[case::from_other_threads("threads", &[], "all as documented\n")]
#[case::from_later_threads("threads", &["current-thread"], "all as documented\n")]
#[case::by_helpers("helper", &[], "all as documented\n")]
#[case::by_helpers_of_one_thread("helper", &["current-thread"], "all as documented\n")]
#[case::in_tasks_of_tokio("async", &[], "all as documented\n")]
#[case::for_a_command("shout", &["sh", "-c", "keyctl pipe $(keyctl request2 user greeting hello @s)"], "HELLO")]
fn example_runs_as_documented(
    #[case] example: &str,
    #[case] arguments: &[&str],
    #[case] expected: &str,
) -> Result<()> {
    let program = built(example)?;
    run(&[&["--", &*program][..], arguments].concat(), expected)
}

/// A process that is forked into a pid namespace of its own has the pid of its parent, which is not to be taken for it.
#[test]
fn example_runs_as_first_process_of_a_pid_namespace() -> Result<()> {
    let program = built("answers")?;
    let command = ["--include", &*program, "--", "unshare", "--pid", "--fork", &*program, "current-thread"];
    run(&command, "all as documented\n")
}

/// The path of an example.
fn built(example: &str) -> Result<String> {
    BUILT.as_ref().map_err(|why| anyhow::anyhow!("can't build the examples: {why}"))?;
    let program = workspace::target().join("debug/examples").join(example);
    Ok(program.to_string_lossy().into_owned())
}

/// Runs a program in a guest.
fn run(arguments: &[&str], expected: &str) -> Result<()> {
    let command = [&["run", "--vm", "uml"][..], arguments].concat();
    let (code, stdout, stderr) = streams(&xtask(&command).output()?);
    assert_eq!((code, stdout.as_str()), (Some(0), expected), "{stderr}");
    Ok(())
}
