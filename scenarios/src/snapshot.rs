//! Snapshots beside their scenarios, in the form that `cargo insta review` knows.
//!
//! insta's own assertion prints and panics, which suits a test but not a command with a display of its own. So snapshots are read with
//! insta and compared here, and a new one is left where `cargo insta` looks for it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use insta::{Snapshot, internals::SnapshotContents};
use similar::TextDiff;

use crate::scenario::Scenario;

/// How a story compares with its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same.
    Same,
    /// They are not: a unified diff, or the whole story where there is no snapshot.
    Differs(String),
}

/// The story in the scenario's snapshot, if it has one.
///
/// # Errors
/// When there is one but it can't be read.
pub fn read(scenario: &Scenario) -> io::Result<Option<String>> {
    let path = scenario.snapshot();
    if !path.exists() {
        return Ok(None);
    }
    let snapshot = Snapshot::from_file(&path)
        .map_err(|error| io::Error::other(format!("{} is no snapshot: {error}", path.display())))?;
    match snapshot.contents() {
        SnapshotContents::Text(text) => Ok(Some(text.to_string())),
        SnapshotContents::Binary(_) => Err(io::Error::other(format!("{} is binary", path.display()))),
    }
}

/// Compares a story with the scenario's snapshot.
///
/// # Errors
/// When there is one but it can't be read.
pub fn compare(scenario: &Scenario, story: &str) -> io::Result<Comparison> {
    let Some(before) = read(scenario)? else {
        return Ok(Comparison::Differs(format!("there is no snapshot yet\n{story}")));
    };
    if before.trim_end() == story.trim_end() {
        return Ok(Comparison::Same);
    }
    let diff = TextDiff::from_lines(before.trim_end(), story.trim_end());
    Ok(Comparison::Differs(
        diff.unified_diff().header("snapshot", "this run").missing_newline_hint(false).to_string(),
    ))
}

/// Leaves a story where `cargo insta review` finds it as a pending snapshot.
///
/// # Errors
/// When it can't be written.
pub fn propose(scenario: &Scenario, story: &str) -> io::Result<()> {
    write(&pending(scenario), scenario, story)
}

/// Makes a story the scenario's snapshot.
///
/// # Errors
/// When it can't be written.
pub fn save(scenario: &Scenario, story: &str) -> io::Result<()> {
    write(&scenario.snapshot(), scenario, story)
}

/// Makes the pending snapshot that a run has left the snapshot. Tells whether there was one.
///
/// # Errors
/// When it is there and can't be renamed.
pub fn accept(scenario: &Scenario) -> io::Result<bool> {
    match fs::rename(pending(scenario), scenario.snapshot()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        renamed => renamed.map(|()| true),
    }
}

/// Writes a story as insta writes snapshots.
fn write(path: &Path, scenario: &Scenario, story: &str) -> io::Result<()> {
    let title = serde_json::to_string(&scenario.title)?;
    let source = format!("scenarios/suite/{}.toml", scenario.name);
    fs::write(path, format!("---\nsource: {source}\ndescription: {title}\n---\n{story}\n"))
        .map_err(|error| io::Error::new(error.kind(), format!("can't write {}: {error}", path.display())))
}

/// Removes a pending snapshot that an earlier run has left, since the snapshot holds again.
///
/// # Errors
/// When it is there and can't be removed.
pub fn withdraw(scenario: &Scenario) -> io::Result<()> {
    match fs::remove_file(pending(scenario)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Where a run leaves a story that is not the snapshot's.
fn pending(scenario: &Scenario) -> PathBuf {
    scenario.path.with_extension("snap.new")
}
