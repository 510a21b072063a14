//! `git format-patch`, independent of a repository's configuration. The same commits make the same
//! bytes for every user and on every host, so a build detects changes by the bytes.

use std::{path::Path, process::Command};

use crate::{
    Result,
    subprocess::{bytes, git, read},
};

/// Options for a commit's diff.
const DIFF: &[&str] = &[
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--submodule=short",
    "--ignore-submodules=none",
    "--no-renames",
    "--abbrev=12",
    "--unified=3",
    "--inter-hunk-context=0",
    "--indent-heuristic",
    "--diff-algorithm=myers",
    "-O/dev/null",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

const FORMAT: &[&str] = &[
    "--quiet",
    "--zero-commit",
    "--no-signature",
    "--no-numbered",
    "--no-cover-letter",
    "--no-attach",
    "--no-thread",
    "--no-base",
    "--no-from",
    "--no-signoff",
    "--no-notes",
    "--no-add-header",
    "--subject-prefix=PATCH",
    "--suffix=.patch",
    "--filename-max-length=64",
];

/// Writes the commits of a range into that directory, a file for each.
pub(crate) fn format_patch(repository: &Path, range: &str, directory: &Path) -> Result<()> {
    let mut command = with_settings(repository);
    command.arg("format-patch").args(DIFF).args(FORMAT).arg("--output-directory").arg(directory);
    read(command.args([range, "--"]), b"").map(drop)
}

/// Returns a commit's diffstat and diff, as in its file of `git format-patch`.
pub(crate) fn diff_of(repository: &Path, commit: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut command = with_settings(repository);
    command.args(["diff-tree", "--root", "--no-commit-id", "--patch", "--binary", "--stat=72", "--summary"]);
    let mut remarks = b"---\n".to_vec();
    let text = bytes(command.args(DIFF).args(["--end-of-options", commit, "--"]))?;
    // The lines of a diffstat begin with a blank.
    const BEGINNING: &[u8] = b"\ndiff --git ";
    let at =
        text.windows(BEGINNING.len()).position(|window| window == BEGINNING).map_or(text.len(), |at| at + 1);
    let (stat, diff) = text.split_at(at);
    remarks.extend_from_slice(stat);
    Ok((remarks, diff.to_vec()))
}

/// Returns git with those settings of the repository reset for which there is no option.
fn with_settings(repository: &Path) -> Command {
    let mut command = git(repository);
    command.args(["-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true"]);
    command
}
