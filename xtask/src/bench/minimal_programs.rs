//! Minimal programs for guests, built by the host's C compiler: no C library, a page of code.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::host::{process, workspace};

/// Builds the smallest program that can serve as `/sbin/request-key`.
pub fn request_key() -> Result<PathBuf> {
    build("request-key")
}

/// Builds the smallest program that can answer for `keyagentd --exec`: the payload is the callout
/// information.
pub fn copy() -> Result<PathBuf> {
    build("copy")
}

fn build(name: &str) -> Result<PathBuf> {
    let program = workspace::target().join(format!("keyagents/{name}.minimal"));
    fs::create_dir_all(program.parent().unwrap_or(&program))
        .with_context(|| format!("can't create {}", program.display()))?;
    let mut command = Command::new("gcc");
    command
        .args(["-static", "-nostdlib", "-Os", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"])
        .args(["-Wl,--build-id=none", "-s", "-o"])
        .arg(&program)
        .arg(workspace::root().join(format!("agent/guest/src/bench/{name}.c")));
    process::run(&mut command)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn minimal_program_needs_no_loader() {
        let program = fs::read(request_key().unwrap()).unwrap();
        assert!(program.len() < 20_000, "{} bytes", program.len());
        assert!(!program.windows(8).any(|window| window == b"ld-linux"));
    }

    #[test]
    fn copy_prints_its_input() {
        let mut command = Command::new(copy().unwrap());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = vec![b'x'; 10_000];
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(0), input));
    }
}
