//! The scenarios of a folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    diagnostics::{Diagnostics, FileProblems, Problem},
    read,
    scenario::Scenario,
};

/// Reads every `FAMILY/NAME.toml` below `dir`, ordered by name.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(dir: &Path) -> Result<Vec<Scenario>, Diagnostics> {
    let mut scenarios = Vec::new();
    let mut files = Vec::new();
    for path in files_of(dir, "toml").map_err(|error| unreadable(dir, &error))? {
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        match read::scenario(&name_of(dir, &path), &path, &text) {
            Ok(scenario) => scenarios.push(scenario),
            Err(problems) => files.push(problems),
        }
    }
    // Paths sort otherwise: `killed-64.toml` comes before `killed.toml`.
    scenarios.sort_by(|one: &Scenario, other| one.name.cmp(&other.name));
    if files.is_empty() { Ok(scenarios) } else { Err(Diagnostics { files }) }
}

/// Snapshots, pending ones left aside, that no scenario belongs to.
///
/// # Errors
/// When the folder can't be read.
pub fn stale_snapshots(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut stale = files_of(dir, "snap")?;
    stale.retain(|path| !path.with_extension("toml").exists());
    Ok(stale)
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostics {
    let problem = Problem::new(0..0, format!("can't be read: {error}"));
    let file = path.display().to_string();
    Diagnostics { files: vec![FileProblems { file, text: String::new(), problems: vec![problem] }] }
}

fn name_of(dir: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(dir).unwrap_or(path).with_extension("");
    inner.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// The files of the families, ordered by path.
fn files_of(dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for family in fs::read_dir(dir)? {
        let family = family?.path();
        if !family.is_dir() {
            continue;
        }
        for file in fs::read_dir(family)? {
            let path = file?.path();
            if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
