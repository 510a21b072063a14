//! Initramfs of the guest, with the statically linked agent.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, DirEntry};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use kernel::{Inputs, hex};
use rootfs::{Artefacts, Manifest, Node};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::guest_file::{Link, Program};
use super::userland::Userland;
use crate::host::process::{command_line, spawn_pdeathsig};
use crate::host::terminal::{Terminal, Work};
use crate::host::{cache, workspace};

/// Sources of the guest's programs.
const SOURCES: [&str; 5] = ["Cargo.lock", "agent", "rootfs/src", "rootfs/manifest.toml", "scenarios/src"];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Returns an initramfs with the current agent, a shell if the host has one, and these programs,
/// directories and links. The last of several entries with the same path counts, and all replace
/// the guest's own. A link does not replace a directory that has entries. Paths in `absent` are
/// left out.
pub fn initramfs(
    programs: &[Program],
    directories: &[String],
    links: &[Link],
    absent: &[&str],
    cache: &Path,
    terminal: &Terminal,
) -> Result<PathBuf> {
    cache::lock_for_guests(cache, |who| terminal.note(who))?;
    let work = terminal.work("Building the guest");
    let agent = read(&build("guest", "guest", "guest", &work)?)?;
    let mut manifest = Manifest::testbed()?;
    absent.iter().for_each(|path| manifest.remove(path));
    let mut artefacts = Artefacts::from([("agent", agent.as_slice())]);
    let shell = Userland::shell()?.unwrap_or_default();
    for link in &shell.links {
        manifest.insert_with_parents(&link.path, Node::Symlink { target: link.target.clone() })?;
    }
    let added: Vec<&Program> = shell.programs.iter().chain(programs).collect();
    let files = added.iter().map(|program| read(&program.file)).collect::<Result<Vec<_>>>()?;
    for (program, file) in added.into_iter().zip(&files) {
        if artefacts.insert(&program.path, file).is_none() {
            manifest.remove(&program.path);
            manifest.insert_deep(&program.path, mode(&program.file)?)?;
        }
    }
    for directory in directories.iter().filter(|path| *path != "/") {
        if !manifest.has(directory) {
            manifest.insert_with_parents(directory, Node::Directory { mode: 0o755 })?;
        }
    }
    for link in links {
        let is_below = |path: &str| path.strip_prefix(&link.path).is_some_and(|rest| rest.starts_with('/'));
        if manifest.nodes().any(|(path, _)| is_below(path)) {
            continue;
        }
        manifest.remove(&link.path);
        manifest.insert_with_parents(&link.path, Node::Symlink { target: link.target.clone() })?;
    }
    let archive = rootfs::build(&manifest, &artefacts)?;
    let is_new = !place(&archive, cache).exists();
    let path = keep(&archive, cache)?;
    work.done();
    if is_new {
        explain(&shell.programs, terminal)?;
    }
    Ok(path)
}

pub fn agent(terminal: &Terminal) -> Result<PathBuf> {
    alone("guest", "guest", "guest", terminal)
}

/// Builds a program of this workspace for guests, from the package of the same name.
pub fn program(name: &str, terminal: &Terminal) -> Result<PathBuf> {
    alone(name, name, "guest", terminal)
}

/// Builds the program that judges a scenario in a guest without a host connection.
pub fn judge(terminal: &Terminal) -> Result<PathBuf> {
    alone("scenarios", "judge", "judge", terminal)
}

fn alone(package: &str, program: &str, profile: &str, terminal: &Terminal) -> Result<PathBuf> {
    let work = terminal.work(&format!("Building the {program}"));
    build(package, program, profile, &work).inspect(|_| work.done())
}

/// Returns an initramfs followed by a kernel's modules: the kernel unpacks one archive after the
/// other.
pub fn with_modules(initramfs: &Path, modules: &Path, cache: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(modules).and_then(Iterator::collect::<io::Result<Vec<DirEntry>>>);
    let entries = entries.with_context(|| format!("can't read {}", modules.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        files.insert(format!("/lib/modules/{}", entry.file_name().display()), read(&entry.path())?);
    }
    let mut manifest = Manifest::read("")?;
    for path in files.keys() {
        manifest.insert_deep(path, 0o644)?;
    }
    let artefacts = files.iter().map(|(path, file)| (path.as_str(), file.as_slice())).collect();
    let mut archive = read(initramfs)?;
    archive.extend(rootfs::build(&manifest, &artefacts)?);
    keep(&archive, cache)
}

fn place(archive: &[u8], cache: &Path) -> PathBuf {
    let key = hex(&Sha256::digest(archive)[..16]);
    cache.join("initramfs").join(format!("{key}.cpio"))
}

/// Writes an archive into the cache, under a name derived from its content.
pub fn keep(archive: &[u8], cache: &Path) -> Result<PathBuf> {
    let path = place(archive, cache);
    if !path.exists() {
        cache::write_whole(&path, archive)?;
    }
    Ok(path)
}

/// Returns the mode in the guest. Of the host's mode, only the execute bits matter.
fn mode(file: &Path) -> Result<u32> {
    let metadata = fs::metadata(file).with_context(|| format!("can't examine {}", file.display()))?;
    Ok(if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 })
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("can't read {}", file.display()))
}

