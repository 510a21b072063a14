//! Probe of a kind of virtual machine: whether it runs guests here. It takes a trial boot:
//! `/dev/kvm` can open on machines where no guest runs, and User-Mode Linux has failed on some
//! processors.

use std::env;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use indicatif::HumanDuration;
use kernel::hex;
use nix::errno::Errno;
use scenarios::verdict::ConsoleLine;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::host::cache;
use crate::host::process::spawn_pdeathsig;
use crate::host::terminal::Terminal;
use crate::session::{Failure, FailureKind, Session};
use crate::vm::qemu::Qemu;
use crate::vm::uml::{self, Uml};
use crate::vm::{BootConfig, uml_memory_directory};

/// Deadline for a guest's hello. A guest that works takes a fraction of this.
const DEADLINE: Duration = Duration::from_secs(6);

/// Deadline for the first output of a firmware or a kernel.
const FIRMWARE_DEADLINE: Duration = Duration::from_secs(3);

/// Lifetime of a recorded failure of User-Mode Linux, whose cause may have been a busy machine.
const PROBE_TTL: Duration = Duration::from_secs(600);

/// Memory in MiB of a kernel that is only to boot.
const PROBE_MEMORY: u32 = 64;

/// Policy for a virtual machine with a recorded failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Probe it again: it was requested by name.
    Always,
    /// Probe it again only after the record has expired: there is an alternative.
    WhenExpired,
}

pub enum Probe {
    Works {
        why: String,
        /// The probe's guest, which is usable as any other.
        guest: Option<Box<Session>>,
    },
    Fails(Unusable),
}

/// Reason that a kind of virtual machine runs no guest here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// `/dev/kvm` can't be opened.
    Device(Errno),
    /// A guest did not come up, for this reason.
    Guest(String),
}

impl Unusable {
    pub fn kvm_remedy(&self) -> &'static str {
        match self {
            Self::Device(Errno::EACCES | Errno::EPERM) => {
                "add yourself to its group (`sudo usermod --append --groups kvm $USER`) and log in again"
            }
            Self::Device(_) => {
                "enable virtualisation in the firmware; if this machine is virtual, nested virtualisation on its host"
            }
            Self::Guest(_) => "if this machine is virtual, its host must support nested virtualisation",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(errno) => write!(f, "/dev/kvm: {}", errno.desc()),
            Self::Guest(why) => f.write_str(why),
        }
    }
}

impl Probe {
    /// Returns the result of a probe whose guest came up.
    fn by(guest: Session) -> Self {
        let why = format!("a guest booted in {:.1} s", guest.age().as_secs_f32());
        Self::Works { why, guest: Some(Box::new(guest)) }
    }

    pub fn unneeded(why: &str) -> Self {
        Self::Works { why: why.into(), guest: None }
    }
}

/// Recorded result of a probe, valid until the host's next boot.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    boot_id: String,
    /// Rights and limits of the process that ran the probe: see [`environment`].
    environment: String,
    what: String,
    works: bool,
    why: String,
    /// Time of the probe, in seconds since 1970.
    at: u64,
}

impl Record {
    fn age(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.at))
    }

    /// Returns the cause of the failure, and its age.
    fn describe(&self) -> String {
        format!("{} (seen {} ago; name it with --vm to try again)", self.why, HumanDuration(self.age()))
    }
}

/// Returns the reason that KVM runs no guest here, from quick checks without a guest's kernel;
/// `None` if they pass.
pub fn kvm_unusable(cache: &Path, terminal: &Terminal) -> Result<Option<Unusable>> {
    if let Some(why) = kvm_is_denied() {
        return Ok(Some(why));
    }
    if let Some(record) = load_record(cache, "kvm", "any")? {
        return Ok((!record.works).then(|| Unusable::Guest(record.describe())));
    }
    if firmware_runs()? {
        return Ok(None);
    }
    let why = "QEMU's firmware does not start with it";
    save_record(cache, "kvm", "any", false, why)?;
    terminal.note(&format!("KVM runs no guest on this machine: {why}"));
    Ok(Some(Unusable::Guest(why.into())))
}

/// Returns the reason that `/dev/kvm` can't be opened. Not recorded: permission may change, and the
/// check is cheap.
fn kvm_is_denied() -> Option<Unusable> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    opened.err().map(|error| Unusable::Device(Errno::from_raw(error.raw_os_error().unwrap_or_default())))
}

