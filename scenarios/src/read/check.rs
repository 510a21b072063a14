//! What a scenario refers to has to exist when it is referred to, and the scenario has to be able to end.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{
    file::Declared,
    process::ReadProcess,
    step::{ReadOp, ReadStep},
};
use crate::{
    diagnostics::Problem,
    plan::{Condition, ConductOp, Hears, KeyRef, LifeOp, Namespace, Op, Role, SignalOp, Start, UpcallOp},
};

/// Checks everything that needs more than one place to be seen. Gives the order in which processes are set up.
pub(super) fn check(
    processes: &[ReadProcess],
    steps: &[ReadStep],
    declared: &Declared,
    deadline_ms: u64,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    // What a faulty process or step would have declared is missing only because of the fault.
    let none = BTreeSet::new();
    let forgiven = if problems.is_empty() { &none } else { &declared.others };
    let order = order(processes, forgiven, problems);
    let mut story = Story {
        processes,
        forgiven,
        started: BTreeSet::new(),
        ended: BTreeSet::new(),
        stopped: BTreeSet::new(),
        variables: BTreeSet::new(),
        jobs: BTreeSet::new(),
        later: steps.iter().filter_map(|step| step.step.save.as_deref()).collect(),
    };
    for &index in &order {
        if processes[index].process.start == Start::First {
            story.start(&processes[index], problems);
        }
    }
    for step in steps {
        story.tell(step, deadline_ms, problems);
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

    fn tell(&mut self, step: &'s ReadStep, deadline_ms: u64, problems: &mut Vec<Problem>) {
        let told = self.processes.iter().find(|process| process.process.name == step.step.process);
        if let Some(process) = told {
            self.able(process, step, problems);
        }
        self.refers(&step.op, problems);
        for name in &step.expected_keys {
            self.variable(name.get_ref(), &name.span(), problems);
        }
        if let Some(at_least) = step.expectation.at_least_ms.filter(|at_least| *at_least >= deadline_ms) {
            problems.push(
                Problem::new(step.op.place.clone(), format!("this can't take {at_least} ms"))
                    .with_help(format!("the whole scenario has deadline_ms = {deadline_ms}")),
            );
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
        self.aftermath(step);
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
                if let Some((message, help)) = never(until, process) {
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
            Op::Life(LifeOp::Exit { .. }) => {
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

/// Why a condition can't come true.
fn never(until: &Condition, process: &ReadProcess) -> Option<(String, &'static str)> {
    let name = &process.process.name;
    let hears = match &process.process.role {
        Role::Keyagent(agent) => Some(agent.hears),
        _ => None,
    };
    match (until, hears) {
        (Condition::Upcalls(_), None) => {
            Some((format!("`{name}` is no keyagent and gets no upcalls"), "say role = \"keyagent\""))
        }
        (Condition::Upcalls(_), Some(Hears::Nothing)) => {
            Some((format!("`{name}` does not listen for upcalls"), "wait for { signals = 1 } instead"))
        }
        (Condition::Signals(_), Some(Hears::Signal)) => Some((
            format!("`{name}` takes its signals at once"),
            "wait for { upcalls = 1 }, or say hears = \"nothing\"",
        )),
        _ => None,
    }
}

/// Every process after those that it refers to, else as in the file.
fn order(processes: &[ReadProcess], forgiven: &BTreeSet<String>, problems: &mut Vec<Problem>) -> Vec<usize> {
    let mut sorting = Sorting { processes, forgiven, order: Vec::new(), open: Vec::new() };
    for index in 0..processes.len() {
        sorting.visit(index, problems);
    }
    sorting.order
}

struct Sorting<'s> {
    processes: &'s [ReadProcess],
    forgiven: &'s BTreeSet<String>,
    order: Vec<usize>,
    open: Vec<usize>,
}

impl Sorting<'_> {
    fn visit(&mut self, index: usize, problems: &mut Vec<Problem>) {
        if self.order.contains(&index) {
            return;
        }
        self.open.push(index);
        for name in self.needs(index, problems) {
            let Some(other) =
                self.processes.iter().position(|process| process.process.name == *name.get_ref())
            else {
                if !self.forgiven.contains(name.get_ref()) {
                    let known = self.processes.iter().map(|process| process.process.name.as_str());
                    let problem = Problem::new(name.span(), format!("no process `{}`", name.get_ref()));
                    problems.push(problem.with_names(name.get_ref(), known));
                }
                continue;
            };
            if self.open.contains(&other) {
                problems
                    .push(Problem::new(name.span(), "these processes wait for each other to start").with_help(
                    "processes start one after another: `parent`, `join` and `holds` can't go in a circle",
                ));
            } else {
                self.visit(other, problems);
            }
        }
        self.open.pop();
        self.order.push(index);
    }

    /// The processes that have to start before this one.
    fn needs(&self, index: usize, problems: &mut Vec<Problem>) -> Vec<Spanned<String>> {
        let process = &self.processes[index];
        let mut needs = process.processes.clone();
        let setup_keys = process.setup.iter().flat_map(|op| &op.keys);
        for (key, place) in setup_keys {
            match key {
                KeyRef::Of(name, _) => needs.push(Spanned::new(place.clone(), name.clone())),
                KeyRef::Variable(name) => needs.extend(self.maker(name, place, index)),
                _ => {}
            }
        }
        needs.extend(process.holds.iter().filter_map(|name| self.maker(name.get_ref(), &name.span(), index)));
        if process.process.unshare.contains(&Namespace::User) && process.process.uid_map.is_empty() {
            problems.push(Problem::new(process.name.clone(), "a user namespace needs a uid_map"));
        }
        needs
    }

    /// The process whose set-up stores this variable.
    fn maker(&self, variable: &str, place: &std::ops::Range<usize>, not: usize) -> Option<Spanned<String>> {
        let stores = |process: &ReadProcess| {
            process.process.setup.iter().any(|setup| setup.save.as_deref() == Some(variable))
        };
        self.processes
            .iter()
            .enumerate()
            .find(|(index, process)| *index != not && stores(process))
            .map(|(_, process)| Spanned::new(place.clone(), process.process.name.clone()))
    }
}
