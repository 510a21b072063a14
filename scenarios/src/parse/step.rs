//! Parser of `[[step]]`, and of operations in other places.

use std::{borrow::Cow, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    deserialize::{self, Key, Value, keep},
    expect,
};
use crate::{
    diagnostics::Problem,
    plan::{Condition, Group, KeyRef, Op, Order, Step},
    scenario::{Expect, Expectation, Position},
    schema,
};

/// Reserved words of a step, which can't name a process.
pub(super) const WORDS: [&str; 9] =
    ["as", "expect", "background", "count", "within_ms", "at_least_ms", "repeat", "order", "steps"];

/// An operation with the places of what it refers to.
#[derive(Clone)]
pub(super) struct ParsedOp {
    pub(super) op: Op,
    pub(super) place: Range<usize>,
    pub(super) keys: Vec<(KeyRef, Range<usize>)>,
    /// The process, or the background step, that a signal goes to.
    pub(super) receiver: Option<Spanned<String>>,
    /// A background step.
    pub(super) job: Option<Spanned<String>>,
}

/// A step with the places of what it refers to.
pub(super) struct ParsedStep {
    pub(super) step: Step,
    pub(super) expectation: Expectation,
    pub(super) op: ParsedOp,
    pub(super) background: Option<Spanned<String>>,
    /// The variable that the expectation names.
    pub(super) expected_keys: Vec<Spanned<String>>,
}

/// A step: `PROCESS.OPERATION = { … }`, and its other fields.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Step", transform = with_a_process)]
pub(super) struct Spec {
    /// Name of the key that the operation gives, for the following steps.
    #[serde(rename = "as")]
    #[schemars(with = "Option<String>")]
    save: Option<Spanned<String>>,
    /// Begin it under this name, in a child of the process, and go on with the next step.
    #[schemars(with = "Option<String>")]
    background: Option<Spanned<String>>,
    /// Number of children of the process that do it at once. `{worker}` in texts is the child's
    /// number.
    #[schemars(with = "Option<u32>")]
    count: Option<Spanned<u32>>,
    /// Upper bound of its duration in milliseconds.
    within_ms: Option<u64>,
    /// Lower bound of its duration in milliseconds. Where several workers request one key, it
    /// counts from the first request.
    at_least_ms: Option<u64>,
    /// Expected result. Without it: success.
    // Parsed separately. It is here because it is among the known names.
    #[serde(default, rename = "expect")]
    #[schemars(with = "expect::Spec")]
    _expect: (),
    /// Number of rounds of the step, or of all of `steps`. `{round}` in texts is the number of the
    /// round.
    // Parsed separately, as are the next.
    #[serde(default, rename = "repeat")]
    #[schemars(with = "Option<u32>")]
    _repeat: (),
    /// Sequence of `steps`: as they are given, all at the same moment, or in the order of these
    /// numbers.
    #[serde(default, rename = "order")]
    #[schemars(with = "Option<OrderSpec>")]
    _order: (),
    /// Several steps that belong together, in place of one.
    #[serde(default, rename = "steps")]
    #[schemars(with = "Option<Vec<Spec>>")]
    _steps: (),
}

/// Sequence of `steps`, by name or by the number of each step.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "StepOrder")]
#[expect(dead_code, reason = "it is read in parts, and stands here to be described")]
enum OrderSpec {
    As(Order),
    Numbers(Vec<usize>),
}

/// Describes all other fields of a step: a process with its operation.
fn with_a_process(schema: &mut Schema) {
    schema.insert("additionalProperties".into(), schema::reference::<Op>());
}

/// JSON schema of an operation before the first step, with a name for the key that it gives.
pub(super) struct SetupSpec;

impl JsonSchema for SetupSpec {
    fn schema_name() -> Cow<'static, str> {
        "Setup".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema::with_a_name(Op::json_schema(generator))
    }
}

pub(super) fn read(value: Value<'_>, processes: &[String]) -> Result<ParsedStep, Vec<Problem>> {
    let span = value.span();
    let DeValue::Table(mut table) = value.into_inner() else {
        return Err(vec![Problem::new(span, "a step is a table").with_help("say [[step]]")]);
    };
    let mut problems = Vec::new();
    let expect = deserialize::take(&mut table, "expect");
    let expect_place = expect.as_ref().map_or(span.clone(), |(_, value)| value.span());
    let expect = expect.and_then(|(_, value)| keep(expect::read(value), &mut problems)).unwrap_or_default();
    let action = take_action(&mut table, &span, processes, &mut problems);
    let spec: Option<Spec> = deserialize::table(Spanned::new(span.clone(), table), &mut problems);
    let (Some((process, op)), Some(spec), true) = (action, spec, problems.is_empty()) else {
        return Err(problems);
    };

    let count = spec.count.as_ref().map_or(1, |count| *count.get_ref());
    if let Some(place) = spec.count.as_ref().filter(|_| spec.background.is_none() || count == 0) {
        let problem = Problem::new(place.span(), "`count` is for background steps, and at least 1");
        return Err(vec![problem.with_help("add background = \"NAME\"")]);
    }
    let expected_key = |name| Spanned::new(expect_place.clone(), name);
    Ok(ParsedStep {
        step: Step {
            process: process.get_ref().to_string(),
            op: op.op.clone(),
            save: spec.save.map(Spanned::into_inner),
            background: spec.background.clone().map(Spanned::into_inner),
            count,
        },
        expected_keys: variables(&expect).into_iter().map(expected_key).collect(),
        expectation: Expectation {
            // The parser of the file, which has its text, sets it.
            position: Position::default(),
            outcome: expect,
            within_ms: spec.within_ms,
            at_least_ms: spec.at_least_ms,
        },
        op,
        background: spec.background,
    })
}

