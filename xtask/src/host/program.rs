//! Programs for the guest that do not come from cargo: the host's own, and what its C compiler makes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use goblin::elf::Elf;
use lddtree::DependencyAnalyzer;
use nix::unistd::{AccessFlags, access};

use crate::artifacts::initramfs::Program;
use crate::host::process::{command_line, quoted};
use crate::host::workspace;

/// The first program of that name in `PATH` or where administrators' programs are. Like execvp(3), it passes over files that can't be
/// executed, and takes an empty place for the current directory.
pub fn find(name: &str) -> Option<PathBuf> {
    candidates(name).find(|file| is_executable(file))
}

/// Likewise.
///
/// # Errors
/// There is none.
pub fn in_path(name: &str) -> Result<PathBuf> {
    if let Some(program) = find(name) {
        return Ok(program);
    }
    match candidates(name).find(|file| file.is_file()) {
        Some(file) => {
            bail!("can't run {name}: {} is not executable (chmod +x {})", file.display(), quoted(&file))
        }
        None => bail!("there is no program `{name}` in PATH"),
    }
}

fn candidates(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> =
        env::split_paths(&path).chain(["/sbin", "/usr/sbin"].map(PathBuf::from)).collect();
    places.into_iter().map(move |place| place.join(name))
}

/// Whether it is a file that this process may execute.
pub fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}

/// Where the loader is told to look for libraries (`LD_LIBRARY_PATH`), each place as it was written and as an absolute path.
pub fn library_path() -> Vec<(String, PathBuf)> {
    let path = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let places = path.split([':', ';']).filter(|_| !path.is_empty());
    // An empty place is the current directory.
    let absolute = |place: &str| std::path::absolute(if place.is_empty() { "." } else { place }).ok();
    places.filter_map(|place| Some((place.to_owned(), absolute(place)?))).collect()
}

/// Where a program or a library wants libraries to be looked for: its RPATH or RUNPATH, with `$ORIGIN` put in.
pub fn search_directories(file: &Path) -> Vec<PathBuf> {
    let origin = file.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let bytes = fs::read(file).unwrap_or_default();
    let Ok(elf) = Elf::parse(&bytes) else { return Vec::new() };
    let lists = if elf.runpaths.is_empty() { &elf.rpaths } else { &elf.runpaths };
    let places = lists.iter().flat_map(|list| list.split(':'));
    let put_in = |place: &str| place.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
    places.map(put_in).filter(|place| place.starts_with('/')).map(PathBuf::from).collect()
}

/// The program for that path of the guest, and the libraries that it loads, for the paths where its loader looks for them.
///
/// # Errors
/// A library is missing on this host, or a file can't be read.
pub fn with_libraries(program: &Path, path: &str) -> Result<Vec<Program>> {
    let told = library_path();
    // The analyzer takes relative places for absolute ones, and forgets that a library inherits its program's RPATH.
    let further = told.iter().map(|(_, place)| place.clone()).chain(search_directories(program));
    let tree = DependencyAnalyzer::default()
        .library_paths(further.collect())
        .analyze(program)
        .with_context(|| format!("can't tell what {} loads", program.display()))?;
    let mut files = vec![Program { path: path.to_owned(), file: program.to_owned() }];
    let loader = tree.interpreter.as_deref();
    if let Some(loader) = loader.filter(|loader| !Path::new(loader).is_file()) {
        bail!("{} needs the loader {loader}, which this host lacks", program.display());
    }
    files.extend(loader.map(|loader| Program { path: loader.to_owned(), file: loader.into() }));
    // The C library names the loader as a library, too, which is loaded already.
    let is_loader = |name: &str| loader.is_some_and(|loader| Path::new(loader).ends_with(name));
    for library in tree.libraries.into_values().filter(|library| !is_loader(&library.name)) {
        let missing = || anyhow!("{} loads {}, which this host lacks", program.display(), library.name);
        let file = library.realpath.ok_or_else(missing)?;
        // The loader prefers these places to a RUNPATH, which the analyzer does not.
        let preferred = told.iter().map(|(_, place)| place.join(&library.name)).find(|file| file.is_file());
        if let Some(preferred) = preferred.filter(|preferred| *preferred != library.path) {
            files.push(Program { path: preferred.to_string_lossy().into_owned(), file: preferred });
        }
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
