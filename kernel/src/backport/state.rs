//! State of a backport that has stopped, in its work tree's repository: the resolved merges, and the
//! one that is to be resolved.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::record;
use crate::{
    Error, KernelSpec, Result,
    fs::{read_if_present, remove},
    sources::hex,
    subprocess::{git, output, read},
};

pub(super) struct State {
    /// Hash of the series that go in.
    inputs: String,
    /// Trees by their steps.
    resolved: Vec<(String, String)>,
    /// The step with a conflict.
    stopped: Option<String>,
}

/// Returns the hash of both series and of the record.
pub(super) fn inputs(from: &KernelSpec, to: &KernelSpec) -> Result<String> {
    let mut hash = Sha256::new();
    for kernel in [from, to] {
        hash.update(&kernel.name);
        kernel.series()?.digest(&mut hash);
    }
    hash.update(fs::read(to.series_directory().join(record::FILE)).unwrap_or_default());
    Ok(hex(&hash.finalize()))
}

pub(super) fn unmerged(directory: &Path) -> Result<Vec<String>> {
    let names = read(git(directory).args(["diff", "--name-only", "--diff-filter=U"]), b"")?;
    Ok(names.lines().map(str::to_owned).collect())
}

impl State {
    pub(super) fn new(inputs: String) -> Self {
        Self { inputs, resolved: Vec::new(), stopped: None }
    }

    fn file(directory: &Path) -> PathBuf {
        directory.join(".git/keyagents-backport")
    }

    /// Returns the state in that work tree; `None` if no backport is under way.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>> {
        let Some(text) = read_if_present(&Self::file(directory))? else { return Ok(None) };
        let mut state = Self::new(String::new());
        for (word, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "inputs" => state.inputs = rest.to_owned(),
                "stopped" => state.stopped = Some(rest.to_owned()),
                tree => state.resolved.push((rest.to_owned(), tree.to_owned())),
            }
        }
        Ok(Some(state))
    }

    pub(super) fn remove(directory: &Path) -> Result<()> {
        remove(&Self::file(directory))
    }

    pub(super) fn resolution(&self, step: &str) -> Option<&str> {
        self.resolved.iter().find(|(resolved, _)| resolved == step).map(|(_, tree)| tree.as_str())
    }

    /// Records that this step has a conflict.
    pub(super) fn stop(&self, directory: &Path, step: &str) -> Result<()> {
        let resolved: String = self.resolved.iter().map(|(step, tree)| format!("{tree} {step}\n")).collect();
        let file = Self::file(directory);
        let text = format!("inputs {}\n{resolved}stopped {step}\n", self.inputs);
        fs::write(&file, text).map_err(Error::io("writing", file))
    }

    /// Returns the state with the work tree's index as the resolution of the last conflict.
    pub(super) fn resolved(mut self, directory: &Path, inputs: &str) -> Result<Self> {
        if self.inputs != inputs {
            return Err(Error::work_tree(
                directory,
                "a series was changed since the backport began: --abort it",
            ));
        }
        let left = unmerged(directory)?;
        if !left.is_empty() {
            let reason = format!("resolve these files, then `git add -u`:\n{}", left.join("\n"));
            return Err(Error::work_tree(directory, reason));
        }
        let changed = read(git(directory).args(["diff", "--name-only"]), b"")?;
        if !changed.is_empty() {
            return Err(Error::work_tree(
                directory,
                format!("`git add -u` the changes of these files:\n{changed}"),
            ));
        }
        let checked = output(git(directory).args(["diff", "--check", "--cached", "HEAD"]), b"")?;
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        if let Some(line) = said.lines().find(|line| line.contains("leftover conflict marker")) {
            return Err(Error::work_tree(directory, line));
        }
        let tree = read(git(directory).arg("write-tree"), b"")?;
        self.resolved.extend(self.stopped.take().map(|step| (step, tree)));
        // The next step has a checkout of its own.
        read(git(directory).args(["reset", "-q", "--hard"]), b"")?;
        Ok(self)
    }
}
