//! Paths in this checkout.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde::Deserialize;

/// Returns the checkout that this program was built from.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Returns a command of the cargo that started this program, or of the one in `PATH`.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns Cargo's target directory by `cargo metadata`; without cargo, the checkout's `target`.
pub fn target() -> PathBuf {
    static TARGET: LazyLock<PathBuf> =
        LazyLock::new(|| configured_target().unwrap_or_else(|| root().join("target")));
    TARGET.clone()
}

fn configured_target() -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let mut cargo = cargo();
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(root());
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).ok()?;
    Some(metadata.target_directory)
}

pub fn suite() -> PathBuf {
    root().join("scenarios/suite")
}

pub fn logs() -> PathBuf {
    target().join("keyagents/logs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_directory_is_absolute() {
        assert!(configured_target().unwrap().is_absolute());
    }
}
