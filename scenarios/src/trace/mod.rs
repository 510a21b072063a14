//! Normalised trace of a run: equal runs give equal text, regardless of the order of events.
//!
//! Events arrive in the order of a race. In the trace each event is placed at its cause. An action
//! of a process follows the step that triggered it, and an upcall follows the step whose request
//! raised it. Within one cause the order is the process's own, which no race can change. Between
//! causes it is the scenario's order. Serials and pids become names, and workers with equal results
//! become one line.

mod event;
mod fold;
mod names;
mod op;
mod outcome;
pub(crate) mod parse;
mod process;
mod resolve;
mod upcalls;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    plan::{Block, KeyRef, Op, Order, Plan, Process, Step},
    scenario::{Expect, Expectation, Scenario},
    wire::{Done, Ending, Event, EventKind, Outcome, Value},
};

pub use event::describe_event;
use fold::Fold;
pub(crate) use fold::{ANSWERS, REJECTS};
use names::Names;
use upcalls::{Upcall, Upcalls};

/// A normalised trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    lines: Vec<String>,
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.lines.join("\n"))
    }
}

impl Trace {
    /// Normalises the events of a scenario. Where it expects one of several errors, the trace names
    /// all of them.
    pub fn of_scenario(scenario: &Scenario, events: &[Event]) -> Self {
        Self::normalised(scenario.plan(), &scenario.expectations, events)
    }

    /// Normalises the events of a plan as they are.
    pub fn of(plan: &Plan, events: &[Event]) -> Self {
        Self::normalised(plan, &[], events)
    }

    fn normalised(plan: &Plan, expectations: &[Expectation], events: &[Event]) -> Self {
        let resolved = resolve::resolved(plan, events);
        let plan = &resolved;
        let upcalls = Upcalls::of(plan, events);
        let names = Names::of(plan, events, &upcalls);
        let mut by_upcall: BTreeMap<(&str, i32), Vec<&Event>> = BTreeMap::new();
        for event in events.iter().filter(|event| event.step.is_none()) {
            if let Some(target) = event.upcall {
                by_upcall.entry((&event.process, target)).or_default().push(event);
            }
        }
        let renderer = Renderer { plan, expectations, events, upcalls: &upcalls, by_upcall, names: &names };
        let mut lines: Vec<String> =
            plan.sysctl.iter().map(|(file, value)| format!("{file} is {value}")).collect();
        for process in &plan.processes {
            renderer.process(process, &mut lines);
        }
        for (index, step) in plan.steps.iter().enumerate() {
            lines.extend(plan.blocks.iter().filter(|block| block.first == index).filter_map(heading));
            renderer.step(index, step, &mut lines);
        }
        renderer.unexplained_upcalls(&mut lines);
        renderer.endings(&mut lines);
        Self { lines }
    }
}

/// Describes an operation, as in `links k into @s`.
pub(crate) fn describe_op(op: &Op) -> String {
    op::of(op, &Names::default())
}

struct Renderer<'t> {
    plan: &'t Plan,
    expectations: &'t [Expectation],
    events: &'t [Event],
    upcalls: &'t Upcalls,
    /// Events of agents, by upcall.
    by_upcall: BTreeMap<(&'t str, i32), Vec<&'t Event>>,
    names: &'t Names,
}

const INDENT: &str = "      ";

