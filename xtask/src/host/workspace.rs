//! Where things are in this checkout.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde::Deserialize;

/// The checkout that this program was built from.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Cargo's target directory: the one in which this program lies, however cargo was told of it. A copy that lies elsewhere asks cargo.
pub fn target() -> PathBuf {
    static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
        let program = env::current_exe().ok();
        let built_in = program.as_deref().and_then(target_of);
        built_in.or_else(configured_target).unwrap_or_else(|| root().join("target"))
    });
    TARGET.clone()
}

/// `TARGET[/TRIPLE]/PROFILE/…`: cargo keeps a lock in each profile's folder, and what it knows of the compiler at the top.
fn target_of(program: &Path) -> Option<PathBuf> {
    let profile = program.ancestors().skip(1).find(|folder| folder.join(".cargo-lock").is_file())?;
    let above = profile.parent()?;
    let top =
        [Some(above), above.parent()].into_iter().flatten().find(|it| it.join(".rustc_info.json").is_file());
    Some(top.unwrap_or(above).to_owned())
}

/// What `cargo metadata` says.
fn configured_target() -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(root());
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).ok()?;
    Some(metadata.target_directory)
}

/// The folder of the scenarios' families.
pub fn suite() -> PathBuf {
    root().join("scenarios/suite")
}

/// Where consoles are logged.
pub fn logs() -> PathBuf {
    target().join("keyagents/logs")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_target_directory_is_the_one_that_a_program_was_built_in_whatever_its_name() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("built here");
        for profile in ["debug", "x86_64-unknown-linux-gnu/debug"] {
            fs::create_dir_all(target.join(profile).join("deps")).unwrap();
            fs::write(target.join(profile).join(".cargo-lock"), "").unwrap();
        }
        fs::write(target.join(".rustc_info.json"), "").unwrap();
        for program in ["debug/xtask", "debug/deps/xtask-1", "x86_64-unknown-linux-gnu/debug/xtask"] {
            assert_eq!(target_of(&target.join(program)), Some(target.clone()), "{program}");
        }
        assert_eq!(target_of(&place.path().join("xtask")), None);
    }

    #[test]
    fn cargo_is_asked_where_a_program_lies_elsewhere() {
        assert!(configured_target().unwrap().is_absolute());
    }
}