/// Checks that KVM runs this guest, by the record or by a probe.
pub fn kvm(boot: &BootConfig, retry: Retry, cache: &Path, terminal: &Terminal) -> Result<Probe> {
    let failure = match retry {
        Retry::Always => kvm_is_denied(),
        Retry::WhenExpired => kvm_unusable(cache, terminal)?,
    };
    if let Some(why) = failure {
        return Ok(Probe::Fails(why));
    }
    if let Some(record) = load_record(cache, "kvm", "any")?.filter(|it| it.works) {
        return Ok(Probe::unneeded(&record.why));
    }
    let probe = match Session::open_within(DEADLINE, &Qemu::kvm(), boot)? {
        Ok(guest) => Probe::by(guest),
        Err(failure) => Probe::Fails(Unusable::Guest(cause(&failure))),
    };
    match &probe {
        Probe::Works { why, .. } => save_record(cache, "kvm", "any", true, why)?,
        Probe::Fails(why) => save_record(cache, "kvm", "any", false, &why.to_string())?,
    }
    Ok(probe)
}

/// Checks that User-Mode Linux runs this guest. The probe is quick unless the guest stays silent;
/// only that failure is recorded, for ten minutes.
pub fn uml(uml: &Uml, boot: &BootConfig, image: &str, retry: Retry, cache: &Path) -> Result<Probe> {
    let record = load_record(cache, "uml", image)?.filter(|it| !it.works && it.age() < PROBE_TTL);
    if let Some(record) = record.filter(|_| retry == Retry::WhenExpired) {
        return Ok(Probe::Fails(Unusable::Guest(record.describe())));
    }
    // Not recorded, since the check is cheap.
    if let Err(why) = uml_memory_directory::of(boot.memory_mib) {
        return Ok(Probe::Fails(Unusable::Guest(why.to_string())));
    }
    let failure = match Session::open_within(DEADLINE, uml, boot)? {
        Ok(guest) => return Ok(Probe::by(guest)),
        Err(failure) => failure,
    };
    let why = cause(&failure);
    if failure.kind == FailureKind::Hung {
        save_record(cache, "uml", image, false, &why)?;
    }
    Ok(Probe::Fails(Unusable::Guest(why)))
}

/// Returns the reason that User-Mode Linux runs no guest here, by the last probe; `None` without a
/// recorded failure.
pub fn uml_unusable(cache: &Path) -> Result<Option<String>> {
    let record = valid_record(cache, "uml")?.filter(|it| !it.works && it.age() < PROBE_TTL);
    Ok(record.map(|it| it.describe()))
}

/// Returns the time that User-Mode Linux's kernel takes to boot and to find that it has no root;
/// `None` if it does not.
pub fn uml_boots(image: &Path) -> Result<Option<Duration>> {
    uml_memory_directory::of(PROBE_MEMORY)?;
    let began = Instant::now();
    let place = tempfile::tempdir().context("can't create a directory for the pid file")?;
    let mut command = Uml::kernel(image, PROBE_MEMORY, &place.path().join("probe"));
    command.arg(uml::CONSOLE);
    let is_rootless = |line: Vec<u8>| String::from_utf8_lossy(&line).contains("root");
    let up = prints(command, move |stdout| {
        BufReader::new(stdout).split(b'\n').map_while(Result::ok).any(is_rootless)
    })?;
    Ok(up.then(|| began.elapsed()))
}

/// Starts a program, checks its output within [`FIRMWARE_DEADLINE`], and stops it.
fn prints(mut command: Command, check: impl FnOnce(ChildStdout) -> bool + Send + 'static) -> Result<bool> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn_pdeathsig(command)?;
    let Some(stdout) = child.stdout.take() else { return Ok(false) };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // The receiver is gone after the deadline.
        let _ = sender.send(check(stdout));
    });
    let printed = receiver.recv_timeout(FIRMWARE_DEADLINE).unwrap_or(false);
    // Errors mean that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
    Ok(printed)
}

fn cause(failure: &Failure) -> String {
    let last_line = failure.cause.console.last().map(|line| format!("; last line of the console: {line}"));
    let seen = || format!("{}{}", failure.cause.summary, last_line.unwrap_or_default());
    ptrace_hint(&failure.cause.console).map_or_else(seen, str::to_owned)
}

