//! Minimal `/sbin/request-key`, built by the host's C compiler.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::host::{process, workspace};

/// Builds the smallest program that can serve as `/sbin/request-key`: no C library, a page of code.
pub fn build() -> Result<PathBuf> {
    let program = workspace::target().join("keyagents/request-key.minimal");
    fs::create_dir_all(program.parent().unwrap_or(&program))
        .with_context(|| format!("can't create {}", program.display()))?;
    let mut command = Command::new("gcc");
    command
        .args(["-static", "-nostdlib", "-Os", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"])
        .args(["-Wl,--build-id=none", "-s", "-o"])
        .arg(&program)
        .arg(workspace::root().join("agent/guest/src/bench/request-key.c"));
    process::run(&mut command)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimal_program_needs_no_loader() {
        let program = fs::read(build().unwrap()).unwrap();
        assert!(program.len() < 20_000, "{} bytes", program.len());
        assert!(!program.windows(8).any(|window| window == b"ld-linux"));
    }
}
