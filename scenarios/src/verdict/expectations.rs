//! Comparison of step outcomes with expectations.

use super::mismatch::{FailedStep, Mismatch};
use crate::{
    plan::{Op, Plan, Step},
    scenario::{Description, Expect, Scenario},
    trace::resolve::of_setup,
    wire::{Described, Done, Event, EventKind, Outcome, Value},
};

/// Returns the steps that differ from their expectations, each once for all its workers.
pub(crate) fn mismatches(scenario: &Scenario, events: &[Event]) -> Vec<Mismatch> {
    let mut mismatches: Vec<Mismatch> = Vec::new();
    for (index, (step, expectation)) in scenario.plan().steps.iter().zip(&scenario.expectations).enumerate() {
        let results: Vec<(Option<u32>, &Done)> = events
            .iter()
            .filter(|event| event.step == Some(index))
            .filter_map(|event| Some((event.worker, event.done()?)))
            .collect();
        let failed_step = FailedStep::of(scenario, index);
        let says = |complaint: String| Mismatch { step: Some(failed_step.clone()), complaint };
        mismatches.extend(missing(scenario.plan(), index, step, results.len(), events).map(&says));
        let waiting_since_us = waiting_since_us(step, &results);
        for (worker, done) in results {
            let variables = |name: &str| variable(scenario, events, name, worker);
            let wrong = (!meets(&expectation.outcome, &done.outcome, &variables))
                .then(|| format!("expected {}, got {}", expectation.outcome, got(&done.outcome)));
            let ms = done.elapsed_us / 1000;
            let late = expectation.within_ms.filter(|limit| ms > *limit);
            let waited_us = done.begun_us + done.elapsed_us - waiting_since_us.unwrap_or(done.begun_us);
            let waited_ms = waited_us / 1000;
            let early = expectation.at_least_ms.filter(|limit| waited_ms < *limit);
            let complaints = [
                wrong,
                late.map(|limit| format!("took {ms} ms, at most {limit} expected")),
                early.map(|limit| format!("took {waited_ms} ms, at least {limit} expected")),
            ];
            mismatches.extend(complaints.into_iter().flatten().map(says));
        }
    }
    mismatches.dedup();
    mismatches
}

/// Returns a complaint if a worker or a round neither reported an outcome nor ended.
fn missing(plan: &Plan, index: usize, step: &Step, answers: usize, events: &[Event]) -> Option<String> {
    // A process that ends itself can't report the result.
    if step.op.ends_its_process() {
        return None;
    }
    let of_step = events.iter().filter(|event| event.step == Some(index));
    let ended = of_step.filter(|event| matches!(event.kind, EventKind::Ended(_))).count();
    let rounds = plan.block_of(index).map_or(1, |block| block.repeat);
    match (answers + ended, (step.count * rounds) as usize) {
        (0, _) => Some("no answer".to_owned()),
        (come, due) if come < due => Some(format!("only {come} of {due} have answered")),
        _ => None,
    }
}

/// Returns the start of the first of several workers that request one key. A later request waits
/// less for the same result.
fn waiting_since_us(step: &Step, results: &[(Option<u32>, &Done)]) -> Option<u64> {
    match step.op.core() {
        Op::Request { description, .. } if !description.contains("{worker}") => {
            results.iter().filter(|_| step.count > 1).map(|(_, done)| done.begun_us).min()
        }
        _ => None,
    }
}

/// Returns the serial that a variable holds at the end, or at the end of this round in a repeated
/// block.
fn variable(scenario: &Scenario, events: &[Event], name: &str, round: Option<u32>) -> Option<i32> {
    let plan = scenario.plan();
    let saves = |step: &Step| step.save.as_deref() == Some(name);
    let by_step = plan.steps.iter().position(saves).and_then(|index| {
        let of_step = events.iter().filter(|event| event.step == Some(index));
        let serials: Vec<(Option<u32>, i32)> =
            of_step.filter_map(|event| Some((event.worker, event.done()?.outcome.serial()?))).collect();
        let own = serials.iter().find(|(worker, _)| *worker == round && round.is_some());
        own.or(serials.first()).map(|(_, serial)| *serial)
    });
    by_step.or_else(|| of_setup(plan, events, name))
}

