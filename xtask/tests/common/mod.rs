//! Runs of `cargo xtask` by tests.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Returns the command with these arguments and without input.
pub(crate) fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // The user's own record for `--failed` is not changed.
    command.env("KEYAGENTS_LAST_RUN", Path::new(env!("CARGO_TARGET_TMPDIR")).join("last-run.json"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns exit code, standard output and standard error.
pub(crate) fn streams(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
