//! Normalised trace of a run: equal runs give equal text, regardless of the order of events.
//!
//! Events arrive in the order of a race. In the trace each event is placed at its cause. An action
//! of a process follows the step that triggered it, and an upcall follows the step whose request
//! raised it. Within one cause the order is the process's own, which no race can change. Between
//! causes it is the scenario's order. Serials and pids become names, and workers with equal results
//! become one line.

mod event;
mod fold;
mod line;
mod names;
mod op;
mod outcome;
mod process;
pub(crate) mod resolve;
mod upcalls;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    plan::{Block, Condition, KeyRef, Op, Order, Plan, Process, Role, Step},
    scenario::{Expect, Expectation, Scenario},
    wire::{Ending, Event, EventKind, Outcome, Value},
};

pub use event::describe_event;
use fold::Fold;
pub use line::Line;
use names::Names;
use outcome::ended;
pub(crate) use process::command_line;
use upcalls::{Upcall, Upcalls};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pub lines: Vec<Line>,
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(Line::to_string).collect();
        out.write_str(&lines.join("\n"))
    }
}

/// Program that the kernel runs for a requester without an agent. It reports under its own name.
pub(crate) const STOCK_UPCALL: &str = "/sbin/request-key";

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

    /// Parses the trace of a plan in a snapshot.
    pub(crate) fn parse(plan: &Plan, text: &str) -> Self {
        let processes = plan.processes.iter().map(|process| process.name.as_str());
        Self { lines: line::parse(text, &processes.chain([STOCK_UPCALL]).collect::<Vec<_>>()) }
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
        let mut lines: Vec<Line> =
            plan.sysctl.iter().map(|(file, value)| Line::Heading(format!("{file} is {value}"))).collect();
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

impl Renderer<'_> {
    /// Writes a process and its set-up.
    fn process(&self, process: &Process, lines: &mut Vec<Line>) {
        lines.push(Line::Heading(format!("{} is {}", process.name, process::of(process))));
        let calls = self.of_setup(&process.name).filter_map(Event::call);
        lines.extend(calls.map(|(op, outcome)| self.call(&process.name, op, outcome)));
    }

    fn of_setup<'e>(&'e self, process: &'e str) -> impl Iterator<Item = &'e Event> {
        self.events.iter().filter(move |event| event.is_outside_of_steps(process))
    }

    fn of_step(&self, index: usize) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.step == Some(index))
    }

    fn step(&self, index: usize, step: &Step, lines: &mut Vec<Line>) {
        let results = self.results(index, step);
        let op = self.with_authkey(index, &step.op);
        let mut text = op::of(&op, self.names);
        if step.count > 1 {
            text.push_str(&format!(", {} times at once", step.count));
        }
        match self.plan.block_of(index) {
            Some(block) if block.count == 1 && block.repeat > 1 => {
                text.push_str(&format!(", {} times over", block.repeat));
            }
            _ => {}
        }
        if let Some(name) = &step.background {
            text.push_str(&format!(", in the background as {name}"));
        }
        let result = match results.as_slice() {
            [] => Some("no answer".to_owned()),
            [(result, _)] => result.clone(),
            _ => None,
        };
        lines.push(Line::Step { number: index + 1, process: step.process.clone(), text, result });
        lines.extend(self.calls_of_step(index));
        if self.is_open(index) {
            lines.push(Line::Remark("(whether an agent is asked is a race)".to_owned()));
        } else {
            self.push_upcalls(Some(index), lines);
        }
        lines.extend(self.traced(index));
        if results.len() > 1 {
            lines.extend(results.into_iter().map(|(result, count)| Line::Workers { count, result }));
        }
    }

    /// Lines for the calls of a step that makes several.
    fn calls_of_step(&self, index: usize) -> Vec<Line> {
        let calls: Vec<&Event> = self.of_step(index).filter(|event| event.call().is_some()).collect();
        // If several outcomes are allowed, each call is written with those.
        let is_certain = !matches!(self.expected(index), Some(Expect::AnyOf(_)));
        let mut lines = Vec::new();
        let mut rest = calls.as_slice();
        while let [event, others @ ..] = rest {
            let process = event.process.clone();
            let upcall = assumed(event).and_then(|target| self.upcalls.get(&process, target));
            let upcall = upcall.filter(|_| is_certain);
            if let Some(fold) = upcall.and_then(|upcall| self.fold(rest, upcall)) {
                let text = fold.how.sentence(self.names.key(fold.target));
                lines.push(Line::Call { process, text, result: None });
                rest = &rest[fold.calls..];
                continue;
            }
            rest = others;
            let Some((op, outcome)) = event.call() else { continue };
            let result = self.result(index, op, outcome);
            lines.push(Line::Call { process, text: op::of(op, self.names), result });
        }
        lines
    }

    fn expected(&self, index: usize) -> Option<&Expect> {
        self.expectations.get(index).map(|expectation| &expectation.outcome)
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
    fn traced(&self, index: usize) -> impl Iterator<Item = Line> {
        let records = self.of_step(index).filter_map(Event::done).filter_map(|done| match &done.outcome {
            Outcome::Ok(Value::Trace(records)) => Some(records),
            _ => None,
        });
        records.flatten().map(|it| Line::Remark(outcome::traced(it, self.names)))
    }

    /// Returns true if a step is raced and may end in several ways. Then it may or may not cause an
    /// upcall.
    fn is_open(&self, index: usize) -> bool {
        matches!(self.expected(index), Some(Expect::AnyOf(_)))
            && self.plan.block_of(index).is_some_and(|block| block.order == Order::Raced)
    }

    /// Returns the results of a step's workers, each with its number of occurrences.
    fn results(&self, index: usize, step: &Step) -> Vec<(Option<String>, usize)> {
        let mut results: BTreeMap<Option<String>, (usize, BTreeSet<i32>)> = BTreeMap::new();
        for event in self.of_step(index) {
            let (result, key) = match &event.kind {
                EventKind::Done(done) => (self.result(index, &step.op, &done.outcome), done.outcome.serial()),
                EventKind::Ended(ending) => (Some(ended(*ending)), None),
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
        let results = results.into_iter();
        results.map(|(result, (count, keys))| (result.map(|it| several(it, keys.len())), count)).collect()
    }

    /// Returns a step's outcome. Where the scenario allows several outcomes, it names all of them,
    /// since a race decides.
    fn result(&self, index: usize, op: &Op, outcome: &Outcome) -> Option<String> {
        let process = self.plan.steps.get(index).map_or("", |step| &step.process);
        let any_of = match self.expected(index) {
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
            return Some(names.join(" or "));
        }
        outcome::of(process, op, outcome, self.names)
    }

    /// Adds the upcalls that a step has caused. Equal ones are combined, and ordered by their text.
    fn push_upcalls(&self, step: Option<usize>, lines: &mut Vec<Line>) {
        let mut groups: BTreeMap<(usize, Vec<String>), (Vec<Line>, usize)> = BTreeMap::new();
        for upcall in self.upcalls.of_step(step) {
            let lines = self.upcall_lines(upcall);
            let text = lines.iter().map(Line::to_string).collect();
            groups.entry((upcall.depth, text)).or_insert((lines, 0)).1 += 1;
        }
        let op = step.and_then(|index| self.plan.steps.get(index)).map(|step| &step.op);
        let is_tried = matches!(op, Some(Op::EachAllocation { .. }));
        for (of_upcall, count) in groups.into_values() {
            match count {
                1 => lines.extend(of_upcall),
                _ => {
                    let times = (!is_tried).then_some(count);
                    lines.push(Line::Repeated { times, lines: of_upcall });
                }
            }
        }
    }

    /// Returns the lines of an upcall. The request of one worker stands for the requests of all workers.
    fn upcall_lines(&self, upcall: &Upcall) -> Vec<Line> {
        let of_upcall = self.by_upcall.get(&(upcall.agent.as_str(), upcall.target));
        let mut rest = of_upcall.map(Vec::as_slice).unwrap_or_default();
        let mut lines: Vec<Line> = Vec::new();
        let mut received = false;
        while let [event, others @ ..] = rest {
            if let Some(fold) = self.fold(rest, upcall) {
                match lines.last_mut().filter(|_| received && fold.target == upcall.target) {
                    Some(Line::Upcall { completion, .. }) => {
                        *completion = Some(upcall.generalise(&fold.how.clause()));
                    }
                    _ => {
                        let text = upcall.generalise(&fold.how.sentence(self.names.key(fold.target)));
                        lines.push(Line::Call { process: upcall.agent.clone(), text, result: None });
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

    fn of_upcall(&self, event: &Event, upcall: &Upcall) -> Option<Line> {
        let process = upcall.agent.clone();
        match &event.kind {
            EventKind::UpcallSignal(notification) if notification.signal == 0 => {
                Some(Line::Call { process, text: outcome::notified(notification, self.names), result: None })
            }
            EventKind::UpcallSignal(siginfo) => {
                let known = || self.names.process(siginfo.pid, &upcall.agent);
                let from = self.racers(upcall.step, upcall.command.as_deref().unwrap_or_else(known));
                let text = outcome::upcall(siginfo, &from, self.names);
                Some(Line::Upcall { process, text, completion: None })
            }
            EventKind::Called { op, done } => {
                let Line::Call { text, result, .. } = self.call(&process, op, &done.outcome) else {
                    return None;
                };
                let result = result.map(|result| upcall.generalise(&result));
                Some(Line::Call { process, text: upcall.generalise(&text), result })
            }
            _ => None,
        }
    }

    /// Names all requesters of a race in place of one of them: the first one differs from run to
    /// run.
    fn racers(&self, step: Option<usize>, from: &str) -> String {
        let block = step.and_then(|step| self.plan.block_of(step));
        let steps =
            block.filter(|block| block.order == Order::Raced).map(|block| &self.plan.steps[block.steps()]);
        let asks = |step: &&Step| matches!(step.op.core(), Op::Request { .. });
        let racers: Vec<&str> =
            steps.into_iter().flatten().filter(asks).map(|step| step.process.as_str()).collect();
        if racers.contains(&from) { racers.join(" or ") } else { from.to_owned() }
    }

    fn call(&self, process: &str, op: &Op, outcome: &Outcome) -> Line {
        let result = outcome::of(process, op, outcome, self.names);
        Line::Call { process: process.to_owned(), text: op::of(op, self.names), result }
    }

    /// Writes the upcalls that no request of the scenario explains.
    fn unexplained_upcalls(&self, lines: &mut Vec<Line>) {
        let mut unexplained = Vec::new();
        self.push_upcalls(None, &mut unexplained);
        if !unexplained.is_empty() {
            lines.push(Line::Heading("Upcalls without a request of the scenario:".to_owned()));
            lines.append(&mut unexplained);
        }
    }

    /// Writes the exits of processes, except by SIGKILL, which ends every plan, and except the ends of
    /// programs that no step has seen, since they may come after the plan's.
    fn endings(&self, lines: &mut Vec<Line>) {
        let is_program = |process: &Process| matches!(process.role, Role::Program(_));
        let seen = |process: &&Process| !is_program(process) || self.has_seen_end_of(&process.name);
        for process in self.plan.processes.iter().filter(seen) {
            for event in self.of_setup(&process.name) {
                if let EventKind::Ended(ending) = &event.kind
                    && *ending != Ending::Killed(KILL)
                {
                    lines.push(Line::End { process: process.name.clone(), text: ended(*ending) });
                }
            }
        }
    }

    /// Returns true if a step has waited for the end of a process, or has reaped it.
    fn has_seen_end_of(&self, process: &str) -> bool {
        let is_wait = |op: &Op| matches!(op, Op::Wait { until: Condition::Ended, .. } | Op::Reap {});
        let mut steps = self.plan.steps.iter().enumerate();
        steps.any(|(index, step)| {
            let mut outcomes = self.of_step(index).filter_map(Event::done).map(|done| &done.outcome);
            step.process == process
                && is_wait(&step.op)
                && outcomes.any(|outcome| matches!(outcome, Outcome::Ok(_)))
        })
    }
}

/// Heading of a block with several steps.
fn heading(block: &Block) -> Option<Line> {
    let order = match block.order {
        Order::Raced => " at the same moment,",
        Order::Given => "",
    };
    let order = if block.repeat > 1 { order } else { order.trim_end_matches(',') };
    let repeat = if block.repeat > 1 { format!(" {} times over", block.repeat) } else { String::new() };
    let (first, last) = (block.first + 1, block.first + block.count);
    (block.count > 1).then(|| Line::Heading(format!("Steps {first} to {last}{order}{repeat}:")))
}

const KILL: i32 = 9;

/// Returns the target of a call that assumes authority.
fn assumed(event: &Event) -> Option<i32> {
    match event.call() {
        Some((Op::Assume { key: Some(KeyRef::Serial(target)) }, _)) => Some(*target),
        _ => None,
    }
}
