//! Snapshots beside their scenarios, in the form that `cargo insta review` supports.
//!
//! insta's own assertion prints and panics, which suits a test but not a command with a display of
//! its own. Snapshots are therefore read with insta and compared here, and a new one is left where
//! `cargo insta` looks for it. The cases of one file share a snapshot, with a section for each.

mod diff;
mod sections;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{scenario::Scenario, trace::Trace};
pub use diff::{DiffKind, DiffLine};
use insta::{Snapshot, internals::SnapshotContents};
use sections::Sections;

/// Lock of pending snapshots: cases that are judged at the same time share a file.
static PENDING: Mutex<()> = Mutex::new(());

/// Returns the trace in the scenario's snapshot, or `None` if there is no snapshot.
pub fn read(scenario: &Scenario) -> io::Result<Option<Trace>> {
    Ok(own_text(scenario)?.map(|text| Trace::parse(scenario.plan(), &text)))
}

fn own_text(scenario: &Scenario) -> io::Result<Option<String>> {
    let text = text_of(&scenario.snapshot())?;
    Ok(match (&scenario.case, text) {
        (Some(case), Some(text)) => Sections::read(&text).trace(&case.label).map(str::to_owned),
        (_, text) => text,
    })
}

/// Returns the differences of a trace from the scenario's snapshot. None if they are equal; the whole
/// trace if there is no snapshot.
pub fn compare(scenario: &Scenario, trace: &str) -> io::Result<Vec<DiffLine>> {
    let Some(before) = own_text(scenario)? else { return Ok(diff::of_new(trace)) };
    let (before, now) = (before.trim_end(), trace.trim_end());
    Ok(if before == now { Vec::new() } else { diff::unified(before, now) })
}

/// Leaves a trace where `cargo insta review` finds it as a pending snapshot.
pub(crate) fn propose(scenario: &Scenario, trace: &str) -> io::Result<()> {
    let _alone = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    write(&pending(scenario), scenario, &with_section(scenario, pending_text(scenario)?, trace))
}

/// Makes a trace the scenario's snapshot.
pub fn save(scenario: &Scenario, trace: &str) -> io::Result<()> {
    let _alone = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = scenario.snapshot();
    write(&path, scenario, &with_section(scenario, text_of(&path)?.unwrap_or_default(), trace))
}

/// Makes the pending snapshot of all the file's cases the accepted one. Returns false if none is
/// pending.
pub fn accept(scenario: &Scenario) -> io::Result<bool> {
    match fs::rename(pending(scenario), scenario.snapshot()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        renamed => renamed.map(|()| true),
    }
}

fn with_section(scenario: &Scenario, before: String, trace: &str) -> String {
    match &scenario.case {
        None => format!("{trace}\n"),
        Some(case) => {
            let mut sections = Sections::read(&before);
            sections.set(&case.label, Some(trace));
            sections.text(&case.all)
        }
    }
}

/// Removes the pending snapshot of an earlier run, since the accepted one holds again.
pub(crate) fn withdraw(scenario: &Scenario) -> io::Result<()> {
    let _alone = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(case), true) = (&scenario.case, pending(scenario).exists()) {
        let accepted = Sections::read(&text_of(&scenario.snapshot())?.unwrap_or_default());
        let mut sections = Sections::read(&pending_text(scenario)?);
        sections.set(&case.label, accepted.trace(&case.label));
        if sections.text(&case.all) != accepted.text(&case.all) {
            return write(&pending(scenario), scenario, &sections.text(&case.all));
        }
    }
    match fs::remove_file(pending(scenario)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn cases_in(path: &Path) -> io::Result<Vec<String>> {
    let text = text_of(path)?.unwrap_or_default();
    Ok(Sections::read(&text).cases().map(str::to_owned).collect())
}

fn pending(scenario: &Scenario) -> PathBuf {
    scenario.path.with_extension("snap.new")
}

/// Returns the pending snapshot's text, or the accepted one's if none is pending.
fn pending_text(scenario: &Scenario) -> io::Result<String> {
    let text = match text_of(&pending(scenario))? {
        None => text_of(&scenario.snapshot())?,
        text => text,
    };
    Ok(text.unwrap_or_default())
}

/// Writes a text as insta writes snapshots.
fn write(path: &Path, scenario: &Scenario, text: &str) -> io::Result<()> {
    let title = serde_json::to_string(&scenario.title)?;
    let source = format!("scenarios/suite/{}.toml", scenario.file);
    fs::write(path, format!("---\nsource: {source}\ndescription: {title}\n---\n{text}"))
        .map_err(|error| io::Error::new(error.kind(), format!("can't write {}: {error}", path.display())))
}

/// Returns a snapshot's text, or `None` if there is no such file.
fn text_of(path: &Path) -> io::Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    // insta reads a file without its header as an old format, and as empty.
    if !fs::read(path)?.starts_with(b"---\n") {
        return Err(io::Error::other(format!("{} is no snapshot: restore it or delete it", path.display())));
    }
    let snapshot = Snapshot::from_file(path)
        .map_err(|error| io::Error::other(format!("{} is no snapshot: {error}", path.display())))?;
    match snapshot.contents() {
        SnapshotContents::Text(text) => Ok(Some(text.to_string())),
        SnapshotContents::Binary(_) => Err(io::Error::other(format!("{} is binary", path.display()))),
    }
}
