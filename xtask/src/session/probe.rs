//! Probe of a kind of virtual machine: whether it runs guests here. It takes a trial boot:
//! `/dev/kvm` can open on machines where no guest runs, and User-Mode Linux has failed on some
//! processors.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use indicatif::HumanDuration;
use kernel::hex;
use scenarios::verdict::ConsoleLine;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::host::cache;
use crate::host::process::spawn_pdeathsig;
use crate::host::terminal::Terminal;
use crate::session::{Failure, FailureKind, Session};
use crate::vm::qemu::Qemu;
use crate::vm::uml::{self, Uml};
use crate::vm::{BootConfig, uml_memory};

/// Deadline for a guest's hello. A guest that works takes a fraction of this.
const DEADLINE: Duration = Duration::from_secs(6);

/// Deadline for the firmware to print its name.
const FIRMWARE_DEADLINE: Duration = Duration::from_secs(3);

/// Lifetime of a recorded failure of User-Mode Linux, whose cause may have been a busy machine.
const PROBE_TTL: Duration = Duration::from_secs(600);

/// Memory in MiB of a kernel that is only to boot.
const TRIAL_MEMORY: u32 = 64;

/// Policy for a virtual machine with a recorded failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Probe it again: it was requested by name.
    Always,
    /// Probe it again only after the record has expired: there is an alternative.
    WhenForgotten,
}

/// Result of a probe.
pub enum Probe {
    /// Guests run.
    Works {
        /// Evidence that it works.
        why: String,
        /// The probe's guest, which is usable as any other.
        guest: Option<Box<Session>>,
    },
    /// Guests don't run.
    Fails {
        /// Observed cause.
        why: String,
    },
}

impl Probe {
    /// Returns the result of a probe whose guest came up.
    fn by(guest: Session) -> Self {
        let why = format!("a trial guest was up in {:.1} s", guest.age().as_secs_f32());
        Self::Works { why, guest: Some(Box::new(guest)) }
    }

    /// Returns success without a probe.
    pub fn unneeded(why: &str) -> Self {
        Self::Works { why: why.into(), guest: None }
    }
}

/// Recorded result of a probe, valid until the host's next boot.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    boot_id: String,
    /// Rights and limits of the process that ran the probe: see [`environment`].
    environment: String,
    /// Subject of the probe.
    what: String,
    works: bool,
    why: String,
    /// Time of the probe, in seconds since 1970.
    at: u64,
}

impl Remembered {
    fn age(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.at))
    }

    /// Returns the cause of the failure, and its age.
    fn told(&self) -> String {
        format!("{} (seen {} ago; --vm with its name tries it again)", self.why, HumanDuration(self.age()))
    }
}

/// Returns the reason that KVM runs no guest here, from quick checks without a guest's kernel;
/// `None` if they pass.
///
/// # Errors
/// QEMU is missing, or the host's boot can't be identified.
pub fn kvm_unusable(cache: &Path, terminal: &Terminal) -> Result<Option<String>> {
    if let Some(why) = kvm_is_denied() {
        return Ok(Some(why));
    }
    if let Some(remembered) = recall(cache, "kvm", "any")? {
        return Ok((!remembered.works).then(|| remembered.told()));
    }
    if firmware_runs()? {
        return Ok(None);
    }
    let why = "not even QEMU's firmware ran on it";
    remember(cache, "kvm", "any", false, why)?;
    terminal.note(&format!("KVM runs no guest on this machine: {why}"));
    Ok(Some(why.into()))
}

/// Returns the reason that `/dev/kvm` can't be opened. Not recorded: permission may change, and the
/// check is cheap.
fn kvm_is_denied() -> Option<String> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    opened.err().map(|error| format!("/dev/kvm: {error}"))
}

/// Checks that KVM runs this guest, by the record or by a probe.
///
/// # Errors
/// QEMU is missing, or the result can't be written.
pub fn kvm(boot: &BootConfig, retry: Retry, cache: &Path, terminal: &Terminal) -> Result<Probe> {
    let out = match retry {
        Retry::Always => kvm_is_denied(),
        Retry::WhenForgotten => kvm_unusable(cache, terminal)?,
    };
    if let Some(why) = out {
        return Ok(Probe::Fails { why });
    }
    if let Some(remembered) = recall(cache, "kvm", "any")?.filter(|it| it.works) {
        return Ok(Probe::unneeded(&remembered.why));
    }
    let trial = match Session::open_within(DEADLINE, &Qemu::kvm(), boot)? {
        Ok(guest) => Probe::by(guest),
        Err(failure) => Probe::Fails { why: cause(&failure) },
    };
    match &trial {
        Probe::Works { why, .. } => remember(cache, "kvm", "any", true, why)?,
        Probe::Fails { why } => remember(cache, "kvm", "any", false, why)?,
    }
    Ok(trial)
}