fn meets(expect: &Expect, outcome: &Outcome, variable: &dyn Fn(&str) -> Option<i32>) -> bool {
    match (expect, outcome) {
        (Expect::AnyOf(several), _) => several.iter().any(|expect| meets(expect, outcome, variable)),
        (Expect::AllOf(all), _) => all.iter().all(|expect| meets(expect, outcome, variable)),
        (Expect::Error(name), Outcome::Error(found)) => name == found,
        (Expect::TimedOut, Outcome::TimedOut) => true,
        (Expect::Ok, Outcome::Ok(Value::Command { status, .. } | Value::ExitCode(status))) => *status == 0,
        (Expect::Ok, Outcome::Ok(_)) => true,
        (_, Outcome::Ok(value)) => meets_value(expect, value, variable),
        _ => false,
    }
}

fn meets_value(expect: &Expect, value: &Value, variable: &dyn Fn(&str) -> Option<i32>) -> bool {
    match (expect, value) {
        (Expect::Text(text), Value::Text(found) | Value::Hex(found)) => text == found,
        (Expect::Text(text), Value::Command { status, output }) => *status == 0 && text == output,
        (Expect::Has(part), _) => text_of(value).is_some_and(|text| text.contains(part.as_str())),
        (Expect::Lacks(part), _) => text_of(value).is_some_and(|text| !text.contains(part.as_str())),
        (Expect::Number(number), Value::Number(found)) => number == found,
        (Expect::Number(number), Value::Command { status, .. } | Value::ExitCode(status)) => {
            *number == i64::from(*status)
        }
        (Expect::Number(number), Value::Serial(found)) => *number == i64::from(*found),
        (Expect::Count(count), _) => size(value) == Some(*count),
        (Expect::Tries(allowed), Value::Tries { failed, last }) => {
            let is_allowed = |outcome: &Outcome| match outcome {
                Outcome::Ok(_) => allowed.iter().any(|word| word == "ok"),
                Outcome::Error(name) => allowed.contains(name),
                _ => false,
            };
            !failed.is_empty() && failed.iter().all(is_allowed) && matches!(**last, Outcome::Ok(_))
        }
        (Expect::Key(name), Value::Serial(found)) => variable(name) == Some(*found),
        (Expect::NotKey(name), Value::Serial(found)) => variable(name).is_some_and(|serial| serial != *found),
        (Expect::Described(wanted), Value::Described(found)) => fits(wanted, found),
        _ => false,
    }
}

fn fits(wanted: &Description, found: &Described) -> bool {
    wanted.kind.as_ref().is_none_or(|kind| *kind == found.kind)
        && wanted.uid.is_none_or(|uid| uid == found.uid)
        && wanted.gid.is_none_or(|gid| gid == found.gid)
        && wanted.perm.is_none_or(|perm| perm.mask() == found.perm)
        && wanted.description.as_ref().is_none_or(|description| *description == found.description)
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) | Value::Hex(text) | Value::Command { output: text, .. } => Some(text.clone()),
        Value::ProcKeys(keys) => Some(
            keys.iter().map(|key| format!("{} {}", key.kind, key.summary)).collect::<Vec<_>>().join("\n"),
        ),
        _ => None,
    }
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Keyring(serials) => Some(serials.len()),
        Value::ProcKeys(keys) => Some(keys.len()),
        Value::Signals(signals) => Some(signals.len()),
        Value::Notifications(all) => Some(all.len()),
        Value::Trace(records) => Some(records.len()),
        _ => None,
    }
}

fn got(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(Value::Serial(_)) => "a key".to_owned(),
        Outcome::Ok(Value::None) => "success".to_owned(),
        Outcome::Ok(Value::Text(text)) => format!("{text:?}"),
        Outcome::Ok(Value::Command { status, output }) => format!("exit code {status} and {output:?}"),
        Outcome::Ok(Value::ExitCode(code)) => format!("exit code {code}"),
        Outcome::Ok(value) => format!("{value:?}"),
        Outcome::Error(name) => name.clone(),
        Outcome::Skipped(why) => format!("nothing: {why}"),
        Outcome::TimedOut => "a time-out".to_owned(),
    }
}
