//! Parser of `expect`.

use std::{borrow::Cow, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::deserialize::{self, Value};
use crate::{diagnostics::Problem, errno, scenario::Expect, schema};

/// JSON schema of `expect`.
pub(super) struct Spec;

impl JsonSchema for Spec {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut table = Expect::json_schema(generator);
        schema::one_of_these(&mut table);
        table.insert("description".into(), "More than a word.".into());
        json_schema!({
            "description": "What is expected: success (the default), or one of these.",
            "anyOf": [
                { "type": "string", "description": "`ok`, `timed_out`, the name of an errno, or the text that is read." },
                { "type": "integer", "description": "The number that it gives; of a command, its exit code." },
                { "type": "array", "items": schema::reference::<Self>(), "description": "Any of these: a race decides." },
                table,
            ],
        })
    }
}

/// `"ok"`, an errno's name, a text, a number, a table such as `{ key = "k" }`, or a list of these.
pub(super) fn read(value: Value<'_>) -> Result<Expect, Vec<Problem>> {
    let span = value.span();
    match value.get_ref() {
        DeValue::String(text) => Ok(word(text, span)?),
        DeValue::Integer(_) => Ok(Expect::Number(deserialize::value(value)?)),
        DeValue::Array(_) => list(value),
        _ => {
            let expect = deserialize::value(value)?;
            if let Expect::Error(name) = &expect {
                known(name, span)?;
            }
            Ok(expect)
        }
    }
}

fn list(value: Value<'_>) -> Result<Expect, Vec<Problem>> {
    let DeValue::Array(items) = value.into_inner() else { return Ok(Expect::AnyOf(Vec::new())) };
    let mut problems = Vec::new();
    let expects = items.into_iter().filter_map(|item| deserialize::keep(read(item), &mut problems)).collect();
    if problems.is_empty() { Ok(Expect::AnyOf(expects)) } else { Err(problems) }
}

fn word(text: &str, place: Range<usize>) -> Result<Expect, Problem> {
    match text {
        "ok" => Ok(Expect::Ok),
        "timed_out" => Ok(Expect::TimedOut),
        _ if looks_like_errno(text) => known(text, place).map(|()| Expect::Error(text.to_owned())),
        _ => Ok(Expect::Text(text.to_owned())),
    }
}

fn looks_like_errno(text: &str) -> bool {
    text.len() > 2
        && text.starts_with('E')
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Refuses an unknown errno.
pub(super) fn known(name: &str, place: Range<usize>) -> Result<(), Problem> {
    if errno::number(name).is_some() {
        return Ok(());
    }
    let problem = Problem::new(place, format!("no errno `{name}`"));
    let problem = problem.with_help("say one of the names in errno(3), as in ENOKEY");
    Err(problem.with_names(name, errno::names()))
}
