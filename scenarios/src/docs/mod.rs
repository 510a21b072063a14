//! Generated documentation in the repository. A test fails if a file is out of date.

pub mod overview;
mod reference;

use std::{fs, io, path::Path};

use crate::{parse, scenario::Scenario};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path below the root of the repository.
    pub path: &'static str,
    pub text: String,
}

/// Separates the hand-written part of a file from the generated one.
const MARK: &str = "<!-- generated from here -->\n";

const README: &str = "scenarios/README.md";
const REFERENCE: &str = "docs/scenarios-reference.md";
const SCHEMA: &str = "scenarios/schema.json";

/// Generates all files, for a repository with these scenarios.
///
/// # Errors
/// A partly hand-written file can't be read, or has no mark where that part ends.
pub fn files(root: &Path, scenarios: &[Scenario]) -> io::Result<Vec<File>> {
    Ok(vec![
        File { path: README, text: after_mark(root, README, &overview::markdown(scenarios))? },
        File { path: REFERENCE, text: reference::markdown() },
        File { path: SCHEMA, text: format!("{:#}\n", parse::schema()) },
    ])
}

/// Returns the hand-written part of a file, followed by the generated text.
fn after_mark(root: &Path, path: &str, generated: &str) -> io::Result<String> {
    let text = fs::read_to_string(root.join(path))
        .map_err(|error| io::Error::new(error.kind(), format!("can't read {path}: {error}")))?;
    let (head, _) = text
        .split_once(MARK)
        .ok_or_else(|| io::Error::other(format!("{path} has no line `{}`", MARK.trim_end())))?;
    Ok(format!("{head}{MARK}\n{generated}"))
}
