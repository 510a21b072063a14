//! Where things are in this checkout.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout that this program was built from.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |target| root().join(target))
}

/// The folder of the scenarios' families.
pub fn suite() -> PathBuf {
    root().join("scenarios/suite")
}

/// Where consoles are logged.
pub fn logs() -> PathBuf {
    target().join("keyagents/logs")
}
