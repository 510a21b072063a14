//! What a scenario refers to has to exist when it is referred to, and the scenario has to be able to end.

use std::collections::BTreeSet;

use super::{
    block::ReadBlock,
    file::Declared,
    never::{self, Doings},
    process::ReadProcess,
    start_order,
    step::{ReadOp, ReadStep},
};
use crate::{
    diagnostics::Problem,
    plan::{ConductOp, KeyRef, Op, Order, Role, SignalOp, Start, UpcallOp},
};

/// Checks everything that needs more than one place to be seen. Gives the order in which processes are set up.
pub(super) fn check(
    processes: &[ReadProcess],
    blocks: &[ReadBlock],
    declared: &Declared,
    deadline_ms: u64,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    // What a faulty process or step would have declared is missing only because of the fault.
    let none = BTreeSet::new();
    let forgiven = if problems.is_empty() { &none } else { &declared.others };
    let earlier = problems.len();
    let order = start_order::order(processes, forgiven, problems);
    let steps: Vec<&ReadStep> = blocks.iter().flat_map(|block| &block.steps).collect();
    let mut story = Story {
        processes,
        forgiven,
        started: BTreeSet::new(),
        ended: BTreeSet::new(),
        stopped: BTreeSet::new(),
        variables: BTreeSet::new(),
        jobs: BTreeSet::new(),
        later: steps.iter().filter_map(|step| step.step.save.as_deref()).collect(),
        doings: Doings::of(processes, &steps),
    };
    for &index in &order {
        if processes[index].process.start == Start::First {
            story.start(&processes[index], problems);
        }
    }
    for block in blocks {
        race(block, problems);
        // What a round leaves behind may be in the way of the next.
        for _ in 0..block.repeat.min(2) {
            story.round(block, deadline_ms, problems);
        }
    }
    let mut found = problems.split_off(earlier);
    while let Some(problem) = (!found.is_empty()).then(|| found.remove(0)) {
        if !problems[earlier..].contains(&problem) {
            problems.push(problem);
        }
    }
    order
}

/// What is there at some point of the scenario.
struct Story<'s> {
    processes: &'s [ReadProcess],
    /// Names that are not missed.
    forgiven: &'s BTreeSet<String>,
    started: BTreeSet<&'s str>,
    ended: BTreeSet<&'s str>,
    stopped: BTreeSet<&'s str>,
    variables: BTreeSet<&'s str>,
    jobs: BTreeSet<&'s str>,
    /// Variables that some step stores, now or later.
    later: BTreeSet<&'s str>,
    /// What anybody does at any time.
    doings: Doings<'s>,
}

