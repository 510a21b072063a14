//! `git format-patch`, deaf to what a repository's configuration says of it: the same commits make the same bytes, whoever
//! writes them and wherever, and a build tells from the bytes whether anything has changed.

use std::path::Path;

use crate::{
    Result,
    command::{git, read},
};

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
    "--no-ext-diff",
    "--no-renames",
    "--subject-prefix=PATCH",
    "--abbrev=12",
    "--suffix=.patch",
    "--filename-max-length=64",
    "--unified=3",
    "--inter-hunk-context=0",
    "--indent-heuristic",
    "--diff-algorithm=myers",
    "-O/dev/null",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// Writes the commits of a range into that directory, a file for each.
pub(crate) fn format_patch(repository: &Path, range: &str, directory: &Path) -> Result<()> {
    let mut command = git(repository);
    command.arg("format-patch").args(FORMAT).arg("--output-directory").arg(directory);
    read(command.args([range, "--"]), b"").map(drop)
}
