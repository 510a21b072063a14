//! Validation of a scenario: names must exist when used, and every step must be able to end.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{
    block::ParsedBlock,
    declared::Declared,
    liveness::{self, Effects},
    process::ParsedProcess,
    start_order,
    step::{ParsedOp, ParsedStep},
};
use crate::{
    diagnostics::Problem,
    plan::{Group, KeyRef, Op, Order, Role, Start},
};

/// Checks the references between parts of a file. Returns the order in which processes are set up.
pub(super) fn check(
    processes: &[ParsedProcess],
    blocks: &[ParsedBlock],
    declared: &Declared,
    deadline_ms: u64,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    // A name that a faulty process or step declares is not reported as missing.
    let none = BTreeSet::new();
    let forgiven = if problems.is_empty() { &none } else { &declared.others };
    let earlier = problems.len();
    let order = start_order::order(processes, forgiven, problems);
    let steps: Vec<&ParsedStep> = blocks.iter().flat_map(|block| &block.steps).collect();
    let mut state = ScenarioState {
        processes,
        forgiven,
        started: BTreeSet::new(),
        ended: BTreeSet::new(),
        stopped: BTreeSet::new(),
        variables: BTreeSet::new(),
        jobs: BTreeSet::new(),
        later: steps.iter().filter_map(|step| step.step.save.as_deref()).collect(),
        effects: Effects::of(processes, &steps),
    };
    for &index in &order {
        if processes[index].process.start == Start::First {
            state.start(&processes[index], problems);
        }
    }
    for block in blocks {
        check_race(block, problems);
        // The results of a round may conflict with the next.
        for _ in 0..block.repeat.min(2) {
            state.round(block, deadline_ms, problems);
        }
    }
    for problem in problems.split_off(earlier) {
        if !problems[earlier..].contains(&problem) {
            problems.push(problem);
        }
    }
    order
}

/// State of the scenario between two steps.
struct ScenarioState<'s> {
    processes: &'s [ParsedProcess],
    /// Names that are not reported as missing.
    forgiven: &'s BTreeSet<String>,
    started: BTreeSet<&'s str>,
    ended: BTreeSet<&'s str>,
    stopped: BTreeSet<&'s str>,
    variables: BTreeSet<&'s str>,
    jobs: BTreeSet<&'s str>,
    /// Variables that some step stores, now or later.
    later: BTreeSet<&'s str>,
    effects: Effects<'s>,
}

/// Reports steps that can't be raced.
fn check_race(block: &ParsedBlock, problems: &mut Vec<Problem>) {
    if block.order != Order::Raced {
        return;
    }
    for (index, step) in block.steps.iter().enumerate() {
        let mut refuse = |message: String, help: &str| {
            problems.push(Problem::new(step.op.place.clone(), message).with_help(help));
        };
        let name = &step.step.process;
        if block.steps[..index].iter().any(|other| other.step.process == *name) {
            refuse(format!("`{name}` can't do two things at the same moment"), "let another process do it");
        }
        if step.step.op.group() == Group::Control {
            refuse("only what processes do can be raced".to_owned(), "put it before or after");
        }
        if step.background.is_some() {
            refuse(
                "a background step can't be raced".to_owned(),
                "begin it before, or leave `background` out",
            );
        }
    }
}

impl<'s> ScenarioState<'s> {
    fn start(&mut self, process: &'s ParsedProcess, problems: &mut Vec<Problem>) {
        self.started.insert(&process.process.name);
        for name in &process.session_keys {
            self.session_key(name, problems);
        }
        for (op, setup) in process.setup.iter().zip(&process.process.setup) {
            self.check_references(op, problems);
            self.variables.extend(setup.save.as_deref());
        }
        // The registrations of `serves` come last.
        self.variables.extend(process.process.setup.iter().filter_map(|setup| setup.save.as_deref()));
        // A reaction runs at an upcall, and may use a name that a step stores before that.
        for op in &process.reactions {
            for (key, place) in &op.keys {
                if let KeyRef::Variable(name) = key
                    && !self.later.contains(name.as_str())
                {
                    self.variable(name, place, problems);
                }
            }
        }
    }

    fn round(&mut self, block: &'s ParsedBlock, deadline_ms: u64, problems: &mut Vec<Problem>) {
        for step in &block.steps {
            self.visit(step, deadline_ms, problems);
            if block.order == Order::Given {
                self.apply(step);
            }
        }
        // The effects of raced steps come after the beginning of all of them.
        if block.order == Order::Raced {
            block.steps.iter().for_each(|step| self.apply(step));
        }
    }

    fn visit(&mut self, step: &'s ParsedStep, deadline_ms: u64, problems: &mut Vec<Problem>) {
        let process = self.processes.iter().find(|process| process.process.name == step.step.process);
        if let Some(process) = process {
            self.check_able(process, step, problems);
        }
        self.check_references(&step.op, problems);
        self.check_resume(step, problems);
        for name in &step.expected_keys {
            self.variable(name.get_ref(), &name.span(), problems);
        }
        if let Some(at_least) = step.expectation.at_least_ms.filter(|at_least| *at_least >= deadline_ms) {
            problems.push(
                Problem::new(step.op.place.clone(), format!("this can't take {at_least} ms"))
                    .with_help(format!("the whole scenario has deadline_ms = {deadline_ms}")),
            );
        }
        if let Some(process) = process
            && let Some(problem) = liveness::never_returns(process, step, self.processes, &self.effects)
        {
            problems.push(problem);
        }
        if let (Some(process), Op::Start {}) = (process, &step.step.op) {
            self.start(process, problems);
        }
        self.variables.extend(step.step.save.as_deref());
        if let Some(name) = &step.background
            && !self.jobs.insert(name.get_ref())
        {
            problems.push(Problem::new(
                name.span(),
                format!("there already is a background step `{}`", name.get_ref()),
            ));
        }
    }

