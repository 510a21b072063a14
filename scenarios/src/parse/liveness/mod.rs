//! Liveness check: waits and calls that could never end.

use std::collections::BTreeSet;

use super::{process::ParsedProcess, step::ParsedStep};
use crate::{
    diagnostics::Problem,
    plan::{Condition, Group, Hears, Op, Role},
    scenario::Expect,
};

/// Message and help of a liveness problem.
pub(super) type Reason = (String, &'static str);

/// All operations of a scenario: in steps, set-up and reactions.
pub(super) struct Effects<'s> {
    ops: Vec<(&'s str, &'s Op)>,
    /// Descriptions of keys, once for each request and each addition.
    descriptions: Vec<&'s str>,
    /// True if a step requests a key.
    pub(super) asks: bool,
}

impl<'s> Effects<'s> {
    pub(super) fn of(processes: &'s [ParsedProcess], steps: &[&'s ParsedStep]) -> Self {
        let own = |process: &'s ParsedProcess| {
            process.process.ops().map(|op| (process.process.name.as_str(), op.core()))
        };
        let of_steps = steps.iter().map(|step| (step.step.process.as_str(), step.step.op.core()));
        let ops: Vec<(&str, &Op)> = processes.iter().flat_map(own).chain(of_steps).collect();
        let descriptions = ops.iter().filter_map(|(_, op)| match op {
            Op::Request { description, .. } | Op::Add { description, .. } => Some(description.as_str()),
            _ => None,
        });
        let descriptions = descriptions.collect();
        // A mount may look a name up, and a command may do anything.
        let asks =
            ops.iter().any(|(_, op)| matches!(op, Op::Request { .. } | Op::Mount { .. } | Op::Run { .. }));
        Self { ops, descriptions, asks }
    }

    /// Returns the processes that are sent one of these signals, or any signal if `names` is empty.
    fn signalled(&self, names: &[&str]) -> BTreeSet<&'s str> {
        let signals = self.ops.iter().filter_map(|(_, op)| match op {
            Op::Signal { to, signal } | Op::Forge { to, signal, .. } => {
                (names.is_empty() || names.contains(&signal.as_str())).then_some(to.as_str())
            }
            _ => None,
        });
        signals.collect()
    }

    /// Returns true if no operation can remove an agent's key.
    fn keeps_agents(&self) -> bool {
        self.ops.iter().all(|(_, op)| match op {
            Op::Add { .. }
            | Op::Register { .. }
            | Op::Request { .. }
            | Op::Search { .. }
            | Op::Describe { .. }
            | Op::Read { .. } => true,
            op => matches!(op.group(), Group::Upcall | Group::Inspect | Group::Control),
        })
    }

    /// Returns true if a process runs a command, which may affect any process.
    fn runs_commands(&self) -> bool {
        self.ops.iter().any(|(_, op)| matches!(op, Op::Run { .. }))
    }

    fn may_stop(&self, name: &str) -> bool {
        const STOPPING: [&str; 4] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"];
        self.runs_commands() || self.signalled(&STOPPING).contains(name)
    }

    /// Returns true if the process may end by itself, by a signal, or with processes whose
    /// namespaces it is in.
    fn may_end(&self, name: &str, processes: &[ParsedProcess]) -> bool {
        let mut with: Vec<&str> = vec![name];
        let mut next = 0;
        while let Some(current) = with.get(next).copied() {
            next += 1;
            let process = processes.iter().find(|process| process.process.name == current);
            let above = process.into_iter().flat_map(|process| &process.processes);
            with.extend(
                above
                    .map(|above| above.get_ref().as_str())
                    .filter(|above| !with.contains(above))
                    .collect::<Vec<_>>(),
            );
        }
        let signalled = self.signalled(&[]);
        let exits = |name: &&str| self.ops.iter().any(|(who, op)| who == name && op.ends_its_process());
        self.runs_commands() || with.iter().any(|name| signalled.contains(name) || exits(name))
    }
}

