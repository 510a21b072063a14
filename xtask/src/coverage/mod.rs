//! Which lines of the series ran: counters of the guests' kernels, added up and laid beside the series' own lines.
//!
//! ```text
//! guests' counters ─gcov─> Tally ─┐
//! the series' own lines ──────────┼─> Coverage ─> table · lcov · HTML
//! unreachable.toml ───────────────┘
//! ```

pub mod collector;
pub mod counts;
pub mod exclusions;
pub mod gcov;
pub mod html;
pub mod lcov;
pub mod table;

use std::collections::BTreeMap;

use kernel::ChangedFile;

use counts::{FileTally, Function, Tally};
use exclusions::Unreachable;

/// What is known of the series' own lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Files with code of the series', by their paths.
    pub files: Vec<File>,
    /// C files of the series that no code of is in the kernel.
    pub absent: Vec<String>,
    /// What is wrong with the list of what can't be reached.
    pub flaws: Vec<String>,
}

/// A file with code of the series'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the tree.
    pub path: String,
    /// Whether the whole file is the series'.
    pub is_new: bool,
    /// All of its lines.
    pub text: Vec<String>,
    /// Those of them that are the series' and have code, by number.
    pub lines: BTreeMap<usize, Line>,
    /// The functions that these lines are in.
    pub functions: Vec<Function>,
}

/// A line with code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How far it was reached.
    pub state: State,
    /// How often each way on was taken.
    pub branches: Vec<u64>,
}

/// How far a line was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It ran, so many times.
    Reached(u64),
    /// It did not run.
    Missed,
    /// It did not run, for this reason.
    Unreachable(String),
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// How many were reached.
    pub reached: usize,
    /// How many could be.
    pub of: usize,
}

impl Coverage {
    /// Lays counters beside the series' lines.
    pub fn of(own: &[ChangedFile], tally: &Tally, list: &[Unreachable]) -> Self {
        let mut coverage = Self { files: Vec::new(), absent: Vec::new(), flaws: Vec::new() };
        for file in own {
            let counted = tally.files.get(&file.path).map(|counted| File::of(file, counted));
            match counted.filter(|file| !file.lines.is_empty()) {
                Some(file) => coverage.files.push(file),
                // A header may well have nothing but declarations.
                None if file.path.ends_with(".c") => coverage.absent.push(file.path.clone()),
                None => {}
            }
        }
        for entry in list {
            let file = coverage.files.iter_mut().find(|file| file.path == entry.file);
            let flaw = match file {
                Some(file) => entry.apply(file).err(),
                None => Some("the series has no code in that file".to_owned()),
            };
            coverage.flaws.extend(flaw.map(|flaw| format!("{entry}: {flaw}")));
        }
        coverage
    }

    /// The lines that could be reached and were not, with their files and numbers.
    pub fn missed(&self) -> impl Iterator<Item = (&File, usize)> {
        self.files.iter().flat_map(|file| {
            let missed = file.lines.iter().filter(|(_, line)| line.state == State::Missed);
            missed.map(move |(number, _)| (file, *number))
        })
    }

    /// All files' lines.
    pub fn lines(&self) -> Share {
        self.files.iter().map(File::share_of_lines).sum()
    }

    /// How many lines can't be reached.
    pub fn unreachable(&self) -> usize {
        self.files.iter().map(File::unreachable).sum()
    }
}

impl File {
    fn of(own: &ChangedFile, counted: &FileTally) -> Self {
        let own_lines = counted.lines.iter().filter(|(number, _)| own.lines.contains(number));
        let lines: BTreeMap<usize, Line> = own_lines
            .map(|(number, line)| {
                let state = if line.count > 0 { State::Reached(line.count) } else { State::Missed };
                (*number, Line { state, branches: line.branches.clone() })
            })
            .collect();
        let has_lines = |function: &&Function| lines.range(function.first..=function.last).next().is_some();
        Self {
            path: own.path.clone(),
            is_new: own.is_new,
            text: own.text.lines().map(str::to_owned).collect(),
            functions: counted.functions.values().filter(has_lines).cloned().collect(),
            lines,
        }
    }

    /// The lines that can be reached.
    pub fn share_of_lines(&self) -> Share {
        self.lines.values().map(|line| &line.state).filter_map(State::share).sum()
    }

    /// The ways on from these lines.
    pub fn share_of_branches(&self) -> Share {
        let reachable = self.lines.values().filter(|line| line.state.share().is_some());
        reachable.flat_map(|line| &line.branches).map(|count| Share::one(*count > 0)).sum()
    }

    /// The functions that can be reached.
    pub fn share_of_functions(&self) -> Share {
        let reachable = |function: &&Function| {
            let mut lines = self.lines.range(function.first..=function.last);
            lines.any(|(_, line)| line.state.share().is_some())
        };
        self.functions.iter().filter(reachable).map(|function| Share::one(function.count > 0)).sum()
    }

    /// How many lines can't be reached.
    pub fn unreachable(&self) -> usize {
        self.lines.values().filter(|line| line.state.share().is_none()).count()
    }

    /// A line as it is written, without what it is set in by.
    pub fn source(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|index| self.text.get(index)).map_or("", |line| line.trim())
    }

    /// The function that a line is in.
    pub fn function(&self, number: usize) -> Option<&Function> {
        self.functions.iter().find(|function| (function.first..=function.last).contains(&number))
    }
}

impl State {
    /// None of what can't be reached.
    fn share(&self) -> Option<Share> {
        match self {
            Self::Reached(_) => Some(Share::one(true)),
            Self::Missed => Some(Share::one(false)),
            Self::Unreachable(_) => None,
        }
    }
}

impl Share {
    fn one(reached: bool) -> Self {
        Self { reached: reached.into(), of: 1 }
    }

    /// In whole percent, rounded down: only all is 100. Of nothing all is reached.
    pub fn percent(self) -> usize {
        (self.reached * 100).checked_div(self.of).unwrap_or(100)
    }
}

impl std::iter::Sum for Share {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self { reached: sum.reached + one.reached, of: sum.of + one.of })
    }
}

#[cfg(test)]
mod tests;
