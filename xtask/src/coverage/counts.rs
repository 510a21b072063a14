//! Execution counts of lines, branches and functions, summed over objects and guests.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counts by the files' paths in the tree.
    pub files: BTreeMap<String, FileTally>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTally {
    /// Lines with code, by number.
    pub lines: BTreeMap<usize, LineTally>,
    /// Functions, by first line and name.
    pub functions: BTreeMap<(usize, String), Function>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineTally {
    pub count: u64,
    /// Number of times that each branch was taken.
    pub branches: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Function {
    pub name: String,
    #[serde(rename = "start_line")]
    pub first: usize,
    #[serde(rename = "end_line")]
    pub last: usize,
    #[serde(rename = "execution_count")]
    pub count: u64,
}

/// Output of `gcov --json-format` for one object.
#[derive(Debug, Deserialize)]
pub(super) struct GcovOutput {
    files: Vec<GcovFile>,
}

#[derive(Debug, Deserialize)]
struct GcovFile {
    file: String,
    functions: Vec<Function>,
    lines: Vec<GcovLine>,
}

#[derive(Debug, Deserialize)]
struct GcovLine {
    line_number: usize,
    count: u64,
    branches: Vec<GcovBranch>,
}

#[derive(Debug, Deserialize)]
struct GcovBranch {
    count: u64,
}

impl Tally {
    /// Adds an object's counters. Lines of a header, or of code inlined into several functions,
    /// occur more than once.
    pub(super) fn add(&mut self, output: GcovOutput) {
        for one in output.files {
            let file = self.files.entry(one.file).or_default();
            for function in one.functions {
                let count = function.count;
                let key = (function.first, function.name.clone());
                file.functions.entry(key).or_insert(Function { count: 0, ..function }).count += count;
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