/// Prints a note about the inputs that have changed since the last initramfs.
fn explain(programs: &[Program], terminal: &Terminal) -> Result<()> {
    let mut inputs = Inputs::default();
    for entry in SOURCES.iter().flat_map(|name| WalkDir::new(workspace::root().join(name))) {
        let entry = entry.context("can't list the sources of the guest's programs")?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(workspace::root()).unwrap_or(entry.path());
            let bytes = read(entry.path())?;
            inputs.add(name.display().to_string(), |hash| hash.update(bytes));
        }
    }
    for program in programs {
        let bytes = read(&program.file)?;
        inputs.add(&program.path, |hash| hash.update(bytes));
    }
    let record = directory().join("inputs");
    // Additional programs were requested, and need no explanation.
    if let Some(before) = Inputs::read(&record).filter(|before| *before != inputs) {
        terminal.note(&format!("the guest is built again: {}", inputs.changes_since(&before)));
    }
    inputs.write(&record).with_context(|| format!("can't write {}", record.display()))
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
}

/// Returns the lock files that cargo holds while it builds one of these programs.
pub fn locks() -> Vec<PathBuf> {
    let profiles = fs::read_dir(directory().join(TARGET)).into_iter().flatten().flatten();
    profiles.map(|profile| profile.path().join(".cargo-lock")).filter(|lock| lock.is_file()).collect()
}

/// Returns the directory of their builds.
pub fn directory() -> PathBuf {
    workspace::target().join("guest")
}

/// Builds a static program of this checkout. The task shows cargo's progress; an error has the
/// compiler's messages.
fn build(package: &str, program: &str, profile: &str, work: &Work) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    command
        .args(["build", "--package", package, "--bin", program, "--profile", profile, "--locked"])
        // Without an explicit target the flags would reach proc-macros, which can't be static.
        .args(["--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(workspace::root())
        // The outer cargo may hold the lock of its own target directory.
        .env("CARGO_TARGET_DIR", directory())
        .env("CARGO_BUILD_BUILD_DIR", directory())
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags())
        // The output is shown if the build fails.
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let line = command_line(&command);
    let mut cargo = spawn_pdeathsig(command)?;
    let errors = cargo.stderr.take();
    let (output, stderr) = thread::scope(|scope| {
        let stderr = scope.spawn(|| errors.map(|errors| follow(errors, work)).unwrap_or_default());
        (cargo.wait_with_output(), stderr.join().unwrap_or_default())
    });
    let output = output.with_context(|| format!("can't run: {line}"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}):\n{}", output.status, stderr.trim_end());
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .find_map(|message| message.executable)
        .ok_or_else(|| anyhow!("can't find the program that `{line}` has built"))
}

/// Returns cargo's output. Meanwhile shows the crate that it compiles, or the lock that it waits
/// for.
fn follow(errors: impl Read, work: &Work) -> String {
    let mut stderr = String::new();
    for line in BufReader::new(errors).split(b'\n').map_while(io::Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if let Some(step) = progress_of(&line) {
            work.show(&step);
        }
        stderr.push_str(&line);
        stderr.push('\n');
    }
    stderr
}

/// Returns the current step from a line of output, as in `compiling serde v1.0.229`.
fn progress_of(line: &str) -> Option<String> {
    let (verb, what) = line.trim_start().split_once(' ')?;
    let what = what.split(" (").next()?.trim();
    matches!(verb, "Blocking" | "Compiling" | "Downloading" | "Downloaded" | "Updating")
        .then(|| format!("{} {what}", verb.to_lowercase()))
}

/// Flags for a reproducible, static program at a fixed address: relocation at startup would write
/// to pages that are shared otherwise. Separated as cargo expects.
fn rustflags() -> String {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned(), "-Crelocation-model=static".to_owned()];
    flags.extend(home.map(|home| format!("--remap-path-prefix={}=/cargo", home.display())));
    flags.push(format!("--remap-path-prefix={}=/keyagents", workspace::root().display()));
    flags.join("\x1f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines_of_cargo_are_recognized() {
        let compiling = "   Compiling scenarios v0.1.0 (/home/me/keyagents/scenarios)";
        assert_eq!(progress_of(compiling).as_deref(), Some("compiling scenarios v0.1.0"));
        let waits = "    Blocking waiting for file lock on build directory";
        assert_eq!(progress_of(waits).as_deref(), Some("blocking waiting for file lock on build directory"));
        assert_eq!(progress_of("error[E0432]: unresolved import"), None);
        assert_eq!(progress_of("  --> agent/guest/src/main.rs:1:1"), None);
    }
}
