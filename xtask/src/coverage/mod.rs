//! Coverage of the series: the summed counters of the guests' kernels, for the series' own lines.
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Files with code of the series, by path.
    pub files: Vec<File>,
    /// C files of the series without code in the kernel.
    pub absent: Vec<String>,
    pub list_errors: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub path: String,
    /// True if the series adds the whole file.
    pub is_new: bool,
    pub text: Vec<String>,
    /// Lines of the series that have code, by number.
    pub lines: BTreeMap<usize, Line>,
    /// Functions with these lines.
    pub functions: Vec<Function>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub state: State,
    /// Number of times that each branch was taken.
    pub branches: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Reached(u64),
    Missed,
    /// It was not executed, for this listed reason.
    Unreachable(String),
}

/// Number of reached items out of all reachable ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    pub reached: usize,
    pub of: usize,
}

impl Coverage {
    /// Combines the counters with the series' lines and the list of unreachable ones.
    pub fn of(own: &[ChangedFile], tally: &Tally, list: &[Unreachable]) -> Self {
        let mut coverage = Self { files: Vec::new(), absent: Vec::new(), list_errors: Vec::new() };
        for file in own {
            let counted = tally.files.get(&file.path).map(|counted| File::of(file, counted));
            match counted.filter(|file| !file.lines.is_empty()) {
                Some(file) => coverage.files.push(file),
                // A header may have only declarations.
                None if file.path.ends_with(".c") => coverage.absent.push(file.path.clone()),
                None => {}
            }
        }
        for entry in list {
            let file = coverage.files.iter_mut().find(|file| file.path == entry.file);
            let list_error = match file {
                Some(file) => entry.apply(file).err(),
                None => Some("the series has no code in that file".to_owned()),
            };
            coverage.list_errors.extend(list_error.map(|list_error| format!("{entry}: {list_error}")));
        }
        coverage
    }

    /// Returns the reachable lines that were not reached, with their files and numbers.
    pub fn missed(&self) -> impl Iterator<Item = (&File, usize)> {
        self.files.iter().flat_map(|file| {
            let missed = file.lines.iter().filter(|(_, line)| line.state == State::Missed);
            missed.map(move |(number, _)| (file, *number))
        })
    }

    pub fn lines(&self) -> Share {
        self.files.iter().map(File::share_of_lines).sum()
    }

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

    pub fn share_of_lines(&self) -> Share {
        self.lines.values().map(|line| &line.state).filter_map(State::share).sum()
    }

    pub fn share_of_branches(&self) -> Share {
        let reachable = self.lines.values().filter(|line| line.state.share().is_some());
        reachable.flat_map(|line| &line.branches).map(|count| Share::one(*count > 0)).sum()
    }

    pub fn share_of_functions(&self) -> Share {
        let reachable = |function: &&Function| {
            let mut lines = self.lines.range(function.first..=function.last);
            lines.any(|(_, line)| line.state.share().is_some())
        };
        self.functions.iter().filter(reachable).map(|function| Share::one(function.count > 0)).sum()
    }

    pub fn unreachable(&self) -> usize {
        self.lines.values().filter(|line| line.state.share().is_none()).count()
    }

    /// Returns a line without indentation.
    pub fn source(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|index| self.text.get(index)).map_or("", |line| line.trim())
    }

    pub fn function(&self, number: usize) -> Option<&Function> {
        self.functions.iter().find(|function| (function.first..=function.last).contains(&number))
    }
}

impl State {
    /// Returns the line's share; `None` if it is unreachable.
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

    /// Returns whole percents, rounded down, so that only a full share is 100. An empty share is
    /// full.
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
