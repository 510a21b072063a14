//! `cargo xtask watch`: runs affected scenarios after each edit.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use notify::{Event, EventKind, RecursiveMode, Watcher};
use signal_hook::consts::SIGPIPE;

use super::test;
use crate::host::process::spawn_pdeathsig;
use crate::host::terminal::Terminal;
use crate::host::{output, workspace};

const EXAMPLES: &str = "Examples:
  cargo xtask watch                              every scenario, then those that an edit affects
  cargo xtask watch timeout --vm uml             one family
  cargo xtask watch --kernel-src ~/linux         also when a file of that tree changes";

/// Scenarios and columns, as for `test`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[group(id = "watch")]
pub struct Options {
    #[command(flatten)]
    test: test::Common,
}

/// Edits within this time are one change: an editor writes a file in several steps, a checkout many files.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Interval of checks for a closed standard output.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

const SOURCES: [&str; 5] = ["agent", "kernel", "rootfs", "scenarios", "xtask"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Affected {
    Only(BTreeSet<String>),
    All,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    // A mistake on the command line is reported once, and not after each edit.
    options.test.named()?;
    let (send, changes) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_)) {
            // The receiver is gone when the command ends.
            let _ = send.send(event);
        }
    })
    .context("can't watch files")?;
    let mut places: Vec<PathBuf> = SOURCES.iter().map(|name| workspace::root().join(name)).collect();
    // Events of an edit have the canonical path of the file.
    places.extend(
        options
            .test
            .testbed
            .kernel_src
            .iter()
            .map(|tree| tree.canonicalize().unwrap_or_else(|_| tree.to_owned())),
    );
    for place in &places {
        watcher.watch(place, RecursiveMode::Recursive).with_context(|| {
            format!("can't watch {}: is fs.inotify.max_user_watches too low?", place.display())
        })?;
    }
    let mut running = Some(start(&Affected::All)?);
    loop {
        let paths = next_change(&changes, || running.as_mut().is_some_and(found_output_closed))?;
        let Some((what, affected)) = affected(&paths) else { continue };
        if let Some(mut child) = running.take() {
            end(&mut child);
        }
        terminal.say(&format!("\n{what}\n"));
        running = Some(start(&affected)?);
    }
}

