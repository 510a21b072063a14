//! Parser of a whole scenario file.

use std::{collections::BTreeMap, path::Path};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    agent_deadline,
    block::{self, ParsedBlock},
    declared::Declared,
    deserialize::{self, Table, Value, keep},
    process::{self, ParsedProcess},
    step::{self, ParsedStep},
    validate,
};
use crate::{
    diagnostics::Problem,
    plan::{Block, Order, Plan, Process},
    rule::{NoSuchRule, Rule},
    scenario::{Case, Expectation, Position, Scenario},
    wire::PROTOCOL,
};

/// Longest title in characters, which fits on a line of a wide terminal with the scenario's name
/// and verdict.
const MAX_TITLE: usize = 80;

/// Fields of a scenario outside of `[process.NAME]` and `[[step]]`. Any value in a scenario, and the
/// name of an operation, may be `{NAME}` for a variable of `[matrix]` or `[variables]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// The rule that the scenario proves: one sentence of at most 80 characters.
    #[schemars(with = "String", length(max = MAX_TITLE))]
    title: Spanned<String>,
    /// The rules that it proves.
    #[schemars(with = "Vec<Rule>")]
    rules: Vec<Spanned<String>>,
    /// Limit in milliseconds for the whole scenario, after which it is hung.
    #[serde(default = "deadline_ms")]
    deadline_ms: u64,
    /// Features of the guest without which it is skipped, as in `watch_queue`, `tracing`, `compat`.
    #[serde(default)]
    needs: Vec<String>,
    /// Values for files under /proc/sys, as in `"kernel/keys/gc_delay" = "1"`. The old values are
    /// restored when the scenario has ended.
    #[serde(default)]
    sysctl: BTreeMap<String, String>,
    /// Values for `{NAME}` anywhere in the file.
    // Parsed separately, as are the others. They are here because they are among the known names.
    #[serde(default, rename = "variables")]
    #[schemars(with = "super::matrix::VariablesSpec")]
    _variables: (),
    /// Values by which cases differ: each combination of them is a scenario of its own.
    #[serde(default, rename = "matrix")]
    #[schemars(with = "super::matrix::MatrixSpec")]
    _matrix: (),
    /// Processes, by name.
    #[serde(default, rename = "process")]
    #[schemars(required, with = "BTreeMap<String, process::Spec>")]
    _process: (),
    /// Steps, in order.
    #[serde(default, rename = "step")]
    #[schemars(required, with = "Vec<step::Spec>")]
    _step: (),
}

pub(super) struct Source<'s> {
    /// `FAMILY/NAME`.
    pub(super) name: &'s str,
    pub(super) path: &'s Path,
    pub(super) text: &'s str,
}

/// How long a scenario may take that does not say it.
const DEFAULT_DEADLINE_MS: u64 = 60_000;

fn deadline_ms() -> u64 {
    DEFAULT_DEADLINE_MS
}

/// Reads the file, with the values of a case substituted.
pub(super) fn read(
    source: &Source<'_>,
    case: Option<Case>,
    mut document: Table<'_>,
) -> Result<Scenario, Vec<Problem>> {
    let mut problems = Vec::new();
    let declared = Declared::in_document(document.get_ref());
    let start = document.span().start;
    let processes = deserialize::take(document.get_mut(), "process").map(|(_, value)| value);
    let steps = deserialize::take(document.get_mut(), "step").map(|(_, value)| value);
    let head: Option<Head> = deserialize::table(document, &mut problems);
    problems.extend(head.as_ref().and_then(|head| unfit(&head.title)));
    let rules = rules(head.as_ref(), &mut problems);
    let processes = read_processes(processes, start, &mut problems);
    let blocks = read_blocks(steps, start, &declared.processes, &mut problems);

    let limit = head.as_ref().map_or(u64::MAX, |head| head.deadline_ms);
    let order = validate::check(&processes, &blocks, &declared, limit, &mut problems);
    if let Some(head) = &head {
        agent_deadline::check(&processes, &blocks, &head.sysctl, &mut problems);
    }
    let (Some(head), true) = (head, problems.is_empty()) else { return Err(problems) };

    let special = special(&blocks);
    let steps = blocks.into_iter().flat_map(|block| block.steps);
    let position = |offset| Position::of(source.text, offset);
    let placed = |step: ParsedStep| {
        let position = position(step.op.place.start);
        (step.step, Expectation { position, ..step.expectation })
    };
    let (steps, expectations) = steps.map(placed).unzip();
    let file = source.name;
    let name = case.as_ref().map_or_else(|| file.to_owned(), |case| format!("{file}[{}]", case.label));
    let plan = Plan {
        protocol: PROTOCOL,
        name: name.clone(),
        deadline_ms: head.deadline_ms,
        sysctl: head.sysctl,
        processes: in_order(&order, &processes),
        steps,
        blocks: special,
        seed: None,
    };
    Ok(Scenario {
        name,
        file: file.to_owned(),
        family: file.split('/').next().unwrap_or_default().to_owned(),
        case,
        title_position: position(head.title.span().start),
        title: head.title.into_inner(),
        rules,
        needs: head.needs,
        path: source.path.to_owned(),
        expectations,
        plan,
    })
}