/// Checks that User-Mode Linux runs this guest. The probe is quick unless the guest stays silent;
/// only that failure is recorded, for ten minutes.
///
/// # Errors
/// The result can't be written.
pub fn uml(uml: &Uml, boot: &BootConfig, image: &str, retry: Retry, cache: &Path) -> Result<Probe> {
    let remembered = recall(cache, "uml", image)?.filter(|it| !it.works && it.age() < PROBE_TTL);
    if let Some(remembered) = remembered.filter(|_| retry == Retry::WhenForgotten) {
        return Ok(Probe::Fails { why: remembered.told() });
    }
    // Not recorded, since the check is cheap.
    if let Err(why) = uml_memory::directory(boot.memory_mib) {
        return Ok(Probe::Fails { why: why.to_string() });
    }
    let failure = match Session::open_within(DEADLINE, uml, boot)? {
        Ok(guest) => return Ok(Probe::by(guest)),
        Err(failure) => failure,
    };
    let why = cause(&failure);
    if failure.kind == FailureKind::Hung {
        remember(cache, "uml", image, false, &why)?;
    }
    Ok(Probe::Fails { why })
}

/// Returns the reason that User-Mode Linux runs no guest here, by the last probe; `None` without a
/// recorded failure.
///
/// # Errors
/// The host's boot can't be identified.
pub fn uml_unusable(cache: &Path) -> Result<Option<String>> {
    let remembered = here(cache, "uml")?.filter(|it| !it.works && it.age() < PROBE_TTL);
    Ok(remembered.map(|it| it.told()))
}

/// Returns the time that User-Mode Linux's kernel takes to boot and to find that it has no root;
/// `None` if it does not.
///
/// # Errors
/// The kernel can't be started.
pub fn uml_boots(image: &Path) -> Result<Option<Duration>> {
    uml_memory::directory(TRIAL_MEMORY)?;
    let began = Instant::now();
    let place = tempfile::tempdir().context("no place for its pid")?;
    let mut command = Uml::kernel(image, TRIAL_MEMORY, &place.path().join("trial"));
    command.arg(uml::CONSOLE).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn_pdeathsig(command)?;
    let Some(words) = child.stdout.take() else { return Ok(None) };
    let (heard, word) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(words).split(b'\n').map_while(Result::ok);
        let rootless = |line: Vec<u8>| String::from_utf8_lossy(&line).contains("root");
        // The receiver is gone after the deadline.
        let _ = heard.send(lines.any(rootless));
    });
    let up = word.recv_timeout(FIRMWARE_DEADLINE).unwrap_or(false);
    let took = began.elapsed();
    // Errors mean that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
    Ok(up.then_some(took))
}

/// Returns a remedy for this failure of KVM.
pub fn kvm_remedy(why: &str) -> &'static str {
    if why.contains("Permission denied") {
        "let yourself in with `sudo usermod --append --groups kvm $USER`, then log in again"
    } else if why.contains("No such file") {
        "enable virtualisation in the firmware, or nested virtualisation where this is a guest itself"
    } else {
        "where this is a guest itself, its host has to support nested virtualisation"
    }
}

/// Returns the reason that a guest did not come up.
fn cause(failure: &Failure) -> String {
    let last_words = failure.cause.console.last().map(|line| format!("; its last words: {line}"));
    let seen = || format!("{}{}", failure.cause.summary, last_words.unwrap_or_default());
    denied(&failure.cause.console).map_or_else(seen, str::to_owned)
}

/// Returns the hint for a console that shows a denied ptrace(2).
fn denied(console: &[ConsoleLine]) -> Option<&'static str> {
    console.iter().any(|line| line.text.contains("ptrace: Operation not permitted")).then_some(
        "ptrace(2) is denied here, and User-Mode Linux needs it; allow it in the container's seccomp profile, or in Yama's \
         kernel.yama.ptrace_scope",
    )
}

