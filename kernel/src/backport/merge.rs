//! Three-way merges of trees, in a repository's object store alone.

use std::path::Path;

use crate::{
    Result,
    git_objects::commit,
    subprocess::{failed, git, output},
};

/// A change to apply: what leads from one tree to another.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) from: String,
    pub(super) to: String,
}

pub(super) enum Merged {
    /// The tree.
    Clean(String),
    /// The commit that a cherry-pick on top of the tree has conflicts with.
    Conflict { pick: String },
}

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