/// Returns a reason if the condition of a `wait` can never become true.
pub(super) fn never_true(
    until: &Condition,
    process: &ParsedProcess,
    processes: &[ParsedProcess],
    effects: &Effects<'_>,
) -> Option<Reason> {
    let name = &process.process.name;
    let hears = match &process.process.role {
        Role::Keyagent(agent) => Some(agent.hears),
        _ => None,
    };
    match (until, hears) {
        (Condition::Upcalls(_), None) => {
            Some((format!("`{name}` is no keyagent and gets no upcalls"), "say serves = \"TYPE\""))
        }
        (Condition::Upcalls(_), Some(Hears::Nothing)) => {
            Some((format!("`{name}` does not listen for upcalls"), "wait for { signals = 1 } instead"))
        }
        (Condition::Upcalls(_), _) if !effects.asks => {
            Some(("nobody asks for a key".to_owned(), "add a step with `request`, in the background, before"))
        }
        (Condition::Signals(_), Some(Hears::Signal)) => Some((
            format!("`{name}` takes its signals at once"),
            "wait for { upcalls = 1 }, or say hears = \"nothing\"",
        )),
        (Condition::Stopped, _) if !effects.may_stop(name) => {
            Some((format!("nobody stops `{name}`"), "send it SIGSTOP before"))
        }
        (Condition::Prints(_), _) if !process.is_program() => Some((
            format!("`{name}` is no program, and prints nothing"),
            "only a process with `program` prints; wait for something else",
        )),
        // A program may end by itself.
        (Condition::Ended, _) if process.is_program() => None,
        (Condition::Ended, _) if !effects.may_end(name, processes) => {
            Some((format!("nobody ends `{name}`"), "let it exit, or send it a signal"))
        }
        _ => None,
    }
}

/// Returns a problem if a step's call can't return, since its agent waits for a later step.
pub(super) fn never_returns(
    process: &ParsedProcess,
    step: &ParsedStep,
    processes: &[ParsedProcess],
    effects: &Effects<'_>,
) -> Option<Problem> {
    match &step.step.op {
        Op::Request { kind, description, callout: Some(_), alarm_ms: None, .. }
            if step.background.is_none()
                && step.expectation.outcome == Expect::Ok
                && effects.keeps_agents() =>
        {
            let agent = only_agent(process, kind, processes)?;
            let holds = |agent: &&ParsedProcess| match &agent.process.role {
                Role::Keyagent(agent) => {
                    agent.reactions.iter().all(Vec::is_empty) && agent.hears != Hears::Nothing
                }
                _ => false,
            };
            let agent = Some(agent).filter(holds)?;
            let once = effects.descriptions.iter().filter(|other| *other == description).count() == 1;
            once.then(|| {
                let name = &agent.process.name;
                let message =
                    format!("`{name}` holds this until a later step, which this one keeps from coming");
                Problem::new(step.op.place.clone(), message).with_help("add background = \"NAME\"")
            })
        }
        Op::Answer { .. } | Op::Deny { .. } if !effects.asks => {
            let message = "there is no upcall to be met: nobody asks for a key";
            let problem = Problem::new(step.op.place.clone(), message);
            Some(problem.with_help("add a step with `request`, in the background, before"))
        }
        _ => None,
    }
}

/// Returns the agent that gets a process's requests for a type, if it is the only candidate.
fn only_agent<'s>(
    asker: &ParsedProcess,
    kind: &str,
    processes: &'s [ParsedProcess],
) -> Option<&'s ParsedProcess> {
    let serves = |agent: &&ParsedProcess| {
        agent
            .process
            .setup
            .iter()
            .any(|setup| matches!(&setup.op, Op::Register { kind: served, .. } if served == kind))
    };
    let mut agents = processes.iter().filter(serves);
    let agent = agents.next().filter(|_| agents.next().is_none())?;
    let held = |setup: &crate::plan::Setup| {
        setup.save.as_ref().is_some_and(|key| asker.process.session_keys.contains(key))
    };
    agent.process.setup.iter().any(held).then_some(agent)
}

#[cfg(test)]
mod tests;