/// Returns the hint for a console that shows a denied ptrace(2).
fn ptrace_hint(console: &[ConsoleLine]) -> Option<&'static str> {
    console.iter().any(|line| line.text.contains("ptrace: Operation not permitted")).then_some(
        "ptrace(2) is denied here, and User-Mode Linux needs it; allow it in the container's seccomp profile, or in Yama's \
         kernel.yama.ptrace_scope",
    )
}

/// Starts QEMU's firmware on KVM, and checks that it prints its name.
fn firmware_runs() -> Result<bool> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "64", "-nodefaults"]);
    command.args(["-no-user-config", "-display", "none", "-no-reboot", "-chardev", "stdio,id=firmware"]);
    command.args(["-device", "isa-debugcon,iobase=0x402,chardev=firmware"]);
    prints(command, |mut stdout| matches!(stdout.read(&mut [0; 16]), Ok(1..)))
}

fn path(cache: &Path, kind: &str) -> std::path::PathBuf {
    cache.join(format!("{kind}-verdict.json"))
}

fn boot_id() -> Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").context("can't identify this boot of the host")
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
fn valid_record(cache: &Path, kind: &str) -> Result<Option<Record>> {
    let record = fs::read(path(cache, kind)).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let (boot_id, environment) = (boot_id()?, environment());
    Ok(record.filter(|it: &Record| it.boot_id == boot_id && it.environment == environment))
}

fn load_record(cache: &Path, kind: &str, what: &str) -> Result<Option<Record>> {
    Ok(valid_record(cache, kind)?.filter(|it| it.what == what))
}

fn save_record(cache: &Path, kind: &str, what: &str, works: bool, why: &str) -> Result<()> {
    let record = Record {
        boot_id: boot_id()?,
        environment: environment(),
        what: what.into(),
        works,
        why: why.into(),
        at: now(),
    };
    cache::write_whole(&path(cache, kind), &serde_json::to_vec_pretty(&record)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_failure_has_its_age_and_is_ignored_under_other_limits() {
        let cache = tempfile::tempdir().unwrap();
        save_record(cache.path(), "uml", "image", false, "it hung").unwrap();
        let message = uml_unusable(cache.path()).unwrap().unwrap();
        assert!(message.starts_with("it hung (seen ") && message.contains(" ago"), "{message}");
        let file = path(cache.path(), "uml");
        let other = fs::read_to_string(&file).unwrap().replace(&environment(), "of another shell");
        fs::write(&file, other).unwrap();
        assert_eq!(uml_unusable(cache.path()).unwrap(), None);
    }

    #[test]
    fn named_machine_is_probed_despite_a_recorded_failure() {
        let cache = tempfile::tempdir().unwrap();
        save_record(cache.path(), "uml", "image", false, "it hung").unwrap();
        let boot = BootConfig::without_files();
        let probe = uml(&Uml::default(), &boot, "image", Retry::WhenExpired, cache.path()).unwrap();
        assert!(matches!(probe, Probe::Fails(why) if why.to_string().starts_with("it hung (seen ")));
        let error = uml(&Uml::default(), &boot, "image", Retry::Always, cache.path()).err().unwrap();
        assert!(error.to_string().starts_with("can't start: /no/such/image"), "{error}");
    }

    #[test]
    fn each_failure_of_kvm_has_its_remedy() {
        assert!(Unusable::Device(Errno::EACCES).kvm_remedy().contains("usermod"));
        assert!(Unusable::Device(Errno::ENOENT).kvm_remedy().contains("firmware"));
        assert!(Unusable::Guest("no output".into()).kvm_remedy().contains("nested"));
    }

    #[test]
    fn denied_ptrace_has_a_hint() {
        let console = [
            "Checking that ptrace can change system call numbers...ptrace: Operation not permitted",
            "status = 9",
        ];
        assert!(ptrace_hint(&console.map(Into::into)).unwrap().starts_with("ptrace(2) is denied here"));
        assert_eq!(ptrace_hint(&["status = 9".into()]), None);
    }

    #[test]
    fn recorded_failure_expires() {
        let cache = tempfile::tempdir().unwrap();
        save_record(cache.path(), "uml", "image", false, "it hung").unwrap();
        let file = path(cache.path(), "uml");
        let mut old = valid_record(cache.path(), "uml").unwrap().unwrap();
        old.at -= PROBE_TTL.as_secs();
        fs::write(&file, serde_json::to_vec(&old).unwrap()).unwrap();
        assert_eq!(uml_unusable(cache.path()).unwrap(), None);
    }
}
