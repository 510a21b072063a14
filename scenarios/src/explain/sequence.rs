//! A story as what passes between lanes: one for each process, and the last one for the kernel.

use super::story::{self, Line};
use crate::{
    plan::{Op, SignalOp, Step},
    scenario::Scenario,
};

/// Who takes part in a story, and what passes between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The names of the lanes. The last one is the kernel's.
    pub lanes: Vec<String>,
    /// What happens, in order.
    pub moments: Vec<Moment>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The step that begins here.
    pub number: Option<usize>,
    /// Between whom.
    pub mark: Mark,
    /// What is said.
    pub text: String,
    /// What the kernel answers at once.
    pub answer: Option<String>,
    /// What kind of thing it is.
    pub kind: Kind,
}

/// Between whom something passes. Lanes are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nobody.
    Nothing,
    /// One lane is by itself.
    At(usize),
    /// One lane turns to another.
    Arrow {
        /// Who turns.
        from: usize,
        /// To whom.
        to: usize,
    },
}

/// What kind of thing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that somebody does.
    Deed,
    /// What the kernel answers, after what it took to get it.
    Answer,
    /// Something beside it.
    Remark,
}

const KERNEL: &str = "kernel";
/// What the kernel runs for a requester without an agent.
const STOCK_UPCALL: &str = "/sbin/request-key";

impl Sequence {
    /// Reads the story of a scenario.
    pub fn of(scenario: &Scenario, story: &str) -> Self {
        let plan = scenario.plan();
        let mut names: Vec<&str> = plan.processes.iter().map(|process| process.name.as_str()).collect();
        if story.contains(STOCK_UPCALL) {
            names.push(STOCK_UPCALL);
        }
        let lines = story::lines(story, &names);
        names.push(KERNEL);
        let lanes = names.into_iter().map(str::to_owned).collect();
        let mut sequence = Self { lanes, moments: Vec::new() };
        let mut owed: Option<Owed> = None;
        for line in &lines {
            if matches!(line, Line::Step { .. } | Line::Heading | Line::End { .. }) {
                sequence.pay(owed.take());
            }
            owed = sequence.line(line, &plan.steps, owed);
        }
        sequence.pay(owed);
        sequence
    }

    /// The kernel's lane.
    pub fn kernel(&self) -> usize {
        self.lanes.len() - 1
    }

    fn line(&mut self, line: &Line, steps: &[Step], owed: Option<Owed>) -> Option<Owed> {
        match line {
            Line::Heading => None,
            Line::Step { number, actor, text, result } => {
                let from = self.find(actor);
                let to = steps.get(number - 1).and_then(|step| self.addressee(step));
                self.push(Some(*number), Mark::between(from, to.unwrap_or(from)), text, Kind::Deed);
                let moments = self.moments.len();
                result.clone().map(|result| Owed { actor: from, result, moments })
            }
            Line::Act { actor, text } => {
                let (lane, kernel) = (self.find(actor), self.kernel());
                let (mark, text) = match text.strip_prefix("hears ") {
                    Some(heard) => (Mark::between(kernel, lane), heard),
                    None => (Mark::between(lane, kernel), text.as_str()),
                };
                self.push(None, mark, text, Kind::Deed);
                owed
            }
            Line::End { actor, text } => {
                self.push(None, Mark::At(self.find(actor)), text, Kind::Deed);
                None
            }
            Line::Fared(text) => {
                self.push(None, Mark::Nothing, text, Kind::Answer);
                owed
            }
            Line::Times(text) | Line::Remark(text) => {
                self.push(None, Mark::Nothing, text, Kind::Remark);
                owed
            }
        }
    }

    /// Whom a step turns to: None if the process is by itself.
    fn addressee(&self, step: &Step) -> Option<usize> {
        match step.op.core() {
            Op::Signal(SignalOp::Signal { to, .. } | SignalOp::Forge { to, .. }) => self.known(to),
            Op::Life(_) | Op::Namespace(_) | Op::Conduct(_) | Op::Hold(_) | Op::Fault(_) | Op::Thread(_) => {
                None
            }
            Op::System(_)
            | Op::Keyring(_)
            | Op::Key(_)
            | Op::Authority(_)
            | Op::Upcall(_)
            | Op::Signal(_)
            | Op::Look(_) => Some(self.kernel()),
        }
    }

    /// Tells an answer: with the question where nothing lies between.
    fn pay(&mut self, owed: Option<Owed>) {
        let Some(Owed { actor, result, moments }) = owed else { return };
        if moments == self.moments.len()
            && let Some(question) = self.moments.last_mut()
        {
            question.answer = Some(result);
            return;
        }
        self.push(None, Mark::between(self.kernel(), actor), &format!("→ {result}"), Kind::Answer);
    }

    fn push(&mut self, number: Option<usize>, mark: Mark, text: &str, kind: Kind) {
        self.moments.push(Moment { number, mark, text: text.to_owned(), answer: None, kind });
    }

    fn known(&self, name: &str) -> Option<usize> {
        self.lanes.iter().position(|known| known == name)
    }

    fn find(&self, name: &str) -> usize {
        self.known(name).unwrap_or_else(|| self.kernel())
    }
}

impl Mark {
    fn between(from: usize, to: usize) -> Self {
        if from == to { Self::At(from) } else { Self::Arrow { from, to } }
    }

    /// Who does it.
    pub fn actor(self) -> Option<usize> {
        match self {
            Self::Nothing => None,
            Self::At(lane) | Self::Arrow { from: lane, .. } => Some(lane),
        }
    }
}

/// An answer that comes after what it took to get it.
struct Owed {
    actor: usize,
    result: String,
    /// How many moments there were when the question had been put.
    moments: usize,
}