/// Starts QEMU's firmware on KVM, and checks that it prints its name.
fn firmware_runs() -> Result<bool> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "64", "-nodefaults"]);
    command.args(["-no-user-config", "-display", "none", "-no-reboot", "-chardev", "stdio,id=words"]);
    command.args(["-device", "isa-debugcon,iobase=0x402,chardev=words"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn_pdeathsig(command)?;
    let Some(mut words) = child.stdout.take() else { return Ok(false) };
    let (heard, word) = mpsc::channel();
    thread::spawn(move || {
        // The receiver is gone after the deadline.
        let _ = heard.send(matches!(words.read(&mut [0; 16]), Ok(1..)));
    });
    let runs = word.recv_timeout(FIRMWARE_DEADLINE).unwrap_or(false);
    // Errors mean that it has ended already.
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

/// Properties of this process that may decide a probe: limits, rights, mounts, and the programs and
/// directories in its environment variables.
fn environment() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let status = read("/proc/self/status");
    let rights = ["Uid:", "Gid:", "Groups:", "CapEff:", "NoNewPrivs:", "Seccomp"];
    let mut parts: Vec<String> = status
        .lines()
        .filter(|line| rights.iter().any(|right| line.starts_with(right)))
        .map(str::to_owned)
        .collect();
    parts.push(read("/proc/self/limits"));
    let spaces = ["mnt", "user", "pid"].map(|space| fs::read_link(format!("/proc/self/ns/{space}")));
    parts.extend(spaces.into_iter().flatten().map(|space| space.display().to_string()));
    let variables = ["PATH", "LD_LIBRARY_PATH", "TMPDIR", "TMP", "TEMP"].map(env::var_os);
    parts.push(format!("{variables:?}"));
    hex(&Sha256::digest(parts.join("\n"))[..8])
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the record for this boot of the host and an environment equal to this process's.
fn here(cache: &Path, kind: &str) -> Result<Option<Remembered>> {
    let remembered = fs::read(path(cache, kind)).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let (boot_id, environment) = (boot_id()?, environment());
    Ok(remembered.filter(|it: &Remembered| it.boot_id == boot_id && it.environment == environment))
}

fn recall(cache: &Path, kind: &str, what: &str) -> Result<Option<Remembered>> {
    Ok(here(cache, kind)?.filter(|it| it.what == what))
}

fn remember(cache: &Path, kind: &str, what: &str, works: bool, why: &str) -> Result<()> {
    let remembered = Remembered {
        boot_id: boot_id()?,
        environment: environment(),
        what: what.into(),
        works,
        why: why.into(),
        at: now(),
    };
    cache::write_whole(&path(cache, kind), &serde_json::to_vec_pretty(&remembered)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::time_scale::TimeScale;

    #[test]
    fn a_failure_is_told_with_its_age_and_not_where_other_limits_hold() {
        let cache = tempfile::tempdir().unwrap();
        remember(cache.path(), "uml", "image", false, "it hung").unwrap();
        let told = uml_unusable(cache.path()).unwrap().unwrap();
        assert!(told.starts_with("it hung (seen ") && told.contains(" ago"), "{told}");
        let file = path(cache.path(), "uml");
        let other = fs::read_to_string(&file).unwrap().replace(&environment(), "of another shell");
        fs::write(&file, other).unwrap();
        assert_eq!(uml_unusable(cache.path()).unwrap(), None);
    }

    #[test]
    fn who_names_the_machine_has_it_tried_whatever_is_remembered() {
        let cache = tempfile::tempdir().unwrap();
        remember(cache.path(), "uml", "image", false, "it hung").unwrap();
        let boot = BootConfig {
            image: "/no/such/image".into(),
            initramfs: "/dev/null".into(),
            parameters: Vec::new(),
            memory_mib: 1,
            cpus: 1,
            clock: Default::default(),
            pace: TimeScale::PLAIN,
            log: "/dev/null".into(),
            interactive: false,
            debugger: None,
            patience: None,
            listener: Default::default(),
        };
        let trial = uml(&Uml::default(), &boot, "image", Retry::WhenForgotten, cache.path()).unwrap();
        assert!(matches!(trial, Probe::Fails { why } if why.starts_with("it hung (seen ")));
        let error = uml(&Uml::default(), &boot, "image", Retry::Always, cache.path()).err().unwrap();
        assert!(error.to_string().starts_with("can't start: /no/such/image"), "{error}");
    }

    #[test]
    fn each_reason_why_kvm_is_out_has_its_remedy() {
        assert!(kvm_remedy("/dev/kvm: Permission denied (os error 13)").contains("usermod"));
        assert!(kvm_remedy("/dev/kvm: No such file or directory (os error 2)").contains("firmware"));
        assert!(kvm_remedy("not even QEMU's firmware ran on it").contains("nested"));
    }

    #[test]
    fn denied_ptrace_is_named() {
        let said = [
            "Checking that ptrace can change system call numbers...ptrace: Operation not permitted",
            "status = 9",
        ];
        assert!(denied(&said.map(Into::into)).unwrap().starts_with("ptrace(2) is denied here"));
        assert_eq!(denied(&["status = 9".into()]), None);
    }

    #[test]
    fn a_failure_is_forgotten_after_a_while() {
        let cache = tempfile::tempdir().unwrap();
        remember(cache.path(), "uml", "image", false, "it hung").unwrap();
        let file = path(cache.path(), "uml");
        let mut old = here(cache.path(), "uml").unwrap().unwrap();
        old.at -= PROBE_TTL.as_secs();
        fs::write(&file, serde_json::to_vec(&old).unwrap()).unwrap();
        assert_eq!(uml_unusable(cache.path()).unwrap(), None);
    }
}