impl Renderer<'_> {
    /// Writes a process and its set-up.
    fn process(&self, process: &Process, lines: &mut Vec<String>) {
        lines.push(format!("{} is {}", process.name, process::of(process)));
        for event in self.of_setup(&process.name) {
            if let EventKind::Called { op, done } = &event.kind {
                lines.push(format!("{INDENT}{}", self.call(&process.name, op, done, None)));
            }
        }
    }

    fn of_setup<'e>(&'e self, process: &'e str) -> impl Iterator<Item = &'e Event> {
        self.events
            .iter()
            .filter(move |event| event.process == process && event.step.is_none() && event.upcall.is_none())
    }

    fn step(&self, index: usize, step: &Step, lines: &mut Vec<String>) {
        let results = self.results(index, step);
        let op = self.with_authkey(index, &step.op);
        let mut head = format!("{:>3}.  {} {}", index + 1, step.process, op::of(&op, self.names));
        if step.count > 1 {
            head.push_str(&format!(", {} times at once", step.count));
        }
        match self.plan.block_of(index) {
            Some(block) if block.count == 1 && block.repeat > 1 => {
                head.push_str(&format!(", {} times over", block.repeat));
            }
            _ => {}
        }
        if let Some(name) = &step.background {
            head.push_str(&format!(", in the background as {name}"));
        }
        match results.as_slice() {
            [] => head.push_str(" → no answer"),
            [(result, _)] => head.push_str(result),
            _ => {}
        }
        lines.push(head);
        lines.extend(self.calls_of_step(index).into_iter().map(|line| format!("{INDENT}{line}")));
        if self.is_open(index) {
            lines.push(format!("{INDENT}(whether an agent is asked is a race)"));
        } else {
            self.push_upcalls(Some(index), lines);
        }
        lines.extend(self.traced(index));
        if results.len() > 1 {
            lines.extend(results.iter().map(|(result, count)| format!("{INDENT}{count} ×{result}")));
        }
    }

    /// Lines for the calls of a step that makes several.
    fn calls_of_step(&self, index: usize) -> Vec<String> {
        let of_step = self.events.iter().filter(|event| event.step == Some(index));
        let calls: Vec<&Event> = of_step.filter(|event| called(event).is_some()).collect();
        let outcome = self.expectations.get(index).map(|expectation| &expectation.outcome);
        // If several outcomes are allowed, each call is written with those.
        let is_certain = !matches!(outcome, Some(Expect::AnyOf(_)));
        let mut lines = Vec::new();
        let mut rest = calls.as_slice();
        while let [event, others @ ..] = rest {
            let upcall = assumed(event).and_then(|target| self.upcalls.get(&event.process, target));
            let upcall = upcall.filter(|_| is_certain);
            if let Some(fold) = upcall.and_then(|upcall| self.fold(rest, upcall)) {
                lines.push(format!("{} {}", event.process, fold.how.sentence(self.names.key(fold.target))));
                rest = &rest[fold.calls..];
                continue;
            }
            rest = others;
            let Some((op, outcome)) = called(event) else { continue };
            let result = self.result(index, op, outcome);
            lines.push(format!("{} {}{result}", event.process, op::of(op, self.names)));
        }
        lines
    }

    /// Returns the ordinary completion of the upcall that these calls begin with.
    fn fold(&self, calls: &[&Event], upcall: &Upcall) -> Option<Fold> {
        let of_upcall = self.by_upcall.get(&(upcall.agent.as_str(), upcall.target))?;
        let uid = of_upcall.iter().find_map(|event| match &event.kind {
            EventKind::UpcallSignal(siginfo) if siginfo.signal != 0 => Some(siginfo.uid),
            _ => None,
        })?;
        let generalise = |text: &str| upcall.generalise(text);
        let about = fold::Upcall { asked: upcall.asked.as_ref()?, uid, generalise: &generalise };
        fold::ordinary(calls, &about, self.names)
    }

    /// Returns a step's operation with `@authkey` replaced by the authkey's name.
    fn with_authkey(&self, index: usize, op: &Op) -> Op {
        let mut op = op.clone();
        let Some(target) = resolve::upcall_of(index, self.events) else { return op };
        for key in op.keys_mut().into_iter().filter(|key| **key == KeyRef::Authkey) {
            *key = KeyRef::Variable(self.names.authkey_of(target));
        }
        op
    }

    /// Returns the records of tracepoints, if the step reads them.
    fn traced(&self, index: usize) -> Vec<String> {
        let of_step = self.events.iter().filter(|event| event.step == Some(index));
        let records = of_step.filter_map(|event| match &event.kind {
            EventKind::Done(Done { outcome: Outcome::Ok(Value::Trace(records)), .. }) => Some(records),
            _ => None,
        });
        records.flatten().map(|it| format!("{INDENT}{}", outcome::traced(it, self.names))).collect()
    }

    /// Returns true if a step is raced and may end in several ways. Then it may or may not cause an
    /// upcall.
    fn is_open(&self, index: usize) -> bool {
        let outcome = self.expectations.get(index).map(|expectation| &expectation.outcome);
        matches!(outcome, Some(Expect::AnyOf(_)))
            && self.plan.block_of(index).is_some_and(|block| block.order == Order::Raced)
    }

    /// Returns the results of a step's workers, each with its number of occurrences.
    fn results(&self, index: usize, step: &Step) -> Vec<(String, usize)> {
        let of_step = self.events.iter().filter(|event| event.step == Some(index));
        let mut results: BTreeMap<String, (usize, BTreeSet<i32>)> = BTreeMap::new();
        for event in of_step {
            let (result, key) = match &event.kind {
                EventKind::Done(done) => (self.result(index, &step.op, &done.outcome), serial(&done.outcome)),
                EventKind::Ended(ending) => (format!(" → {}", ended(*ending)), None),
                _ => continue,
            };
            let entry = results.entry(result).or_default();
            entry.0 += 1;
            entry.1.extend(key);
        }
        if self.is_open(index) && results.len() == 1 {
            results.values_mut().for_each(|entry| *entry = (1, BTreeSet::new()));
        }
        // The number of keys of racing workers is significant, although all these keys have one
        // name.
        let several = |result: String, keys: usize| {
            if keys > 1 { format!("{result}, {keys} different keys") } else { result }
        };
        results.into_iter().map(|(result, (count, keys))| (several(result, keys.len()), count)).collect()
    }

    /// Returns a step's outcome. Where the scenario allows several outcomes, it names all of them,
    /// since a race decides.
    fn result(&self, index: usize, op: &Op, outcome: &Outcome) -> String {
        let process = self.plan.steps.get(index).map_or("", |step| &step.process);
        let any_of = match self.expectations.get(index).map(|expectation| &expectation.outcome) {
            Some(Expect::Tries(allowed)) => {
                return outcome::of_tries(process, outcome, allowed, op, self.names);
            }
            Some(Expect::AnyOf(several)) => several.as_slice(),
            _ => &[],
        };
        let is_one = any_of.iter().any(|expect| match (expect, outcome) {
            (Expect::Error(name), Outcome::Error(error)) => name == error,
            (Expect::Ok, Outcome::Ok(_)) | (Expect::TimedOut, Outcome::TimedOut) => true,
            _ => false,
        });
        if is_one {
            let names: Vec<String> = any_of.iter().map(ToString::to_string).collect();
            return format!(" → {}", names.join(" or "));
        }
        outcome::of(process, op, outcome, self.names)
    }

    /// Adds the upcalls that a step has caused. Equal ones are combined.
    fn push_upcalls(&self, step: Option<usize>, lines: &mut Vec<String>) {
        let mut groups: BTreeMap<(usize, Vec<String>), usize> = BTreeMap::new();
        for upcall in self.upcalls.of_step(step) {
            *groups.entry((upcall.depth, self.upcall_lines(upcall))).or_insert(0) += 1;
        }
        let steps = &self.plan.steps;
        let is_tried = step.is_some_and(|index| {
            matches!(steps.get(index).map(|it| &it.op), Some(Op::EachAllocation { .. }))
        });
        for ((_, trace), count) in groups {
            let indent = if count > 1 { "  " } else { "" };
            if count > 1 && is_tried {
                lines.push(format!("{INDENT}again and again:"));
            } else if count > 1 {
                lines.push(format!("{INDENT}{count} times:"));
            }
            lines.extend(trace.into_iter().map(|line| format!("{INDENT}{indent}{line}")));
        }
    }

    fn upcall_lines(&self, upcall: &Upcall) -> Vec<String> {
        let of_upcall = self.by_upcall.get(&(upcall.agent.as_str(), upcall.target));
        let mut rest = of_upcall.map(Vec::as_slice).unwrap_or_default();
        let mut lines: Vec<String> = Vec::new();
        let mut received = false;
        while let [event, others @ ..] = rest {
            if let Some(fold) = self.fold(rest, upcall) {
                match lines.last_mut().filter(|_| received && fold.target == upcall.target) {
                    Some(line) => line.push_str(&upcall.generalise(&fold.how.clause())),
                    None => {
                        let answered = fold.how.sentence(self.names.key(fold.target));
                        lines.push(upcall.generalise(&format!("{} {answered}", upcall.agent)));
                    }
                }
                (rest, received) = (&rest[fold.calls..], false);
                continue;
            }
            rest = others;
            received = matches!(event.kind, EventKind::UpcallSignal(_));
            lines.extend(self.of_upcall(event, upcall));
        }
        lines
    }

    fn of_upcall(&self, event: &Event, upcall: &Upcall) -> Option<String> {
        match &event.kind {
            EventKind::UpcallSignal(siginfo) => {
                let known = || self.names.process(siginfo.pid, &upcall.agent);
                let from = upcall.command.as_deref().unwrap_or_else(known);
                let received = outcome::upcall_signal(siginfo, from, self.names);
                Some(format!("{} {}", upcall.agent, self.first_of_racers(upcall.step, &received)))
            }
            EventKind::Called { op, done } => Some(self.call(&upcall.agent, op, done, Some(upcall))),
            _ => None,
        }
    }

    /// Names all requesters of a race where one of them is named: the first one differs from run to
    /// run.
    fn first_of_racers(&self, step: Option<usize>, received: &str) -> String {
        let block = step.and_then(|step| self.plan.block_of(step));
        let Some(block) = block.filter(|block| block.order == Order::Raced) else {
            return received.to_owned();
        };
        let asks = |step: &&Step| matches!(step.op.core(), Op::Request { .. });
        let racers: Vec<&str> =
            self.plan.steps[block.steps()].iter().filter(asks).map(|step| step.process.as_str()).collect();
        let one = racers.iter().map(|racer| format!(" from {racer},")).find(|one| received.contains(one));
        one.map_or_else(
            || received.to_owned(),
            |one| received.replace(&one, &format!(" from {},", racers.join(" or "))),
        )
    }

    fn call(&self, process: &str, op: &Op, done: &Done, upcall: Option<&Upcall>) -> String {
        let line = format!(
            "{process} {}{}",
            op::of(op, self.names),
            outcome::of(process, op, &done.outcome, self.names)
        );
        // The request of one worker stands for the requests of all workers.
        upcall.map_or_else(|| line.clone(), |upcall| upcall.generalise(&line))
    }

    /// Writes the upcalls that no request of the scenario explains.
    fn unexplained_upcalls(&self, lines: &mut Vec<String>) {
        let mut unexplained = Vec::new();
        self.push_upcalls(None, &mut unexplained);
        if !unexplained.is_empty() {
            lines.push("Upcalls without a request of the scenario:".to_owned());
            lines.append(&mut unexplained);
        }
    }

    /// Writes the exits of processes, except by SIGKILL, which ends every plan.
    fn endings(&self, lines: &mut Vec<String>) {
        for process in &self.plan.processes {
            for event in self.of_setup(&process.name) {
                if let EventKind::Ended(ending) = &event.kind
                    && *ending != Ending::Killed(KILL)
                {
                    lines.push(format!("{} {}", process.name, ended(*ending)));
                }
            }
        }
    }
}

