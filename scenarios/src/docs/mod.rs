//! Files of the repository that are written from the scenarios and their types, and have to be what would be written now.

pub mod overview;
mod reference;

use std::{fs, io, path::Path};

use crate::{scenario::Scenario, schema};

/// A file as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is, from the root of the repository.
    pub path: &'static str,
    /// What has to be in it.
    pub text: String,
}

/// What goes before this line is written by hand.
const MARK: &str = "<!-- generated from here -->\n";

const README: &str = "scenarios/README.md";
const REFERENCE: &str = "docs/scenarios-reference.md";
const SCHEMA: &str = "scenarios/schema.json";

/// All of them, for a repository with these scenarios.
///
/// # Errors
/// A file of which a part is written by hand can't be read, or has no mark where that part ends.
pub fn files(root: &Path, scenarios: &[Scenario]) -> io::Result<Vec<File>> {
    Ok(vec![
        File { path: README, text: after_mark(root, README, &overview::markdown(scenarios))? },
        File { path: REFERENCE, text: reference::markdown() },
        File { path: SCHEMA, text: format!("{:#}\n", schema::schema()) },
    ])
}

/// What is written by hand in a file, with this behind it.
fn after_mark(root: &Path, path: &str, generated: &str) -> io::Result<String> {
    let text = fs::read_to_string(root.join(path))
        .map_err(|error| io::Error::new(error.kind(), format!("can't read {path}: {error}")))?;
    let (head, _) = text
        .split_once(MARK)
        .ok_or_else(|| io::Error::other(format!("{path} has no line `{}`", MARK.trim_end())))?;
    Ok(format!("{head}{MARK}\n{generated}"))
}
