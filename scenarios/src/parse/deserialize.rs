//! Deserialization of TOML that reports every mistake, not just the first.

use std::{borrow::Cow, ops::Range};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::diagnostics::Problem;

pub(super) type Table<'t> = Spanned<DeTable<'t>>;

pub(super) type Key<'t> = Spanned<Cow<'t, str>>;

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Returns the value; or `None`, after adding its problems to the others.
pub(super) fn keep<T>(result: Result<T, impl Into<Vec<Problem>>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found.into())).ok()
}

pub(super) fn take<'t>(table: &mut DeTable<'t>, name: &str) -> Option<(Key<'t>, Value<'t>)> {
    let key = table.keys().find(|key| *key.get_ref() == name).cloned()?;
    table.remove_entry(&key)
}

pub(super) fn value<T: DeserializeOwned>(value: Value<'_>) -> Result<T, Problem> {
    let span = value.span();
    T::deserialize(ValueDeserializer::from(value)).map_err(|error| problem(&error, &span))
}

/// Reads a table, and reports all its mistakes. Serde stops at the first one, so its entry is
/// removed and the table is read again. The result without the faulty entries serves to find
/// further mistakes.
pub(super) fn table<T: DeserializeOwned>(table: Table<'_>, problems: &mut Vec<Problem>) -> Option<T> {
    tagged(None, table, problems)
}

/// Reads an externally tagged enum of struct variants in the same way, given the tag and the variant's fields.
pub(super) fn tagged<T: DeserializeOwned>(
    tag: Option<&Key<'_>>,
    mut fields: Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let mut faulty = false;
    loop {
        let problem = match value(whole(tag, fields.clone())) {
            Ok(read) => return Some(read),
            Err(problem) => problem,
        };
        let culprit = fields
            .get_ref()
            .iter()
            .find(|(key, value)| within(&problem.span, key.span()) || within(&problem.span, value.span()))
            .map(|(key, _)| key.clone());
        // A field may only seem to be missing, because it is misspelt or was taken out.
        if !(faulty && problem.message.starts_with("missing field")) {
            problems.push(problem);
        }
        faulty = true;
        fields.get_mut().remove(&culprit?);
    }
}

fn whole<'t>(tag: Option<&Key<'t>>, fields: Table<'t>) -> Value<'t> {
    let span = fields.span();
    let fields = Spanned::new(span.clone(), DeValue::Table(fields.into_inner()));
    match tag {
        None => fields,
        Some(tag) => {
            let mut outer = DeTable::new();
            outer.insert(tag.clone(), fields);
            Spanned::new(span, DeValue::Table(outer))
        }
    }
}

fn within(inner: &Range<usize>, outer: Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Returns serde's message, with its list of right names replaced by the nearest one.
fn problem(error: &toml::de::Error, around: &Range<usize>) -> Problem {
    let span = error.span().unwrap_or_else(|| around.clone());
    let message = error.message().trim();
    if let Some((wrong, right)) = message.split_once(", expected ").filter(|_| message.starts_with("unknown"))
    {
        let name = quoted(wrong).next().unwrap_or_default();
        return Problem::new(span, wrong.replace("variant", "name")).with_names(name, quoted(right));
    }
    let keys = message.strip_prefix("unexpected keys in table: ");
    if let Some((wrong, right)) = keys.and_then(|keys| keys.split_once(", available keys: ")) {
        let name = wrong.split(", ").next().unwrap_or_default();
        return Problem::new(span, format!("unknown field `{name}`")).with_names(name, right.split(", "));
    }
    Problem::new(span, message)
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
