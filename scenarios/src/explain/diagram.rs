//! A sequence diagram in characters: a lane for each process and one for the kernel, what they say to each other beside it.

use super::story::{self, Line};
use crate::{
    plan::{Op, SignalOp, Step},
    scenario::Scenario,
};

/// A line of the diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The step that begins here.
    pub number: Option<usize>,
    /// The lanes, each row's as wide as every other's.
    pub lanes: String,
    /// What is said.
    pub text: String,
    /// What kind of line it is.
    pub kind: RowKind,
}

/// What a line of the diagram shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// The names of the lanes.
    Heading,
    /// Something that somebody does.
    Deed,
    /// What the kernel answers.
    Answer,
    /// Something beside it.
    Remark,
}

const KERNEL: &str = "kernel";
/// What the kernel runs for a requester without an agent.
const STOCK_UPCALL: &str = "/sbin/request-key";

/// Lanes that are wider than this stand closer together, their names one below the other.
const WIDEST: usize = 44;
/// Room between two lanes for an arrow.
const CLOSEST: usize = 5;

/// The number of a step and what goes before and after it.
const MARGIN: usize = 5;
/// Between the lanes and the text.
const GAP: usize = 2;

/// Draws the story of a scenario, at most so many columns wide.
pub(super) fn draw(scenario: &Scenario, story: &str, width: usize) -> Vec<Row> {
    let plan = scenario.plan();
    let mut names: Vec<&str> = plan.processes.iter().map(|process| process.name.as_str()).collect();
    if story.contains(STOCK_UPCALL) {
        names.push(STOCK_UPCALL);
    }
    let lines = story::lines(story, &names);
    names.push(KERNEL);
    let lanes = Lanes::of(&names);
    let columns = width.saturating_sub(MARGIN + lanes.width + GAP).max(20);
    let mut diagram = Diagram { lanes, columns, rows: Vec::new() };
    diagram.headings();
    let mut owed: Option<Owed> = None;
    for line in &lines {
        if matches!(line, Line::Step { .. } | Line::Heading | Line::End { .. }) {
            diagram.pay(owed.take());
        }
        owed = diagram.line(line, &plan.steps, owed);
    }
    diagram.pay(owed);
    diagram.rows
}

/// An answer that comes after what it took to get it.
struct Owed {
    actor: usize,
    result: String,
    row: usize,
}

struct Diagram {
    lanes: Lanes,
    columns: usize,
    rows: Vec<Row>,
}

impl Diagram {
    fn headings(&mut self) {
        for lanes in self.lanes.headings() {
            self.rows.push(Row { number: None, lanes, text: String::new(), kind: RowKind::Heading });
        }
    }

    fn line(&mut self, line: &Line, steps: &[Step], owed: Option<Owed>) -> Option<Owed> {
        match line {
            Line::Heading => None,
            Line::Step { number, actor, text, result } => {
                let from = self.lanes.find(actor);
                let to = steps.get(number - 1).and_then(|step| self.addressee(step));
                let lanes = to.map_or_else(|| self.lanes.point(from), |to| self.lanes.arrow(from, to));
                self.push(Some(*number), lanes, text, RowKind::Deed);
                let row = self.rows.len();
                result.clone().map(|result| Owed { actor: from, result, row })
            }
            Line::Act { actor, text } => {
                let (lane, kernel) = (self.lanes.find(actor), self.lanes.kernel());
                let (lanes, text) = match text.strip_prefix("hears ") {
                    Some(heard) => (self.lanes.arrow(kernel, lane), heard),
                    None => (self.lanes.arrow(lane, kernel), text.as_str()),
                };
                self.push(None, lanes, text, RowKind::Deed);
                owed
            }
            Line::End { actor, text } => {
                let lanes = self.lanes.point(self.lanes.find(actor));
                self.push(None, lanes, text, RowKind::Deed);
                None
            }
            Line::Fared(text) => {
                let lanes = self.lanes.idle();
                self.push(None, lanes, text, RowKind::Answer);
                owed
            }
            Line::Times(text) | Line::Remark(text) => {
                let lanes = self.lanes.idle();
                self.push(None, lanes, text, RowKind::Remark);
                owed
            }
        }
    }

