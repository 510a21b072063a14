//! The kernel's own scripts: checkpatch and kernel-doc.

use std::fs;

use super::worktree::Worktree;
use crate::{Error, Patch, Result, diagnostics::Diagnostic, fs::scratch, subprocess};

/// Returns the complaints of the tree's `checkpatch.pl --strict` about a patch.
pub(super) fn checkpatch(worktree: &Worktree<'_>, number: usize, patch: &Patch) -> Result<Vec<String>> {
    let scratch = scratch()?;
    let mail = scratch.path().join(&*patch.file_name(number));
    fs::write(&mail, patch.mail()).map_err(Error::io("writing", &mail))?;

    let mut perl = subprocess::tool("perl");
    perl.args(["scripts/checkpatch.pl", "--strict", "--terse", "--show-types", "--no-summary"]);
    // The tree has no history with the commits that the message may name.
    perl.arg("--ignore=UNKNOWN_COMMIT_ID");
    perl.arg("--color=never").arg(&mail).current_dir(&worktree.tree);
    // This directory may have a configuration of the user's.
    perl.env("HOME", scratch.path());
    let output = subprocess::output(&mut perl, b"")?;
    let prefix = format!("{}/", scratch.path().display());
    let stdout = String::from_utf8_lossy(&output.stdout).replace(&prefix, "");
    let complaints: Vec<String> =
        stdout.lines().filter(|line| is_complaint(line)).map(str::to_owned).collect();
    if !output.status.success() && complaints.is_empty() {
        let words = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        return Ok(words.lines().map(str::to_owned).collect());
    }
    Ok(complaints)
}

/// Returns true for a line such as `FILE:LINE: CHECK:SPACING: words`.
fn is_complaint(line: &str) -> bool {
    [": ERROR:", ": WARNING:", ": CHECK:"].iter().any(|mark| line.contains(mark))
}

/// Returns the complaints of `kernel-doc` about the C sources and headers among these files.
pub(super) fn kernel_doc(worktree: &Worktree<'_>, files: &[String]) -> Result<Vec<Diagnostic>> {
    let is_source =
        |file: &&String| (file.ends_with(".c") || file.ends_with(".h")) && worktree.tree.join(file).is_file();
    let files: Vec<&String> = files.iter().filter(is_source).collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let mut script = subprocess::tool("./scripts/kernel-doc");
    script.arg("-none").args(files).current_dir(&worktree.tree);
    let output = subprocess::output(&mut script, b"")?;
    Ok(Diagnostic::all(&String::from_utf8_lossy(&output.stderr), &worktree.tree))
}
