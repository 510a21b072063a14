//! Programs for the guest that do not come from cargo: the host's own, and what its C compiler makes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use lddtree::DependencyAnalyzer;

use crate::guest::Program;
use crate::vm::process::command_line;
use crate::workspace;

/// A program of that name, in `PATH` or where administrators' programs are.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(["/sbin", "/usr/sbin"].map(PathBuf::from));
    places.map(|place| place.join(name)).find(|program| program.is_file())
}

/// The program for that path of the guest, and the libraries that it loads, for the paths where its loader looks for them.
///
/// # Errors
/// A library is missing on this host, or a file can't be read.
pub fn with_libraries(program: &Path, path: &str) -> Result<Vec<Program>> {
    let tree = DependencyAnalyzer::default()
        .analyze(program)
        .with_context(|| format!("can't tell what {} loads", program.display()))?;
    let mut files = vec![Program { path: path.to_owned(), file: program.to_owned() }];
    let loader = tree.interpreter.as_deref();
    files.extend(loader.map(|loader| Program { path: loader.to_owned(), file: loader.into() }));
    // The C library names the loader as a library, too, which is loaded already.
    let is_loader = |name: &str| loader.is_some_and(|loader| Path::new(loader).ends_with(name));
    for library in tree.libraries.into_values().filter(|library| !is_loader(&library.name)) {
        let missing = || anyhow!("{} loads {}, which this host lacks", program.display(), library.name);
        let file = library.realpath.ok_or_else(missing)?;
        files.push(Program { path: library.path.to_string_lossy().into_owned(), file });
    }
    Ok(files)
}

/// The smallest program that can serve as `/sbin/request-key`: no C library, a page of code.
///
/// # Errors
/// The C compiler, which a kernel's build needs too, is missing or fails.
pub fn minimal_request_key() -> Result<PathBuf> {
    let program = workspace::target().join("keyagents/request-key.minimal");
    fs::create_dir_all(program.parent().unwrap_or(&program))
        .with_context(|| format!("no place for {}", program.display()))?;
    let mut command = Command::new("gcc");
    command
        .args(["-static", "-nostdlib", "-Os", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"])
        .args(["-Wl,--build-id=none", "-s", "-o"])
        .arg(&program)
        .arg(workspace::root().join("agent/src/bench/request-key.c"))
        .stdin(Stdio::null());
    let line = command_line(&command);
    let output = command.output().with_context(|| format!("can't start: {line}"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_brings_its_loader_and_its_c_library() {
        let files = with_libraries(&find("sh").unwrap(), "/bin/sh").unwrap();
        let has = |part: &str| files.iter().filter(|it| it.path.contains(part)).count();
        assert_eq!((has("/bin/sh"), has("/ld-linux"), has("/libc.so")), (1, 1, 1), "{files:?}");
        assert!(files.iter().all(|it| it.path.starts_with('/') && it.file.is_file()), "{files:?}");
    }

    #[test]
    fn the_minimal_program_needs_no_loader() {
        let program = fs::read(minimal_request_key().unwrap()).unwrap();
        assert!(program.len() < 20_000, "{} bytes", program.len());
        assert!(!program.windows(8).any(|window| window == b"ld-linux"));
    }
}