    /// Whom a step turns to: None if the process is by itself.
    fn addressee(&self, step: &Step) -> Option<usize> {
        match &step.op {
            Op::Signal(SignalOp::Signal { to, .. } | SignalOp::Forge { to, .. }) => self.lanes.known(to),
            Op::Life(_) | Op::Conduct(_) | Op::Hold(_) | Op::Fault(_) => None,
            Op::System(_)
            | Op::Keyring(_)
            | Op::Key(_)
            | Op::Authority(_)
            | Op::Upcall(_)
            | Op::Signal(_)
            | Op::Look(_) => Some(self.lanes.kernel()),
        }
    }

    /// Shows an answer: beside the question where nothing lies between.
    fn pay(&mut self, owed: Option<Owed>) {
        let Some(Owed { actor, result, row }) = owed else { return };
        if row == self.rows.len()
            && let Some(last) = self.rows.last_mut()
            && last.text.chars().count() + result.chars().count() + 3 <= self.columns
        {
            last.text.push_str(&format!(" → {result}"));
            return;
        }
        let lanes = self.lanes.arrow(self.lanes.kernel(), actor);
        self.push(None, lanes, &format!("→ {result}"), RowKind::Answer);
    }

    fn push(&mut self, number: Option<usize>, lanes: String, text: &str, kind: RowKind) {
        let options = textwrap::Options::new(self.columns).subsequent_indent("  ");
        for (index, part) in textwrap::wrap(text, options).into_iter().enumerate() {
            let first = index == 0;
            let lanes = if first { lanes.clone() } else { self.lanes.idle() };
            self.rows.push(Row { number: number.filter(|_| first), lanes, text: part.into_owned(), kind });
        }
    }
}

/// Where the lanes are.
struct Lanes {
    names: Vec<String>,
    at: Vec<usize>,
    width: usize,
    /// Names stand one below the other.
    stacked: bool,
}

impl Lanes {
    fn of(names: &[&str]) -> Self {
        let widths = names.iter().map(|name| name.chars().count().max(CLOSEST - 2) + 2);
        let stacked = widths.clone().sum::<usize>() > WIDEST;
        let mut at = Vec::new();
        let mut left = 0;
        for width in widths {
            let width = if stacked { CLOSEST } else { width };
            at.push(left + if stacked { 0 } else { (width - 2) / 2 });
            left += width;
        }
        // A stacked name begins at its lane, and the last one needs room.
        let last = names.last().map_or(0, |name| name.chars().count());
        let width = if stacked { at.last().map_or(0, |at| at + last) } else { left.saturating_sub(2) };
        Self { names: names.iter().map(|name| (*name).to_owned()).collect(), at, width, stacked }
    }

    fn kernel(&self) -> usize {
        self.names.len() - 1
    }

    fn known(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn find(&self, name: &str) -> usize {
        self.known(name).unwrap_or_else(|| self.kernel())
    }

    fn headings(&self) -> Vec<String> {
        if !self.stacked {
            let mut line = vec![' '; self.width];
            for (name, at) in self.names.iter().zip(&self.at) {
                put(&mut line, at - (name.chars().count().max(CLOSEST - 2) / 2).min(*at), name, self.width);
            }
            return vec![line.into_iter().collect()];
        }
        let mut lines = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            let mut line = vec![' '; self.width];
            self.at[..index].iter().for_each(|at| line[*at] = '│');
            put(&mut line, self.at[index], name, self.width);
            lines.push(line.into_iter().collect());
        }
        lines
    }

    fn blank(&self) -> Vec<char> {
        let mut line = vec![' '; self.width];
        self.at.iter().for_each(|at| line[*at] = '│');
        line
    }

    fn idle(&self) -> String {
        self.blank().into_iter().collect()
    }

    fn point(&self, lane: usize) -> String {
        let mut line = self.blank();
        line[self.at[lane]] = '●';
        line.into_iter().collect()
    }

    fn arrow(&self, from: usize, to: usize) -> String {
        if from == to {
            return self.point(from);
        }
        let (start, end) = (self.at[from], self.at[to]);
        let mut line = self.blank();
        for cell in &mut line[start.min(end) + 1..start.max(end)] {
            *cell = if *cell == '│' { '┼' } else { '─' };
        }
        let rightwards = start < end;
        line[start] = if rightwards { '├' } else { '┤' };
        line[if rightwards { end - 1 } else { end + 1 }] = if rightwards { '►' } else { '◄' };
        line.into_iter().collect()
    }
}

fn put(line: &mut [char], at: usize, text: &str, width: usize) {
    for (index, character) in text.chars().enumerate().take_while(|(index, _)| at + index < width) {
        line[at + index] = character;
    }
}
