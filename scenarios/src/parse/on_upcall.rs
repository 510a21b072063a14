//! Parser of `on_upcall`, the actions of a keyagent on its upcalls.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    deserialize::{self, Value, keep},
    expect,
    step::{self, ParsedOp},
};
use crate::{
    diagnostics::Problem,
    plan::{Op, REJECTED_SECONDS},
};

/// Action of a keyagent on an upcall.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "OnUpcall")]
pub(super) enum Action {
    /// Answer it with this payload. `{callout}`, `{description}` and `{type}` stand for those of the request, `{hostname}` and
    /// `{uid}` for the agent's own.
    Answer(String),
    /// Reject it with this error.
    Reject(#[schemars(with = "crate::errno::ErrnoName")] Spanned<String>),
    /// Negate it: the requester sees ENOKEY.
    Negate {},
    /// Keep it pending for a later step.
    Hold {},
    /// Run these operations, in order. The upcall stays pending if they don't complete it.
    // Parsed separately, so that every mistake in them is shown.
    Ops(#[schemars(with = "Vec<Op>")] ()),
}

const HELP: &str =
    "say one of { answer = \"…\" }, { reject = \"ERRNO\" }, { negate = {} }, { hold = {} }, { ops = [ … ] }";

/// Reads the operations for the first upcall, for the second, and so on.
pub(super) fn read(value: Value<'_>) -> Result<Vec<Vec<ParsedOp>>, Vec<Problem>> {
    let span = value.span();
    let DeValue::Array(actions) = value.into_inner() else {
        return Err(vec![Problem::new(span, "`on_upcall` is a table, or a list of tables").with_help(HELP)]);
    };
    if actions.is_empty() {
        return Err(vec![Problem::new(span, "`on_upcall` says nothing").with_help(HELP)]);
    }
    let mut problems = Vec::new();
    let read = actions.into_iter().filter_map(|it| keep(action(it), &mut problems)).collect();
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

fn action(value: Value<'_>) -> Result<Vec<ParsedOp>, Vec<Problem>> {
    let span = value.span();
    let DeValue::Table(mut table) = value.into_inner() else {
        return Err(vec![Problem::new(span, "what is done with an upcall is a table").with_help(HELP)]);
    };
    if table.len() != 1 {
        let message = "exactly one thing can be done with an upcall";
        return Err(vec![Problem::new(span, message).with_help(HELP)]);
    }
    if let Some(problem) = argument(&table) {
        return Err(vec![problem]);
    }
    match deserialize::take(&mut table, "ops") {
        Some((_, value)) => ops(value),
        None => Ok(completion(table, span)?.into_iter().collect()),
    }
}

/// Refuses an argument of what has none.
fn argument(table: &DeTable<'_>) -> Option<Problem> {
    ["negate", "hold"].into_iter().find_map(|word| {
        let value = table.get(word).filter(|value| !value.get_ref().is_table())?;
        let problem = Problem::new(value.span(), format!("`{word}` is written with an empty table"));
        Some(problem.with_help(format!("say {word} = {{}}")))
    })
}

fn ops(value: Value<'_>) -> Result<Vec<ParsedOp>, Vec<Problem>> {
    let span = value.span();
    let items = match value.into_inner() {
        DeValue::Array(items) if !items.is_empty() => items,
        DeValue::Array(_) => {
            return Err(vec![Problem::new(span, "there are no operations").with_help("say { hold = {} }")]);
        }
        _ => {
            let problem = Problem::new(span, "not a list");
            return Err(problem.with_help("say ops = [{ OPERATION = { … } }, …]").into());
        }
    };
    let mut problems = Vec::new();
    let ops = items.into_iter().filter_map(|item| keep(step::read_op(item), &mut problems)).collect();
    if problems.is_empty() { Ok(ops) } else { Err(problems) }
}

/// Reads the operation that completes an upcall. `None` if the upcall is held.
fn completion(table: DeTable<'_>, span: Range<usize>) -> Result<Option<ParsedOp>, Problem> {
    let deny = |error: String| Op::Deny { error, seconds: REJECTED_SECONDS, into: None };
    let op = match deserialize::value(Spanned::new(span.clone(), DeValue::Table(table)))? {
        Action::Answer(payload) => Op::Answer { payload, into: None },
        Action::Reject(error) => {
            expect::known(error.get_ref(), error.span())?;
            deny(error.into_inner())
        }
        Action::Negate {} => deny("ENOKEY".to_owned()),
        Action::Hold {} | Action::Ops(()) => return Ok(None),
    };
    Ok(Some(ParsedOp { op, place: span, keys: Vec::new(), receiver: None, job: None }))
}
