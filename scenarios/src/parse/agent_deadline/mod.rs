//! Check of the time limits of steps that expect ETIMEDOUT at an agent's deadline (R19).
//!
//! Without a lower bound at the deadline such a step passes when the kernel gives up at once.
//! Without an upper bound it passes when the kernel takes another deadline than the agent's.

use std::collections::{BTreeMap, BTreeSet};

use super::{block::ParsedBlock, process::ParsedProcess, step::ParsedStep};
use crate::{
    diagnostics::Problem,
    plan::{Op, Registration},
    scenario::Expect,
};

/// The file below /proc/sys with the default deadline of agents, and its value on a kernel that has
/// just booted.
const SYSCTL: &str = "kernel/keys/keyagent_timeout_ms";
const DEFAULT_MS: u64 = 10_000;

/// Largest advance of a deadline by the requester's clock. The kernel counts it in ticks, of which
/// a guest has at least a hundred a second.
const TICK_MS: u64 = 10;

/// Checks the bounds of every step that expects ETIMEDOUT of a request.
pub(super) fn check(
    processes: &[ParsedProcess],
    blocks: &[ParsedBlock],
    sysctl: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) {
    let steps: Vec<&ParsedStep> = blocks.iter().flat_map(|block| &block.steps).collect();
    if ops(processes, &steps).any(|(_, op)| rejects_so(op)) {
        return;
    }
    let default_ms = sysctl.get(SYSCTL).and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_MS);
    let mut pending = BTreeSet::new();
    for step in &steps {
        let Op::Request { kind, description, callout: Some(_), .. } = step.step.op.core() else {
            continue;
        };
        // A later request for a pending key ends with the first request.
        let joins = pending.contains(&(kind, description));
        if step.background.is_some() {
            pending.insert((kind, description));
        }
        if joins || step.expectation.outcome != Expect::Error("ETIMEDOUT".to_owned()) {
            continue;
        }
        let asker = processes.iter().find(|process| process.process.name == step.step.process);
        let agents = agents(kind, asker, processes, &steps, default_ms);
        if let Some((agent, deadline_ms)) = agents.into_iter().min_by_key(|(_, ms)| *ms) {
            problems.extend(wrong_bounds(step, agent, deadline_ms, default_ms));
        }
    }
}

fn ops<'s>(
    processes: &'s [ParsedProcess],
    steps: &'s [&'s ParsedStep],
) -> impl Iterator<Item = (&'s str, &'s Op)> {
    let own = processes
        .iter()
        .flat_map(|process| process.process.ops().map(|op| (process.process.name.as_str(), op.core())));
    own.chain(steps.iter().map(|step| (step.step.process.as_str(), step.step.op.core())))
}

/// Returns true for an agent's own ETIMEDOUT, which comes when the agent chooses.
fn rejects_so(op: &Op) -> bool {
    matches!(
        op,
        Op::Reject { error, .. } | Op::Deny { error, .. }
            if error == "ETIMEDOUT"
    )
}

/// Returns the agents that may get the request, each with its deadline. These are the agents whose
/// keys the requester holds, or if there are none, all for the type. An agent whose payload is
/// given as raw bytes is left out.
fn agents<'s>(
    kind: &str,
    asker: Option<&ParsedProcess>,
    processes: &'s [ParsedProcess],
    steps: &'s [&'s ParsedStep],
    default_ms: u64,
) -> Vec<(&'s str, u64)> {
    let deadline = |op: &Op| match op {
        Op::Register { kind: served, with, .. } if served == kind => match with {
            Registration::Signal { .. } => Some(default_ms),
            Registration::Params { params } if params.timeout_ms == 0 => Some(default_ms),
            Registration::Params { params } => Some(params.timeout_ms.into()),
            Registration::Raw { .. } => None,
        },
        _ => None,
    };
    let holds = |key: &Option<String>| {
        asker.zip(key.as_ref()).is_some_and(|(asker, key)| asker.process.session_keys.contains(key))
    };
    let set_up = processes
        .iter()
        .flat_map(|process| process.process.setup.iter().map(|setup| (process.process.name.as_str(), setup)));
    let held: Vec<_> = set_up
        .filter(|(_, setup)| holds(&setup.save))
        .filter_map(|(name, setup)| Some((name, deadline(setup.op.core())?)))
        .collect();
    if !held.is_empty() {
        return held;
    }
    ops(processes, steps).filter_map(|(name, op)| Some((name, deadline(op)?))).collect()
}

fn wrong_bounds(step: &ParsedStep, agent: &str, deadline_ms: u64, default_ms: u64) -> Vec<Problem> {
    let problem = |message: &str, help: String| {
        let message = format!("{message}: the deadline of `{agent}` is {deadline_ms} ms");
        Problem::new(step.op.place.clone(), message).with_help(help)
    };
    let least = deadline_ms.saturating_sub(TICK_MS);
    let early = step.expectation.at_least_ms.is_none_or(|bound| bound < least).then(|| {
        let message = "this may end with ETIMEDOUT too early";
        problem(
            message,
            format!("say at_least_ms = {least}: the deadline, less a tick of the kernel's clock"),
        )
    });
    // If the agent's own deadline is the longer one, any longer bound is sufficient.
    let other_ms = Some(default_ms).filter(|other| *other > deadline_ms);
    let is_bound = |bound: u64| bound > deadline_ms && other_ms.is_none_or(|other| bound < other);
    let late = (!step.expectation.within_ms.is_some_and(is_bound)).then(|| {
        let below = other_ms.map(|other| format!(" and less than {other}, which agents have by default"));
        let help = format!("say within_ms, with more than {deadline_ms}{}", below.unwrap_or_default());
        problem("this may end with ETIMEDOUT too late", help)
    });
    early.into_iter().chain(late).collect()
}

#[cfg(test)]
mod tests;
