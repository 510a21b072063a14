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
    "--no-ext-diff",
    "--no-renames",
    "--subject-prefix=PATCH",
    "--abbrev=12",
    "--unified=3",
    "--diff-algorithm=myers",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// Writes the commits of a range into that directory, a file for each.
pub(crate) fn format_patch(repository: &Path, range: &str, directory: &Path) -> Result<()> {
    let mut command = git(repository);
    command.arg("format-patch").args(FORMAT).arg("--output-directory").arg(directory);
    read(command.args([range, "--"]), b"").map(drop)
}
