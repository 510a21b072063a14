//! Parser of scenario files: returns a [`Scenario`] for each case of a TOML file, or all problems.

mod agent_deadline;
mod block;
mod cases;
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
mod program;
mod start_order;
mod step;
mod validate;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::Value;
use toml::de::DeTable;

use crate::{
    diagnostics::{FileProblems, Problem},
    scenario::Scenario,
    schema,
};

/// Returns the JSON Schema of scenario files, derived from the types that the parser deserializes.
pub fn schema() -> Value {
    schema::with_variables(readable_schema())
}

/// Returns the schema of a file after the substitution of variables, which is the readable one.
pub(crate) fn readable_schema() -> Value {
    let mut schema = schema::of::<file::Head>();
    schema["title"] = "A scenario".into();
    schema
}

/// Reads the text of the file `FAMILY/NAME` at `path`. Returns one scenario, or one for each case
/// of its matrix.
pub fn scenarios(name: &str, path: &Path, text: &str) -> Result<Vec<Scenario>, FileProblems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let syntax: Vec<Problem> =
        errors.iter().map(|error| Problem::new(error.span().unwrap_or(0..0), error.message())).collect();
    let result = if syntax.is_empty() {
        cases::read(&file::Source { name, path, text }, document)
    } else {
        Err(syntax)
    };
    result.map_err(|mut problems| {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        FileProblems { file: path.display().to_string(), text: text.to_owned(), problems }
    })
}
