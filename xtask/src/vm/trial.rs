//! Does this kind of virtual machine run guests here? Only a trial tells: /dev/kvm can open on machines where no guest ever
//! runs, and User-Mode Linux has failed on some processors.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::process::spawn_bound;
use super::{Backend, Boot, qemu::Qemu, uml, uml::Uml};
use crate::cache;
use crate::session::Session;
use crate::terminal::Terminal;

/// A guest that works says its first word within a fraction of this.
const DEADLINE: Duration = Duration::from_secs(6);

/// How long the firmware may take to print its name.
const FIRMWARE_DEADLINE: Duration = Duration::from_secs(3);

/// How long User-Mode Linux is held to fail: it may have been for want of time, on a machine that had other work.
const LASTING: Duration = Duration::from_secs(600);

/// What came of a trial.
pub enum Trial {
    /// Guests run.
    Works {
        /// How that is known.
        why: String,
        /// The guest that was tried, which is as good as any other.
        guest: Option<Box<Session>>,
    },
    /// Guests don't run.
    Fails {
        /// What was seen.
        why: String,
    },
}

impl Trial {
    /// Nobody doubts that it works.
    pub fn unneeded(why: &str) -> Self {
        Self::Works { why: why.into(), guest: None }
    }
}

/// What is remembered of a trial, for as long as the host is not started anew.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    boot_id: String,
    /// What was tried.
    what: String,
    works: bool,
    why: String,
}

/// Why KVM can't run guests here, as far as it can be told at once, without a guest's kernel.
///
/// # Errors
/// QEMU is missing, or this boot of the host can't be told from others.
pub fn kvm_is_out(cache: &Path, terminal: &Terminal) -> Result<Option<String>> {
    // Permission may change from one minute to the next and costs nothing to ask: not remembered.
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(Some(format!("/dev/kvm: {error}")));
    }
    if let Some(remembered) = recall(cache, "kvm", "any")? {
        return Ok((!remembered.works).then_some(remembered.why));
    }
    if firmware_runs()? {
        return Ok(None);
    }
    let why = "not even QEMU's firmware ran on it";
    remember(cache, "kvm", "any", false, why)?;
    terminal.note(&format!("KVM runs no guest on this machine: {why}"));
    Ok(Some(why.into()))
}

/// Whether KVM runs this guest: as remembered, or found out now.
///
/// # Errors
/// QEMU is missing, or the verdict can't be written down.
pub fn kvm(boot: &Boot, cache: &Path, terminal: &Terminal) -> Result<Trial> {
    if let Some(why) = kvm_is_out(cache, terminal)? {
        return Ok(Trial::Fails { why });
    }
    if let Some(remembered) = recall(cache, "kvm", "any")? {
        return Ok(Trial::unneeded(&remembered.why));
    }
    let trial = start(&Qemu::kvm(), boot)?;
    match &trial {
        Trial::Works { why, .. } => remember(cache, "kvm", "any", true, why)?,
        Trial::Fails { why } => remember(cache, "kvm", "any", false, why)?,
    }
    Ok(trial)
}

/// Whether User-Mode Linux runs this guest. It is quickly tried, so that only a failure, which may take long, is remembered, and
/// that for ten minutes.
///
/// # Errors
/// The verdict can't be written down.
pub fn uml(boot: &Boot, image: &str, cache: &Path) -> Result<Trial> {
    if let Some(remembered) = recall(cache, "uml", image)?.filter(|_| is_recent(cache, "uml")) {
        return Ok(Trial::Fails { why: remembered.why });
    }
    let trial = start(&Uml, boot)?;
    if let Trial::Fails { why } = &trial {
        remember(cache, "uml", image, false, why)?;
    }
    Ok(trial)
}

/// Why User-Mode Linux runs no guest here, as the last trial has shown. None: nothing speaks against it.
///
/// # Errors
/// This boot of the host can't be told from others.
pub fn uml_is_out(cache: &Path) -> Result<Option<String>> {
    let boot_id = boot_id()?;
    let remembered = fs::read(path(cache, "uml")).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let stands = |it: &Remembered| it.boot_id == boot_id && !it.works && is_recent(cache, "uml");
    Ok(remembered.filter(stands).map(|it| it.why))
}

/// How long the kernel of User-Mode Linux takes to come up here and to find that it was given no root. None: it does not.
///
/// # Errors
/// It can't be started.
pub fn uml_comes_up(image: &Path) -> Result<Option<Duration>> {
    let began = Instant::now();
    let place = tempfile::tempdir().context("no place for its pid")?;
    let mut command = Uml::kernel(image, 64, &place.path().join("trial"));
    command.arg(uml::CONSOLE).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn_bound(command)?;
    let Some(words) = child.stdout.take() else { return Ok(None) };
    let (heard, word) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(words).split(b'\n').map_while(Result::ok);
        let rootless = |line: Vec<u8>| String::from_utf8_lossy(&line).contains("root");
        // Nobody waits any more when it was too late.
        let _ = heard.send(lines.any(rootless));
    });
    let up = word.recv_timeout(FIRMWARE_DEADLINE).unwrap_or(false);
    let took = began.elapsed();
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    Ok(up.then_some(took))
}

fn start(backend: &dyn Backend, boot: &Boot) -> Result<Trial> {
    Ok(match Session::open_within(DEADLINE, backend, boot)? {
        Ok(guest) => Trial::Works {
            why: format!("a trial guest was up in {:.1} s", guest.age().as_secs_f32()),
            guest: Some(Box::new(guest)),
        },
        Err(failure) => {
            let last_words = failure.console.last().map(|line| format!("; its last words: {line}"));
            Trial::Fails { why: format!("{}{}", failure.why, last_words.unwrap_or_default()) }
        }
    })
}

/// Starts QEMU's firmware on KVM, and hears whether it says its name.
fn firmware_runs() -> Result<bool> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "64", "-nodefaults"]);
    command.args(["-no-user-config", "-display", "none", "-no-reboot", "-chardev", "stdio,id=words"]);
    command.args(["-device", "isa-debugcon,iobase=0x402,chardev=words"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn_bound(command)?;
    let Some(mut words) = child.stdout.take() else { return Ok(false) };
    let (heard, word) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more when it was too late.
        let _ = heard.send(matches!(words.read(&mut [0; 16]), Ok(1..)));
    });
    let runs = word.recv_timeout(FIRMWARE_DEADLINE).unwrap_or(false);
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    Ok(runs)
}

fn path(cache: &Path, kind: &str) -> std::path::PathBuf {
    cache.join(format!("{kind}-verdict.json"))
}

fn boot_id() -> Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").context("can't tell this boot of the host")
}

fn recall(cache: &Path, kind: &str, what: &str) -> Result<Option<Remembered>> {
    let remembered = fs::read(path(cache, kind)).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let boot_id = boot_id()?;
    Ok(remembered.filter(|it: &Remembered| it.boot_id == boot_id && it.what == what))
}

fn is_recent(cache: &Path, kind: &str) -> bool {
    let written = fs::metadata(path(cache, kind)).and_then(|file| file.modified());
    written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age < LASTING))
}

fn remember(cache: &Path, kind: &str, what: &str, works: bool, why: &str) -> Result<()> {
    let remembered = Remembered { boot_id: boot_id()?, what: what.into(), works, why: why.into() };
    cache::write_whole(&path(cache, kind), &serde_json::to_vec_pretty(&remembered)?)
}
