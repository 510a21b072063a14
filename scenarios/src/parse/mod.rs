//! Parser of scenario files: returns a [`Scenario`] for each case of a TOML file, or all problems.

mod block;
mod cases;
mod deadline;
mod declared;
mod deserialize;
mod expect;
mod file;
mod liveness;
mod matrix;
mod old_words;
mod on_upcall;
mod placeholder;
mod process;
mod start_order;
mod step;
mod validate;

#[cfg(test)]
mod tests;

use std::path::Path;

use schemars::{Schema, SchemaGenerator};
use toml::de::DeTable;

use crate::{
    diagnostics::{FileProblems, Problem},
    scenario::Scenario,
};

/// A scenario file.
struct Source<'s> {
    /// `FAMILY/NAME`.
    name: &'s str,
    path: &'s Path,
    text: &'s str,
}

/// JSON Schema of scenario files, derived from the types that the parser deserializes.
pub(crate) fn schema(generator: SchemaGenerator) -> Schema {
    generator.into_root_schema_for::<file::Head>()
}

/// Reads the text of the file `FAMILY/NAME` at `path`. Returns one scenario, or one for each case
/// of its matrix.
///
/// # Errors
/// All mistakes in it.
pub fn scenarios(name: &str, path: &Path, text: &str) -> Result<Vec<Scenario>, FileProblems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let syntax: Vec<Problem> =
        errors.iter().map(|error| Problem::new(error.span().unwrap_or(0..0), error.message())).collect();
    let result =
        if syntax.is_empty() { cases::read(&Source { name, path, text }, document) } else { Err(syntax) };
    result.map_err(|mut problems| {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        FileProblems { file: path.display().to_string(), text: text.to_owned(), problems }
    })
}
