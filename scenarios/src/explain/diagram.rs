//! Sequence diagram in characters: a lane for each process and one for the kernel, with text beside it.

use super::{
    sequence::{Kind, Message, Placement, Sequence},
    wrap::wrapping,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The step that begins here.
    pub number: Option<usize>,
    /// The lanes, each row's as wide as every other's.
    pub lanes: String,
    pub text: String,
    /// None: the lanes' names.
    pub kind: Option<Kind>,
}

/// Widest drawing with the lanes' names side by side. Above it the lanes are closer, and their
/// names are stacked.
const WIDEST: usize = 44;
/// Smallest distance between two lanes, which leaves room for an arrow.
const CLOSEST: usize = 5;

/// Width of the column with the numbers of steps.
const MARGIN: usize = 5;
/// Distance between the lanes and the text.
const GAP: usize = 2;

/// Draws a trace, at most `width` columns wide.
pub(super) fn draw(sequence: &Sequence, width: usize) -> Vec<Row> {
    let names: Vec<&str> = sequence.lanes.iter().map(String::as_str).collect();
    let lanes = Lanes::of(&names);
    let columns = width.saturating_sub(MARGIN + lanes.width + GAP).max(20);
    let mut diagram = Diagram { lanes, columns, rows: Vec::new() };
    diagram.headings();
    sequence.messages.iter().for_each(|message| diagram.message(message, sequence.kernel()));
    diagram.rows
}

struct Diagram {
    lanes: Lanes,
    columns: usize,
    rows: Vec<Row>,
}

impl Diagram {
    fn headings(&mut self) {
        for lanes in self.lanes.headings() {
            self.rows.push(Row { number: None, lanes, text: String::new(), kind: None });
        }
    }

    fn message(&mut self, message: &Message, kernel: usize) {
        self.push(message.number, self.lanes.mark(message.placement), &message.text, message.kind);
        let Some(answer) = &message.answer else { return };
        // Beside the question where there is room.
        if let Some(last) = self.rows.last_mut()
            && last.text.chars().count() + answer.chars().count() + 3 <= self.columns
        {
            last.text.push_str(&format!(" → {answer}"));
            return;
        }
        let actor = message.placement.actor().unwrap_or(kernel);
        self.push(None, self.lanes.arrow(kernel, actor), &format!("→ {answer}"), Kind::Result);
    }

    fn push(&mut self, number: Option<usize>, lanes: String, text: &str, kind: Kind) {
        let options = wrapping(self.columns).subsequent_indent("  ");
        for (index, part) in textwrap::wrap(text, options).into_iter().enumerate() {
            let first = index == 0;
            let lanes = if first { lanes.clone() } else { self.lanes.idle() };
            let number = number.filter(|_| first);
            self.rows.push(Row { number, lanes, text: part.into_owned(), kind: Some(kind) });
        }
    }
}

/// Column positions of the lanes.
struct Lanes {
    names: Vec<String>,
    at: Vec<usize>,
    width: usize,
    /// True if the names are one below the other.
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

    fn mark(&self, placement: Placement) -> String {
        match placement {
            Placement::Nothing => self.idle(),
            Placement::At(lane) => self.point(lane),
            Placement::Arrow { from, to } => self.arrow(from, to),
        }
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

    /// A line in which nothing happens.
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