/// Waits for the next change, and returns its files once it is complete.
fn next_change(changes: &Receiver<Event>, mut is_closed: impl FnMut() -> bool) -> Result<BTreeSet<PathBuf>> {
    let gone = || anyhow!("can't watch files: the watcher has ended");
    let mut events = loop {
        match changes.recv_timeout(POLL_INTERVAL) {
            Ok(event) => break vec![event],
            Err(RecvTimeoutError::Timeout) if is_closed() => {
                output::check("standard output", Err(ErrorKind::BrokenPipe.into()));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(gone()),
        }
    };
    loop {
        match changes.recv_timeout(DEBOUNCE) {
            Ok(event) => events.push(event),
            Err(RecvTimeoutError::Timeout) => return Ok(files(&events)),
            Err(RecvTimeoutError::Disconnected) => return Err(gone()),
        }
    }
}

/// Returns the files that have changed. A file that was created and removed in the meantime is a
/// temporary one, renamed to another.
fn files(events: &[Event]) -> BTreeSet<PathBuf> {
    let mut is_new: BTreeMap<&Path, bool> = BTreeMap::new();
    for event in events {
        let created = matches!(event.kind, EventKind::Create(_));
        event.paths.iter().for_each(|path| {
            is_new.entry(path).or_insert(created);
        });
    }
    let changed = is_new.into_iter().filter(|(path, is_new)| !is_new || path.exists());
    changed.map(|(path, _)| path.to_owned()).collect()
}

/// Returns the description and effect of a change; `None` if it affects no file that the testbed
/// reads.
fn affected(paths: &BTreeSet<PathBuf>) -> Option<(String, Affected)> {
    let read: Vec<&PathBuf> = paths.iter().filter(|path| is_read(path)).collect();
    let first = read.first()?;
    let shown = first.strip_prefix(workspace::root()).unwrap_or(first).display();
    let what = match read.len() {
        1 => format!("{shown} has changed."),
        2 => format!("{shown} and another file have changed."),
        count => format!("{shown} and {} more files have changed.", count - 1),
    };
    let scenarios: Option<BTreeSet<String>> = read.iter().map(|path| scenario(path)).collect();
    Some((what, scenarios.map_or(Affected::All, Affected::Only)))
}

/// Checks whether the testbed reads a file. Files of editors and tools are excluded: backups, swap
/// files, pending snapshots, objects, git's.
fn is_read(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = name.starts_with('.') || path.iter().any(|part| part == ".git");
    let others = [".new", "~", ".swp", ".o", ".cmd", ".tmp", ".orig", ".rej"];
    !hidden && name != "4913" && !others.iter().any(|end| name.ends_with(end)) && !path.is_dir()
}

/// Returns the scenario that a file belongs to: as its source, or as its snapshot.
fn scenario(path: &Path) -> Option<String> {
    let inner = path.strip_prefix(workspace::suite()).ok()?;
    let known = inner.extension().is_some_and(|end| end == "toml" || end == "snap");
    // A removed scenario can't run: all scenarios run instead, with a note about stale snapshots.
    (known && path.with_extension("toml").exists())
        .then(|| inner.with_extension("").to_string_lossy().into_owned())
}

/// Starts cargo, which rebuilds this program if necessary and runs the scenarios.
fn start(affected: &Affected) -> Result<Child> {
    let mut command = workspace::cargo();
    command.args(["xtask", "test"]);
    // Relative paths in the arguments must keep their meaning, and cargo finds xtask from anywhere
    // in the workspace.
    if !env::current_dir().is_ok_and(|here| here.starts_with(workspace::root())) {
        command.current_dir(workspace::root());
    }
    // Passes the arguments after `watch` on unchanged.
    command.args(env::args_os().skip_while(|word| word != "watch").skip(1).collect::<Vec<OsString>>());
    if let Affected::Only(names) = affected {
        command.args(names.iter().map(|name| format!("--only={name}")));
    }
    spawn_pdeathsig(command)
}

/// Checks whether SIGPIPE ended the run, whose standard output is this command's.
fn found_output_closed(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(status)) if status.signal() == Some(SIGPIPE))
}

/// Ends an obsolete run, and with it its virtual machines.
fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    fn after(names: &[&str]) -> Option<Affected> {
        let paths = names.iter().map(|name| workspace::root().join(name)).collect();
        affected(&paths).map(|(_, affected)| affected)
    }

    fn only(name: &str) -> Option<Affected> {
        Some(Affected::Only(BTreeSet::from([name.to_owned()])))
    }

    #[test]
    fn edited_scenario_or_snapshot_affects_only_itself() {
        assert_eq!(after(&["scenarios/suite/linking/confined.toml"]), only("linking/confined"));
        assert_eq!(after(&["scenarios/suite/linking/confined.snap"]), only("linking/confined"));
        assert_eq!(
            after(&["scenarios/suite/linking/confined.snap", "agent/src/main.rs"]),
            Some(Affected::All)
        );
    }

    #[test]
    fn temporary_file_is_no_change_and_removed_file_is() {
        let event = |kind, path: &str| Event::new(kind).add_path(path.into());
        let events = [
            event(EventKind::Create(CreateKind::File), "/no/sedA1B2"),
            event(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "/no/sedA1B2"),
            event(EventKind::Modify(ModifyKind::Name(RenameMode::To)), "/no/confined.toml"),
            event(EventKind::Remove(RemoveKind::File), "/no/removed.toml"),
        ];
        assert_eq!(files(&events), ["/no/confined.toml", "/no/removed.toml"].map(PathBuf::from).into());
    }

    #[test]
    fn unrelated_file_affects_nothing() {
        assert_eq!(after(&["scenarios/suite/linking/confined.snap.new", "agent/src/.main.rs.swp"]), None);
        assert_eq!(after(&["kernel/patches/6.12/0001.patch"]), Some(Affected::All));
    }
}
