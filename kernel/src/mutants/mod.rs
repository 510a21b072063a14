//! Mutants of the C code that a series adds or changes: small faults, which the suite should notice.
//!
//! ```text
//! changed files ─parse─> functions ─operators─> Mutant… ─schemata─> mutated files ─compile─> image
//! ```
//!
//! All mutants are in one image. The boot parameter `mutant=17` chooses one of them.

mod apply;
mod blocks;
mod compile;
mod expressions;
mod functions;
mod parse;
mod schemata;
mod statements;
mod swaps;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{BuildRequest, ChangedFile, Error, Fragment, Image, Progress, Result, changed_files};

pub(crate) use self::compile::build;

/// The mutants of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutantSet {
    /// The files that are mutated.
    pub files: Vec<SourceFile>,
    /// All mutants, in the order of their numbers, which begin with 1.
    pub mutants: Vec<Mutant>,
    /// Numbers of the mutants that do not compile, and are not in the image.
    pub uncompilable: Vec<u32>,
}

/// A C file with the series applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

/// A fault that can be put into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutant {
    /// Its number in the image, the same for the same files.
    pub id: u32,
    pub file: String,
    pub function: String,
    /// Name of the rule that made it, such as `skip-condition`.
    pub operator: String,
    /// Its place, counted from 1.
    pub line: usize,
    pub column: usize,
    /// The mutated code on one line, and what it is changed into.
    pub original: String,
    pub changed: String,
    /// The changes of the file. Several belong together: a lock and its unlocks.
    edits: Vec<Edit>,
}

/// A change of a range of a file, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Edit {
    start: usize,
    end: usize,
    change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    /// Another expression of the same type.
    Replace(String),
    /// Another condition, of which only zero and not zero count.
    Condition(String),
    /// Nothing, in place of a simple statement.
    Delete,
    /// Nothing, in place of a compound statement that is in a block.
    Guard,
    /// An early return with this value, which is empty in a function without one.
    Return(String),
}

/// Largest number of mutants in an image. lib/mutants.c has room for as many.
const MOST: usize = 65535;

/// All that the mutants depend on besides the files.
const RULES: &[&str] = &[
    include_str!("mod.rs"),
    include_str!("blocks.rs"),
    include_str!("compile.rs"),
    include_str!("expressions.rs"),
    include_str!("functions.rs"),
    include_str!("parse.rs"),
    include_str!("schemata.rs"),
    include_str!("statements.rs"),
    include_str!("swaps.rs"),
    include_str!("../../mutants/mutants.c"),
];

/// Hashes the rules by which mutants are made.
pub(crate) fn digest(hash: &mut Sha256) {
    RULES.iter().for_each(|text| hash.update(text));
}

/// Returns the mutants of the series of that request, without a build.
pub fn mutants(request: &BuildRequest<'_>, cache: &Path, progress: &dyn Progress) -> Result<MutantSet> {
    let fragments = request.profile.fragments(request.arch, request.series.brings_keyagents())?;
    Ok(MutantSet::of(&changed_files(request, cache, progress)?, &fragments))
}

impl Image {
    /// Returns the mutants in the image.
    pub fn mutants(&self) -> Result<MutantSet> {
        let text = fs::read_to_string(&self.mutants).map_err(Error::io("reading", &self.mutants))?;
        let file = self.mutants.display();
        serde_json::from_str(&text).map_err(|why| Error::Mutants { why: format!("{file}: {why}") })
    }
}

impl MutantSet {
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string(self).map_err(|why| Error::Mutants { why: why.to_string() })?;
        fs::write(file, text).map_err(Error::io("writing", file))
    }

    /// Makes the mutants of the series' own lines. The fragments tell which code is compiled.
    pub(crate) fn of(changed: &[ChangedFile], fragments: &[Fragment]) -> Self {
        let mut set = Self::default();
        for file in changed.iter().filter(|file| is_mutated(&file.path)) {
            let mutants = functions::mutants(file, fragments);
            if !mutants.is_empty() {
                set.files.push(SourceFile { path: file.path.clone(), text: file.text.clone() });
                set.mutants.extend(mutants);
            }
        }
        set.mutants.sort_by(|one, other| one.order().cmp(&other.order()));
        set.mutants.truncate(MOST);
        for (mutant, id) in set.mutants.iter_mut().zip(1..) {
            mutant.id = id;
        }
        set
    }

    pub fn get(&self, id: u32) -> Option<&Mutant> {
        self.mutants.iter().find(|mutant| mutant.id == id)
    }

    pub fn is_compiled(&self, id: u32) -> bool {
        !self.uncompilable.contains(&id)
    }

    /// Returns the text of a mutated file without its mutants.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}

impl Mutant {
    fn order(&self) -> (&str, usize, usize, &str, &str) {
        (&self.file, self.line, self.column, &self.operator, &self.changed)
    }

    /// Returns the numbers of the lines that it changes.
    pub fn lines(&self, text: &str) -> Vec<usize> {
        let number = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        self.edits.iter().flat_map(|edit| number(edit.start)..=number(edit.end)).collect()
    }
}

/// Returns true if a file's code is the series' own behaviour.
fn is_mutated(path: &str) -> bool {
    !path.starts_with("include/trace/") && !path.starts_with("include/uapi/")
}
