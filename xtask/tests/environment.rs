//! Cleanup after commands that are killed or run in unusual environments.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::{streams, xtask};
use xtask::host::workspace;

fn run(program: &[&str]) -> Command {
    xtask(&[&["run", "--vm", "uml", "--"], program].concat())
}

fn run_succeeds(command: &mut Command) -> Result<()> {
    let (code, _, stderr) = streams(&command.output()?);
    ensure!(code == Some(0), "{stderr}");
    Ok(())
}

/// Returns the directories among the logs. Guests create them, and remove them at a normal end.
fn directories() -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(workspace::logs())?.flatten().map(|entry| entry.path());
    Ok(entries.filter(|path| path.is_dir()).collect())
}

/// Waits for the directory of a guest that this command has started.
fn instance(command: &Child) -> Result<PathBuf> {
    let end = format!(".{}.uml", command.id());
    // Long enough for a busy machine.
    let deadline = Instant::now() + Duration::from_secs(240);
    while Instant::now() < deadline {
        let mut found = directories()?.into_iter();
        if let Some(path) =
            found.find(|path| path.to_string_lossy().ends_with(&end) && path.join("pid").exists())
        {
            return Ok(path);
        }
        thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("no guest was started")
}

#[test]
fn leftovers_of_a_killed_command_are_removed_by_the_next() -> Result<()> {
    // Builds missing kernels first.
    run_succeeds(&mut run(&["true"]))?;
    let before = directories()?;

    let mut killed = run(&["sleep", "1000"]).spawn()?;
    let left = instance(&killed)?;
    let pid = fs::read_to_string(left.join("pid"))?;
    killed.kill()?;
    killed.wait()?;
    run_succeeds(&mut run(&["true"]))?;
    run_succeeds(&mut run(&["true"]))?;
    // Guests of other tests have directories of their own while they run.
    let foreign = |path: &&PathBuf| path.extension().is_none_or(|end| end != "uml");
    let after = directories()?;
    let new: Vec<_> = after.difference(&before).filter(foreign).collect();
    assert!(new.is_empty() && !left.exists(), "{new:?} {}", left.display());
    let guest = fs::read_link(format!("/proc/{}/exe", pid.trim()));
    assert!(guest.is_err(), "the guest runs on: {guest:?}");
    Ok(())
}

#[test]
fn uml_boots_with_an_unusable_tmpdir() -> Result<()> {
    run_succeeds(&mut run(&["true"]))?;
    run_succeeds(run(&["true"]).env("TMPDIR", "/nonexistent"))
}

#[test]
fn cache_path_that_make_misreads_is_refused_by_every_command() -> Result<()> {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("my cache");
    for arguments in
        [["test", "--vm", "uml"].as_slice(), &["run", "--", "true"], &["kernel", "image"], &["doctor"]]
    {
        let (code, stdout, stderr) = streams(&xtask(arguments).env("KEYAGENTS_CACHE", &cache).output()?);
        let all = stdout + &stderr;
        assert_eq!(code, Some(2), "{all}");
        all.find("make can't build a kernel at a path with ' ' in it").context(all)?;
    }
    assert!(!cache.exists());
    Ok(())
}