/// Reads an operation in a table of its own.
pub(super) fn read_op(value: Value<'_>) -> Result<ParsedOp, Vec<Problem>> {
    let span = value.span();
    by_a_process(operation(op_table(value)?, &span)?)
}

/// Refuses what only PID 1 can do.
fn by_a_process(op: ParsedOp) -> Result<ParsedOp, Vec<Problem>> {
    let name = match op.op.core() {
        Op::Start {} => "start",
        Op::Reap {} => "reap",
        Op::Wait { .. } => "wait",
        Op::Await { .. } => "await",
        _ => return Ok(op),
    };
    let problem = Problem::new(op.place, format!("no process can `{name}`: PID 1 of the guest does"));
    Err(vec![problem.with_help(format!("make it a step of its own: PROCESS.{name} = {{ … }}"))])
}

/// Reads an entry of `setup`: an operation, optionally with `as`.
pub(super) fn read_setup(value: Value<'_>) -> Result<(ParsedOp, Option<String>), Vec<Problem>> {
    let span = value.span();
    let mut table = op_table(value)?;
    let save = deserialize::take(&mut table, "as").map(|(_, value)| deserialize::value(value)).transpose()?;
    Ok((by_a_process(operation(table, &span)?)?, save))
}

fn op_table(value: Value<'_>) -> Result<DeTable<'_>, Vec<Problem>> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(table) => Ok(table),
        _ => Err(vec![Problem::new(span, "an operation is a table").with_help("say { OPERATION = { … } }")]),
    }
}

/// Takes `PROCESS.OPERATION = { … }` out of a step.
fn take_action<'t>(
    table: &mut DeTable<'t>,
    span: &Range<usize>,
    processes: &[String],
    problems: &mut Vec<Problem>,
) -> Option<(Key<'t>, ParsedOp)> {
    let mut names: Vec<_> =
        table.iter().filter(|(_, value)| value.get_ref().is_table()).map(|(key, _)| key.clone()).collect();
    if names.len() != 1 {
        for name in &names {
            table.remove(name);
        }
        let (place, message) = match names.pop() {
            Some(second) => (second.span(), "a step has only one process that does something"),
            None => (span.clone(), "nobody does anything in this step"),
        };
        problems.push(Problem::new(place, message).with_help("say PROCESS.OPERATION = { … }"));
        return None;
    }
    let name = names.pop()?;
    let (_, value) = deserialize::take(table, name.get_ref())?;
    if !processes.iter().any(|process| *process == *name.get_ref()) {
        let problem = Problem::new(name.span(), format!("no process `{}`", name.get_ref()));
        problems.push(problem.with_names(name.get_ref(), processes.iter().map(String::as_str)));
    }
    let place = value.span();
    let DeValue::Table(ops) = value.into_inner() else { return None };
    let op = operation(ops, &place)
        .and_then(|op| if op.op.group() == Group::Control { Ok(op) } else { by_a_process(op) });
    Some((name, keep(op, problems)?))
}

fn operation(ops: DeTable<'_>, span: &Range<usize>) -> Result<ParsedOp, Vec<Problem>> {
    let mut ops = ops.into_iter();
    let (Some((tag, args)), None) = (ops.next(), ops.next()) else {
        return Err(vec![Problem::new(span.clone(), "exactly one operation has to stand here")]);
    };
    let args_span = args.span();
    let DeValue::Table(args) = args.into_inner() else {
        let problem = Problem::new(args_span, "an operation's arguments are a table");
        return Err(problem.with_help(format!("say {} = {{ … }}", tag.get_ref())).into());
    };
    let mut problems = Vec::new();
    let op = deserialize::tagged(Some(&tag), Spanned::new(args_span.clone(), args.clone()), &mut problems);
    let (Some(mut op), true) = (op, problems.is_empty()) else { return Err(problems) };
    let place = |text: &str| find(&args, text).unwrap_or_else(|| args_span.clone());

    if let Op::Reject { error, .. } | Op::Deny { error, .. } = &op {
        expect::known(error, place(error))?;
    }
    let spanned = |name: &String| Spanned::new(place(name), name.clone());
    let receiver = op.receiver().map(spanned);
    let job = match &op {
        Op::Await { job, .. } | Op::Wait { until: Condition::Blocked(job), .. } => Some(spanned(job)),
        _ => None,
    };
    let keys = op.keys_mut().into_iter().map(|key| (key.clone(), place(&key.to_string()))).collect();
    Ok(ParsedOp { place: tag.span(), op, keys, receiver, job })
}

fn find(table: &DeTable<'_>, text: &str) -> Option<Range<usize>> {
    table.iter().find_map(|(_, value)| match value.get_ref() {
        DeValue::String(string) if string == text => Some(value.span()),
        DeValue::Table(inner) => find(inner, text),
        _ => None,
    })
}

fn variables(expect: &Expect) -> Vec<String> {
    match expect {
        Expect::Key(name) | Expect::NotKey(name) => vec![name.clone()],
        Expect::AllOf(several) | Expect::AnyOf(several) => several.iter().flat_map(variables).collect(),
        _ => Vec::new(),
    }
}
