//! Objects of git repositories.

use std::{path::Path, process::Command};

use crate::{
    Result,
    subprocess::{git, output, read},
};

pub(crate) fn tree_of(repository: &Path, commit: &str) -> Result<String> {
    read(git(repository).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]), b"")
}

pub(crate) fn has(repository: &Path, object: &str) -> Result<bool> {
    Ok(output(git(repository).args(["cat-file", "-e", object]), b"")?.status.success())
}

/// Makes a commit that is always the same for the same arguments.
pub(crate) fn commit(repository: &Path, tree: &str, parent: Option<&str>, message: &str) -> Result<String> {
    let mut command = git(repository);
    command.args(["commit-tree", tree, "-m", message]).args(parent.iter().flat_map(|parent| ["-p", parent]));
    read(as_keyagents(&mut command), b"")
}

/// Gives commits of that command an author and a date that are always the same.
pub(crate) fn as_keyagents(command: &mut Command) -> &mut Command {
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "keyagents")
            .env(format!("GIT_{role}_EMAIL"), "keyagents@localhost")
            .env(format!("GIT_{role}_DATE"), "@0 +0000");
    }
    command
}