    /// Reports an operation that the process can't carry out in this state.
    fn check_able(&self, process: &ParsedProcess, step: &ParsedStep, problems: &mut Vec<Problem>) {
        let name = process.process.name.as_str();
        let mut refuse = |message: String, help: &str| {
            problems.push(Problem::new(step.op.place.clone(), message).with_help(help));
        };
        match &step.step.op {
            Op::Start {} if self.started.contains(name) => {
                refuse(format!("`{name}` has already started"), "say start = \"step\" in [process.…]");
            }
            Op::Start {} | Op::Reap {} | Op::Await { .. } => {}
            _ if !self.started.contains(name) => {
                refuse(format!("`{name}` has not started"), "add a step with `start = {}` before");
            }
            Op::Wait { until, .. } => {
                if let Some((message, help)) =
                    liveness::never_true(until, process, self.processes, &self.effects)
                {
                    refuse(message, help);
                }
            }
            _ if process.is_program() => refuse(
                format!("`{name}` is a program, which takes no steps"),
                "let another process do it; for a program, there are `start`, `wait` and `reap`",
            ),
            _ if self.ended.contains(name) => {
                refuse(format!("`{name}` has ended: this would wait for ever"), "let another process do it");
            }
            _ if self.stopped.contains(name) => {
                refuse(format!("`{name}` is stopped: this would wait for ever"), "send it SIGCONT before");
            }
            Op::Answer { .. } | Op::Deny { .. } if !matches!(process.process.role, Role::Keyagent(_)) => {
                refuse(format!("`{name}` is no keyagent"), "say serves = \"TYPE\"");
            }
            _ => {}
        }
    }

    fn check_resume(&self, step: &ParsedStep, problems: &mut Vec<Problem>) {
        if let Op::Signal { to, signal } = &step.step.op
            && signal == "SIGCONT"
            && self.started.contains(to.as_str())
            && !self.stopped.contains(to.as_str())
        {
            let problem = Problem::new(step.op.place.clone(), format!("`{to}` is not stopped here"));
            problems.push(problem.with_help("send it SIGSTOP before, or leave this out"));
        }
    }

    fn check_references(&self, op: &ParsedOp, problems: &mut Vec<Problem>) {
        for (key, place) in &op.keys {
            match key {
                KeyRef::Variable(name) => self.variable(name, place, problems),
                KeyRef::Of(process, _) => self.process(process, place, problems),
                KeyRef::Serial(_) => problems.push(
                    Problem::new(place.clone(), "a scenario can't know serials")
                        .with_help("store one with `as`, and say its name"),
                ),
                _ => {}
            }
        }
        if let Some(name) = op.receiver.as_ref().filter(|name| !self.jobs.contains(name.get_ref().as_str())) {
            self.process(name.get_ref(), &name.span(), problems);
        }
        if let Some(name) = &op.job
            && !self.jobs.contains(name.get_ref().as_str())
            && !self.forgiven.contains(name.get_ref())
        {
            problems.push(
                Problem::new(name.span(), format!("no background step `{}` has begun here", name.get_ref()))
                    .with_names(name.get_ref(), self.jobs.iter().copied()),
            );
        }
    }

    /// A target is lent to nobody: it exists only once an upcall has come.
    fn session_key(&self, name: &Spanned<String>, problems: &mut Vec<Problem>) {
        let text = name.get_ref().as_str();
        if self.is_target(text) && !self.variables.contains(text) {
            let message = format!("`{text}` can't be there from the start: an upcall creates it");
            problems.push(
                Problem::new(name.span(), message).with_help("let a step link it after the upcall has come"),
            );
        } else {
            self.variable(text, &name.span(), problems);
        }
    }

    fn is_target(&self, name: &str) -> bool {
        let agent = name.strip_suffix(".target");
        agent.is_some_and(|agent| matches!(self.role(agent), Some(Role::Keyagent(_))))
    }

    fn variable(&self, name: &str, place: &std::ops::Range<usize>, problems: &mut Vec<Problem>) {
        if self.variables.contains(name) || self.forgiven.contains(name) || self.is_target(name) {
            return;
        }
        let problem = Problem::new(place.clone(), format!("no key is called `{name}` here"));
        problems.push(if self.later.contains(name) {
            problem.with_help("a later step stores it")
        } else {
            problem.with_names(name, self.variables.iter().copied())
        });
    }

    fn role(&self, name: &str) -> Option<&Role> {
        self.processes
            .iter()
            .find(|process| process.process.name == name)
            .map(|process| &process.process.role)
    }

    fn process(&self, name: &str, place: &std::ops::Range<usize>, problems: &mut Vec<Problem>) {
        if !self.processes.iter().any(|process| process.process.name == name) && !self.forgiven.contains(name)
        {
            let known = self.processes.iter().map(|process| process.process.name.as_str());
            problems
                .push(Problem::new(place.clone(), format!("no process `{name}`")).with_names(name, known));
        }
    }

    fn apply(&mut self, step: &'s ParsedStep) {
        match &step.step.op {
            op if op.ends_its_process() => {
                self.ended.insert(&step.step.process);
            }
            Op::Signal { to, signal } if signal == "SIGKILL" => {
                self.ended.insert(to);
            }
            Op::Signal { to, signal } if signal == "SIGSTOP" => {
                self.stopped.insert(to);
            }
            Op::Signal { to, signal } if signal == "SIGCONT" => {
                self.stopped.remove(to.as_str());
            }
            _ => {}
        }
    }
}
