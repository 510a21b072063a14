//! Parser of `[[step]]` entries: a single step or a block of several.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    deserialize::{self, Value, keep},
    step::{self, ParsedStep},
};
use crate::{diagnostics::Problem, plan::Order};

/// Steps that belong together. A single step is a block of one.
pub(super) struct ParsedBlock {
    pub(super) steps: Vec<ParsedStep>,
    pub(super) order: Order,
    pub(super) repeat: u32,
}

pub(super) fn read(value: Value<'_>, processes: &[String]) -> Result<ParsedBlock, Vec<Problem>> {
    let span = value.span();
    let DeValue::Table(mut table) = value.into_inner() else {
        return Err(vec![Problem::new(span, "a step is a table").with_help("say [[step]]")]);
    };
    let mut problems = Vec::new();
    let repeat = keep(repeat(&mut table), &mut problems).unwrap_or(1);
    let order = deserialize::take(&mut table, "order").map(|(_, value)| value);
    let (steps, order) = match (deserialize::take(&mut table, "steps"), order) {
        (Some((_, steps)), order) => {
            refuse_the_rest(&table, &mut problems);
            several(steps, order, processes, &mut problems)
        }
        (None, Some(order)) => {
            let help = "say steps = [{ PROCESS.OPERATION = { … } }, …]";
            problems.push(Problem::new(order.span(), "there is nothing to put in order").with_help(help));
            (Vec::new(), Order::Given)
        }
        (None, None) => {
            let step = keep(step::read(Spanned::new(span, DeValue::Table(table)), processes), &mut problems);
            (step.into_iter().collect(), Order::Given)
        }
    };
    if problems.is_empty() { Ok(ParsedBlock { steps, order, repeat }) } else { Err(problems) }
}

fn repeat(table: &mut DeTable<'_>) -> Result<u32, Problem> {
    let Some((_, value)) = deserialize::take(table, "repeat") else { return Ok(1) };
    let place = value.span();
    match deserialize::value(value)? {
        0 => Err(Problem::new(place, "nothing happens 0 times").with_help("leave it out, or say at least 1")),
        times => Ok(times),
    }
}

fn refuse_the_rest(table: &DeTable<'_>, problems: &mut Vec<Problem>) {
    for key in table.keys() {
        let problem = Problem::new(key.span(), format!("unknown field `{}`", key.get_ref()));
        problems.push(problem.with_names(key.get_ref(), ["steps", "order", "repeat"]));
    }
}

fn several(
    steps: Value<'_>,
    order: Option<Value<'_>>,
    processes: &[String],
    problems: &mut Vec<Problem>,
) -> (Vec<ParsedStep>, Order) {
    let place = steps.span();
    let steps: DeArray<'_> = match steps.into_inner() {
        DeValue::Array(steps) if !steps.is_empty() => steps,
        _ => {
            let help = "say steps = [{ PROCESS.OPERATION = { … } }, …]";
            problems.push(Problem::new(place, "there are no steps").with_help(help));
            return (Vec::new(), Order::Given);
        }
    };
    let all = steps.len();
    let mut read: Vec<Option<ParsedStep>> =
        steps.into_iter().map(|value| keep(step::read(value, processes), problems)).collect();
    match order.map(|value| ordered(value, all)) {
        None => (read.into_iter().flatten().collect(), Order::Given),
        Some(Ok(Chosen::As(order))) => (read.into_iter().flatten().collect(), order),
        Some(Ok(Chosen::Numbers(numbers))) => {
            let chosen = numbers.into_iter().filter_map(|number| read.get_mut(number - 1)?.take());
            (chosen.collect(), Order::Given)
        }
        Some(Err(problem)) => {
            problems.push(problem);
            (Vec::new(), Order::Given)
        }
    }
}

enum Chosen {
    As(Order),
    /// Every number from 1 to the number of steps, once.
    Numbers(Vec<usize>),
}

fn ordered(value: Value<'_>, all: usize) -> Result<Chosen, Problem> {
    let place: Range<usize> = value.span();
    if !value.get_ref().is_array() {
        return deserialize::value(value).map(Chosen::As);
    }
    let numbers: Vec<usize> = deserialize::value(value)?;
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    if sorted.into_iter().eq(1..=all) {
        Ok(Chosen::Numbers(numbers))
    } else {
        Err(Problem::new(place, "every step has to come once")
            .with_help(format!("say the numbers from 1 to {all} in the order that you want")))
    }
}

#[cfg(test)]
mod tests;
