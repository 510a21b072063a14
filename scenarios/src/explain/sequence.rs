//! Messages of a sequence diagram, extracted from a trace. The kernel has the last lane.

use crate::{
    plan::{Group, Op, Step},
    scenario::Scenario,
    trace::{Line, STOCK_UPCALL, Trace},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The names of the lanes. The last one is the kernel's.
    pub lanes: Vec<String>,
    pub messages: Vec<Message>,
}

/// An entry of the diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The step that begins here.
    pub number: Option<usize>,
    pub placement: Placement,
    pub text: String,
    /// The result, if nothing comes between the call and its return.
    pub answer: Option<String>,
    pub kind: Kind,
}

/// Lanes that an entry concerns, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Nothing,
    At(usize),
    Arrow { from: usize, to: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An operation of a process.
    Action,
    /// A result that comes after other entries.
    Result,
    /// A remark, such as a tracepoint's record.
    Remark,
}

const KERNEL: &str = "kernel";

impl Sequence {
    pub fn of(scenario: &Scenario, trace: &Trace) -> Self {
        let plan = scenario.plan();
        let mut lanes: Vec<String> = plan.processes.iter().map(|process| process.name.clone()).collect();
        let own = lanes.len();
        lanes.extend([STOCK_UPCALL, KERNEL].map(str::to_owned));
        if !trace.lines.iter().any(|line| line.is_by(STOCK_UPCALL)) {
            lanes.remove(own);
        }
        let mut sequence = Self { lanes, messages: Vec::new() };
        let mut late = Vec::new();
        let mut reply: Option<Reply> = None;
        for line in &trace.lines {
            if matches!(line, Line::Step { .. } | Line::Heading(_) | Line::End { .. })
                && let Some(reply) = reply.take()
            {
                if reply.is_late() { late.push(reply) } else { sequence.reply(reply) }
            }
            match line {
                Line::Step { number, process, text, result } => {
                    let step = plan.steps.get(number - 1);
                    reply = Some(sequence.step(*number, step, process, text, result.as_ref()));
                    if let Some(Op::Await { job, .. }) = step.map(|step| &step.op) {
                        let ended = late.extract_if(.., |reply| reply.job.as_ref() == Some(job));
                        ended.for_each(|reply| sequence.reply(reply));
                    }
                }
                Line::End { process, text } => {
                    late.drain(..).for_each(|reply| sequence.reply(reply));
                    sequence.push(None, Placement::At(sequence.find(process)), text, Kind::Action);
                }
                line => sequence.line(line, reply.as_mut()),
            }
        }
        reply.into_iter().chain(late).for_each(|reply| sequence.reply(reply));
        sequence
    }

    pub fn kernel(&self) -> usize {
        self.lanes.len() - 1
    }

    /// Adds a step, and returns its reply, which comes after the lines that belong to the step.
    fn step(
        &mut self,
        number: usize,
        step: Option<&Step>,
        process: &str,
        text: &str,
        result: Option<&String>,
    ) -> Reply {
        let from = self.find(process);
        let to = step.and_then(|step| self.addressee(step)).unwrap_or(from);
        self.push(Some(number), Placement::between(from, to), text, Kind::Action);
        Reply {
            step: number,
            to: from,
            job: step.and_then(|step| step.background.clone()),
            is_completed: false,
            messages: self.messages.len(),
            result: result.cloned(),
            workers: Vec::new(),
        }
    }

    /// Adds a line that belongs to a process or to a step.
    fn line(&mut self, line: &Line, mut reply: Option<&mut Reply>) {
        match line {
            Line::Call { process, text, result } => {
                self.push(None, Placement::between(self.find(process), self.kernel()), text, Kind::Action);
                self.messages.last_mut().into_iter().for_each(|call| call.answer.clone_from(result));
            }
            Line::Upcall { process, text, completion } => {
                let (agent, kernel) = (self.find(process), self.kernel());
                self.push(None, Placement::between(kernel, agent), text, Kind::Action);
                if let Some(completion) = completion {
                    self.push(None, Placement::between(agent, kernel), completion, Kind::Action);
                    reply.into_iter().for_each(|reply| reply.is_completed = true);
                }
            }
            Line::Workers { count, result } => {
                let text =
                    result.iter().fold(format!("{count} ×"), |text, result| format!("{text} {result}"));
                reply.into_iter().for_each(|reply| reply.workers.push(text.clone()));
            }
            Line::Repeated { times, lines } => {
                let text = times.map_or("again and again:".to_owned(), |times| format!("{times} times:"));
                self.push(None, Placement::Nothing, &text, Kind::Remark);
                lines.iter().for_each(|line| self.line(line, reply.as_deref_mut()));
            }
            Line::Remark(text) => self.push(None, Placement::Nothing, text, Kind::Remark),
            Line::Heading(_) | Line::Step { .. } | Line::End { .. } => {}
        }
    }

    /// Returns the lane that a step addresses, or `None` if it concerns its own process only.
    fn addressee(&self, step: &Step) -> Option<usize> {
        match step.op.core() {
            Op::Signal { to, .. } | Op::Forge { to, .. } => self.known(to),
            op => match op.group() {
                Group::Process | Group::Namespace | Group::Control | Group::Suspend | Group::Nested => None,
                _ => Some(self.kernel()),
            },
        }
    }

    /// Adds a reply: in the call's own entry if it comes right after it.
    fn reply(&mut self, reply: Reply) {
        let of_step = if reply.is_late() { format!(" (step {})", reply.step) } else { String::new() };
        let is_beside = self.messages.len() == reply.messages && !reply.is_late();
        match (reply.result, self.messages.last_mut()) {
            (Some(result), Some(call)) if is_beside => call.answer = Some(result),
            (Some(result), _) => {
                let placement = Placement::between(self.kernel(), reply.to);
                self.push(None, placement, &format!("→ {result}{of_step}"), Kind::Result);
            }
            (None, _) => {}
        }
        for result in reply.workers {
            self.push(None, Placement::Nothing, &format!("{result}{of_step}"), Kind::Result);
        }
    }

    fn push(&mut self, number: Option<usize>, placement: Placement, text: &str, kind: Kind) {
        self.messages.push(Message { number, placement, text: text.to_owned(), answer: None, kind });
    }

    fn known(&self, name: &str) -> Option<usize> {
        self.lanes.iter().position(|known| known == name)
    }

    fn find(&self, name: &str) -> usize {
        self.known(name).unwrap_or_else(|| self.kernel())
    }
}

impl Placement {
    fn between(from: usize, to: usize) -> Self {
        if from == to { Self::At(from) } else { Self::Arrow { from, to } }
    }

    pub(crate) fn actor(self) -> Option<usize> {
        match self {
            Self::Nothing => None,
            Self::At(lane) | Self::Arrow { from: lane, .. } => Some(lane),
        }
    }
}

/// The reply to a step that has not been added yet.
struct Reply {
    step: usize,
    /// The lane of the step's process.
    to: usize,
    /// Name of a background step.
    job: Option<String>,
    /// True if an agent has completed an upcall of the step.
    is_completed: bool,
    /// Number of messages right after the call.
    messages: usize,
    result: Option<String>,
    workers: Vec<String>,
}

impl Reply {
    /// Returns true if something after the step causes the reply. The trace does not have the time of
    /// a reply: it is drawn where a step waits for it, and otherwise after the last step.
    fn is_late(&self) -> bool {
        self.job.is_some() && !self.is_completed
    }
}