/// Whether the steps of a block can race.
fn race(block: &ReadBlock, problems: &mut Vec<Problem>) {
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
        if matches!(step.step.op, Op::Conduct(_)) {
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

impl<'s> Story<'s> {
    fn start(&mut self, process: &'s ReadProcess, problems: &mut Vec<Problem>) {
        self.started.insert(&process.process.name);
        for name in &process.holds {
            self.variable(name.get_ref(), &name.span(), problems);
        }
        for (op, setup) in process.setup.iter().zip(&process.process.setup) {
            self.refers(op, problems);
            self.variables.extend(setup.save.as_deref());
        }
        // What `serves` registers comes last.
        self.variables.extend(process.process.setup.iter().filter_map(|setup| setup.save.as_deref()));
        // A reaction runs when an upcall comes, and may name what a step stores before that.
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

    fn round(&mut self, block: &'s ReadBlock, deadline_ms: u64, problems: &mut Vec<Problem>) {
        for step in &block.steps {
            self.tell(step, deadline_ms, problems);
            if block.order == Order::Given {
                self.aftermath(step);
            }
        }
        // What is raced happens to none before the others have begun.
        if block.order == Order::Raced {
            block.steps.iter().for_each(|step| self.aftermath(step));
        }
    }

    fn tell(&mut self, step: &'s ReadStep, deadline_ms: u64, problems: &mut Vec<Problem>) {
        let told = self.processes.iter().find(|process| process.process.name == step.step.process);
        if let Some(process) = told {
            self.able(process, step, problems);
        }
        self.refers(&step.op, problems);
        self.resumes(step, problems);
        for name in &step.expected_keys {
            self.variable(name.get_ref(), &name.span(), problems);
        }
        if let Some(at_least) = step.expectation.at_least_ms.filter(|at_least| *at_least >= deadline_ms) {
            problems.push(
                Problem::new(step.op.place.clone(), format!("this can't take {at_least} ms"))
                    .with_help(format!("the whole scenario has deadline_ms = {deadline_ms}")),
            );
        }
        if let Some(process) = told
            && let Some(problem) = never::answered(process, step, self.processes, &self.doings)
        {
            problems.push(problem);
        }
        if let (Some(process), Op::Conduct(ConductOp::Start {})) = (told, &step.step.op) {
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

    /// Whether the process can do this, at this point.
    fn able(&self, process: &ReadProcess, step: &ReadStep, problems: &mut Vec<Problem>) {
        let name = process.process.name.as_str();
        let mut refuse = |message: String, help: &str| {
            problems.push(Problem::new(step.op.place.clone(), message).with_help(help));
        };
        match &step.step.op {
            Op::Conduct(ConductOp::Start {}) if self.started.contains(name) => {
                refuse(format!("`{name}` has already started"), "say start = \"step\" in [process.…]");
            }
            Op::Conduct(ConductOp::Start {})
            | Op::Conduct(ConductOp::Reap {})
            | Op::Conduct(ConductOp::Await { .. }) => {}
            _ if !self.started.contains(name) => {
                refuse(format!("`{name}` has not started"), "add a step with `start = {}` before");
            }
            Op::Conduct(ConductOp::Wait { until, .. }) => {
                if let Some((message, help)) = never::comes_true(until, process, self.processes, &self.doings)
                {
                    refuse(message, help);
                }
            }
            _ if self.ended.contains(name) => {
                refuse(format!("`{name}` has ended: this would wait for ever"), "let another process do it");
            }
            _ if self.stopped.contains(name) => {
                refuse(format!("`{name}` is stopped: this would wait for ever"), "send it SIGCONT before");
            }
            Op::Upcall(UpcallOp::Answer { .. }) | Op::Upcall(UpcallOp::Deny { .. })
                if !matches!(process.process.role, Role::Keyagent(_)) =>
            {
                refuse(format!("`{name}` is no keyagent"), "say role = \"keyagent\"");
            }
            _ => {}
        }
    }

    fn resumes(&self, step: &ReadStep, problems: &mut Vec<Problem>) {
        if let Op::Signal(SignalOp::Signal { to, signal }) = &step.step.op
            && signal == "SIGCONT"
            && self.started.contains(to.as_str())
            && !self.stopped.contains(to.as_str())
        {
            let problem = Problem::new(step.op.place.clone(), format!("`{to}` is not stopped here"));
            problems.push(problem.with_help("send it SIGSTOP before, or leave this out"));
        }
    }

    fn refers(&self, op: &ReadOp, problems: &mut Vec<Problem>) {
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

    fn variable(&self, name: &str, place: &std::ops::Range<usize>, problems: &mut Vec<Problem>) {
        let targets = |process: &&str| matches!(self.role(process), Some(Role::Keyagent(_)));
        let is_target = name.strip_suffix(".target").filter(targets).is_some();
        if self.variables.contains(name) || self.forgiven.contains(name) || is_target {
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

    fn aftermath(&mut self, step: &'s ReadStep) {
        match &step.step.op {
            op if op.ends_its_process() => {
                self.ended.insert(&step.step.process);
            }
            Op::Signal(SignalOp::Signal { to, signal }) if signal == "SIGKILL" => {
                self.ended.insert(to);
            }
            Op::Signal(SignalOp::Signal { to, signal }) if signal == "SIGSTOP" => {
                self.stopped.insert(to);
            }
            Op::Signal(SignalOp::Signal { to, signal }) if signal == "SIGCONT" => {
                self.stopped.remove(to.as_str());
            }
            _ => {}
        }
    }
}