/// Heading of a block with several steps.
fn heading(block: &Block) -> Option<String> {
    let order = match block.order {
        Order::Raced => " at the same moment,",
        Order::Given => "",
    };
    let order = if block.repeat > 1 { order } else { order.trim_end_matches(',') };
    let repeat = if block.repeat > 1 { format!(" {} times over", block.repeat) } else { String::new() };
    let (first, last) = (block.first + 1, block.first + block.count);
    (block.count > 1).then(|| format!("Steps {first} to {last}{order}{repeat}:"))
}

const KILL: i32 = 9;

fn ended(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exits with {code}"),
        Ending::Killed(signal) => format!("is killed by {}", outcome::signal(signal)),
    }
}

/// Returns the call that an event reports, with its outcome.
fn called(event: &Event) -> Option<(&Op, &Outcome)> {
    match &event.kind {
        EventKind::Called { op, done } => Some((op, &done.outcome)),
        _ => None,
    }
}

/// Returns the target of a call that assumes authority.
fn assumed(event: &Event) -> Option<i32> {
    match called(event) {
        Some((Op::Assume { key: Some(KeyRef::Serial(target)) }, _)) => Some(*target),
        _ => None,
    }
}

/// Returns the outcomes of a process's set-up, in order.
fn outcomes_of_setup<'e>(process: &'e str, events: &'e [Event]) -> impl Iterator<Item = &'e Outcome> {
    let own =
        move |event: &&Event| event.process == process && event.step.is_none() && event.upcall.is_none();
    events.iter().filter(own).filter_map(|event| called(event).map(|(_, outcome)| outcome))
}

/// Returns the serial in an outcome, or `None`.
fn serial(outcome: &Outcome) -> Option<i32> {
    match outcome {
        Outcome::Ok(Value::Serial(serial)) => Some(*serial),
        _ => None,
    }
}
