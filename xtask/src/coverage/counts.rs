//! How often lines, branches and functions ran, added up over objects and guests.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What has been counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// By the files' paths in the tree.
    pub files: BTreeMap<String, FileTally>,
}

/// What has been counted in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTally {
    /// The lines that have code, by number.
    pub lines: BTreeMap<usize, LineTally>,
    /// The functions, by their first lines and names.
    pub functions: BTreeMap<(usize, String), Function>,
}

/// What has been counted of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineTally {
    /// How often it ran.
    pub count: u64,
    /// How often each way on was taken.
    pub branches: Vec<u64>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line that it begins on.
    pub first: usize,
    /// The line that it ends on.
    pub last: usize,
    /// How often it was called.
    pub count: u64,
}

/// What `gcov --json-format` says of one object.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    files: Vec<SaidFile>,
}

#[derive(Debug, Deserialize)]
struct SaidFile {
    file: String,
    functions: Vec<SaidFunction>,
    lines: Vec<SaidLine>,
}

#[derive(Debug, Deserialize)]
struct SaidFunction {
    name: String,
    start_line: usize,
    end_line: usize,
    execution_count: u64,
}

#[derive(Debug, Deserialize)]
struct SaidLine {
    line_number: usize,
    count: u64,
    branches: Vec<SaidBranch>,
}

#[derive(Debug, Deserialize)]
struct SaidBranch {
    count: u64,
}

impl Tally {
    /// Adds an object's counters. Lines of a header, and of what the compiler has put into several functions, come more than once.
    pub(super) fn add(&mut self, said: Said) {
        for one in said.files {
            let file = self.files.entry(one.file).or_default();
            for function in one.functions {
                let key = (function.start_line, function.name.clone());
                let known = file.functions.entry(key).or_insert(Function {
                    name: function.name,
                    first: function.start_line,
                    last: function.end_line,
                    count: 0,
                });
                known.count += function.execution_count;
            }
            for line in one.lines {
                let known = file.lines.entry(line.line_number).or_default();
                known.count += line.count;
                let longest = known.branches.len().max(line.branches.len());
                known.branches.resize(longest, 0);
                for (sum, branch) in known.branches.iter_mut().zip(line.branches) {
                    *sum += branch.count;
                }
            }
        }
    }
}
