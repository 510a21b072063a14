//! Three-way merges of trees, in a repository's object store alone.

use std::path::Path;

use crate::{
    Result,
    command::{failed, git, output, read},
};

/// A change to apply: what leads from one tree to another.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) from: String,
    pub(super) to: String,
}

/// Result of a merge.
pub(super) enum Merged {
    /// The tree.
    Clean(String),
    /// The commit that a cherry-pick on top of the tree has conflicts with.
    Conflict { pick: String },
}

/// Applies a change to a tree.
pub(super) fn apply(repository: &Path, tree: &str, change: &Change) -> Result<Merged> {
    if change.from == change.to {
        return Ok(Merged::Clean(tree.to_owned()));
    }
    if change.from == tree {
        return Ok(Merged::Clean(change.to.clone()));
    }
    let base = commit(repository, &change.from, None, "base")?;
    let ours = commit(repository, tree, Some(&base), "ours")?;
    let pick = commit(repository, &change.to, Some(&base), "theirs")?;
    let mut merge = git(repository);
    merge.args(["-c", "merge.renames=false", "merge-tree", "--write-tree", "--no-messages", &ours, &pick]);
    let merged = output(&mut merge, b"")?;
    match merged.status.code() {
        Some(0) => Ok(Merged::Clean(String::from_utf8_lossy(&merged.stdout).trim().to_owned())),
        Some(1) => Ok(Merged::Conflict { pick }),
        _ => Err(failed(&merge, &merged)),
    }
}

/// Returns the tree of a commit.
pub(super) fn tree_of(repository: &Path, commit: &str) -> Result<String> {
    read(git(repository).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]), b"")
}

/// Makes a commit that is always the same for the same arguments.
pub(super) fn commit(repository: &Path, tree: &str, parent: Option<&str>, message: &str) -> Result<String> {
    let mut command = git(repository);
    command.args(["commit-tree", tree, "-m", message]).args(parent.iter().flat_map(|parent| ["-p", parent]));
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "keyagents")
            .env(format!("GIT_{role}_EMAIL"), "keyagents@localhost")
            .env(format!("GIT_{role}_DATE"), "@0 +0000");
    }
    read(&mut command, b"")
}