/// Refuses a title that doesn't fit on a line, breaks it, or says nothing.
fn unfit(title: &Spanned<String>) -> Option<Problem> {
    let text = title.get_ref();
    let length = text.chars().count();
    let message = if text.trim().is_empty() {
        "the title says nothing".to_owned()
    } else if let Some(control) = text.chars().find(|c| c.is_control()) {
        format!("the title has the control character {}", control.escape_default())
    } else if length > MAX_TITLE {
        format!("the title has {length} characters, and at most {MAX_TITLE} are allowed")
    } else {
        return None;
    };
    let help = "state one rule in a short sentence; details belong in comments";
    Some(Problem::new(title.span(), message).with_help(help))
}

fn rules(head: Option<&Head>, problems: &mut Vec<Problem>) -> Vec<Rule> {
    let names = head.map(|head| head.rules.as_slice()).unwrap_or_default();
    let parse = |name: &Spanned<String>| {
        name.get_ref().parse().map_err(|wrong: NoSuchRule| Problem::new(name.span(), wrong.to_string()))
    };
    names.iter().filter_map(|name| keep(parse(name), problems)).collect()
}

/// Returns the processes in the order in which they start, with every `join` expanded.
fn in_order(order: &[usize], read: &[ParsedProcess]) -> Vec<Process> {
    let mut processes: Vec<Process> = Vec::new();
    for &index in order {
        let mut process = read[index].process.clone();
        for join in process.join.iter_mut().filter(|join| join.namespaces.is_empty()) {
            let Some(joined) = processes.iter().find(|other| other.name == join.process) else { continue };
            let inherited = joined.join.iter().flat_map(|join| &join.namespaces);
            join.namespaces = joined.unshare.iter().chain(inherited).copied().collect();
            join.namespaces.sort_unstable();
            join.namespaces.dedup();
        }
        processes.push(process);
    }
    processes
}

fn read_processes(value: Option<Value<'_>>, start: usize, problems: &mut Vec<Problem>) -> Vec<ParsedProcess> {
    let Some(value) = value else {
        problems.push(Problem::new(start..start, "there are no processes").with_help("add [process.NAME]"));
        return Vec::new();
    };
    let span = value.span();
    let DeValue::Table(table) = value.into_inner() else {
        problems.push(Problem::new(span, "`process` is not a table").with_help("say [process.NAME]"));
        return Vec::new();
    };
    let entries: DeTable<'_> = table;
    entries.into_iter().filter_map(|(name, value)| keep(process::read(&name, value), problems)).collect()
}

/// Returns the blocks that the guest needs, with the indices of their steps.
fn special(blocks: &[ParsedBlock]) -> Vec<Block> {
    let mut first = 0;
    let mut special = Vec::new();
    for block in blocks {
        let count = block.steps.len();
        if block.repeat > 1 || block.order == Order::Raced {
            special.push(Block { first, count, order: block.order, repeat: block.repeat });
        }
        first += count;
    }
    special
}

fn read_blocks(
    value: Option<Value<'_>>,
    start: usize,
    processes: &[String],
    problems: &mut Vec<Problem>,
) -> Vec<ParsedBlock> {
    let span = value.as_ref().map_or(start..start, Spanned::span);
    let steps: DeArray<'_> = match value.map(Spanned::into_inner) {
        Some(DeValue::Array(steps)) => steps,
        Some(_) => {
            problems.push(Problem::new(span, "`step` is not a list").with_help("say [[step]]"));
            return Vec::new();
        }
        None => DeArray::default(),
    };
    if steps.is_empty() {
        problems.push(Problem::new(span, "there are no steps").with_help("add [[step]]"));
    }
    steps.into_iter().filter_map(|value| keep(block::read(value, processes), problems)).collect()
}
