//! Messages of a sequence diagram, extracted from a trace. The kernel has the last lane.

use crate::{
    plan::{Group, Op, Step},
    scenario::Scenario,
    trace::{
        self,
        parse::{self, Line},
    },
};

/// A sequence diagram's lanes and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The names of the lanes. The last one is the kernel's.
    pub lanes: Vec<String>,
    /// The messages, in order.
    pub messages: Vec<Message>,
}

/// An entry of the diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The step that begins here.
    pub number: Option<usize>,
    /// The lanes that it concerns.
    pub placement: Placement,
    /// Its text.
    pub text: String,
    /// The result, if nothing comes between the call and its return.
    pub answer: Option<String>,
    /// Its kind.
    pub kind: Kind,
}

/// Lanes that an entry concerns, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// No lane.
    Nothing,
    /// One lane alone.
    At(usize),
    /// An arrow between two lanes.
    Arrow {
        /// The lane where it starts.
        from: usize,
        /// The lane that it points to.
        to: usize,
    },
}

/// Kinds of entries.
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
/// Program that the kernel runs for a requester without an agent.
const STOCK_UPCALL: &str = "/sbin/request-key";

impl Sequence {
    /// Reads the trace of a scenario.
    pub fn of(scenario: &Scenario, trace: &str) -> Self {
        let plan = scenario.plan();
        let mut names: Vec<&str> = plan.processes.iter().map(|process| process.name.as_str()).collect();
        if trace.contains(STOCK_UPCALL) {
            names.push(STOCK_UPCALL);
        }
        let lines = parse::lines(trace, &names);
        names.push(KERNEL);
        let lanes = names.into_iter().map(str::to_owned).collect();
        let mut sequence = Self { lanes, messages: Vec::new() };
        let mut pending: Option<PendingResult> = None;
        for line in &lines {
            if matches!(line, Line::Step { .. } | Line::Heading | Line::End { .. }) {
                sequence.flush(pending.take());
            }
            pending = sequence.line(line, &plan.steps, pending);
        }
        sequence.flush(pending);
        sequence
    }

    /// Returns the kernel's lane.
    pub fn kernel(&self) -> usize {
        self.lanes.len() - 1
    }

    fn line(&mut self, line: &Line, steps: &[Step], pending: Option<PendingResult>) -> Option<PendingResult> {
        match line {
            Line::Heading => None,
            Line::Step { number, actor, text, result } => {
                let from = self.find(actor);
                let to = steps.get(number - 1).and_then(|step| self.addressee(step));
                self.push(Some(*number), Placement::between(from, to.unwrap_or(from)), text, Kind::Action);
                let messages = self.messages.len();
                result.clone().map(|result| PendingResult { actor: from, result, messages })
            }
            Line::Action { actor, text } => {
                self.act(self.find(actor), text);
                pending
            }
            Line::End { actor, text } => {
                self.push(None, Placement::At(self.find(actor)), text, Kind::Action);
                None
            }
            Line::WorkerResults(text) => {
                self.push(None, Placement::Nothing, text, Kind::Result);
                pending
            }
            Line::Repeated(text) | Line::Remark(text) => {
                self.push(None, Placement::Nothing, text, Kind::Remark);
                pending
            }
        }
    }

    /// Adds an action of a process outside of a step. An upcall comes from the kernel, and its
    /// answer goes there.
    fn act(&mut self, lane: usize, text: &str) {
        let (to_lane, to_kernel) =
            (Placement::between(self.kernel(), lane), Placement::between(lane, self.kernel()));
        let Some(upcall) = text.strip_prefix("receives an ") else {
            return self.push(None, to_kernel, text, Kind::Action);
        };
        let answer = [trace::ANSWERS, trace::REJECTS].into_iter().filter_map(|it| upcall.find(it)).min();
        let (upcall, answer) = upcall.split_at(answer.unwrap_or(upcall.len()));
        self.push(None, to_lane, upcall, Kind::Action);
        if let Some(answer) = answer.strip_prefix(", and ") {
            self.push(None, to_kernel, answer, Kind::Action);
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

    /// Writes a pending result: in the call's own entry if nothing comes between.
    fn flush(&mut self, pending: Option<PendingResult>) {
        let Some(PendingResult { actor, result, messages }) = pending else { return };
        if messages == self.messages.len()
            && let Some(question) = self.messages.last_mut()
        {
            question.answer = Some(result);
            return;
        }
        self.push(None, Placement::between(self.kernel(), actor), &format!("→ {result}"), Kind::Result);
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

    /// Returns the lane of the acting process.
    pub fn actor(self) -> Option<usize> {
        match self {
            Self::Nothing => None,
            Self::At(lane) | Self::Arrow { from: lane, .. } => Some(lane),
        }
    }
}

/// A result that has not been written yet.
struct PendingResult {
    actor: usize,
    result: String,
    /// Number of messages right after the call.
    messages: usize,
}
