//! Environments that guests are started in: a kernel, an initramfs and a virtual machine that works
//! here.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};
use kernel::{Arch, Fragment, Image};

use crate::artifacts::guest_file::{Link, Program};
use crate::artifacts::image::{self, KernelOptions, Profile};
use crate::artifacts::initramfs;
use crate::host::mutex::lock;
use crate::host::terminal::Terminal;
use crate::host::workspace;
use crate::session::probe::{self, Probe, Retry, Unusable};
use crate::session::{Failure, Session};
use crate::vm::qemu::Qemu;
use crate::vm::time_scale::TimeScale;
use crate::vm::uml::{self, Uml};
use crate::vm::{Backend, BootConfig, Clock, Kind, Machine, OutputObserver};

/// Number of failed boots in a row after which no further guest is started.
const MAX_FAILED_BOOTS: u32 = 2;

/// Additions to the usual kernel and initramfs.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Additional options of the kernel's configuration.
    pub fragments: Vec<Fragment>,
    pub programs: Vec<Program>,
    pub directories: Vec<String>,
    pub links: Vec<Link>,
    /// Paths to leave out of the initramfs.
    pub absent: Vec<&'static str>,
}

impl Extras {
    pub fn initramfs(&self, cache: &Path, terminal: &Terminal) -> Result<PathBuf> {
        initramfs::initramfs(&self.programs, &self.directories, &self.links, &self.absent, cache, terminal)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentSpec {
    pub kernel: KernelOptions,
    pub kind: Kind,
    /// The seed of delays in the kernel.
    pub perturb: Option<NonZero<u32>>,
}

impl EnvironmentSpec {
    /// Returns a guest's typical start-up time in seconds. It only guides the order of scenarios.
    pub fn start_seconds(&self) -> f64 {
        let plain = match self.kind {
            Kind::Kvm => 0.7,
            Kind::Tcg => 1.5,
            Kind::Uml => 0.15,
        };
        match self.kernel.profile {
            Profile::Debug => plain * 6.0,
            Profile::Plain | Profile::Coverage | Profile::Kcsan | Profile::Mutants => plain,
        }
    }

    fn boot(&self, image: PathBuf, initramfs: PathBuf, label: &str) -> BootConfig {
        let profile = self.kernel.profile;
        BootConfig {
            image,
            initramfs,
            parameters: self.perturb.map(seed_parameter).into_iter().collect(),
            memory_mib: memory_mib(profile),
            cpus: cpus(),
            clock: Clock::default(),
            time_scale: TimeScale::of(profile),
            log: log(label, self.kind, 0),
            interactive: false,
            debugger: None,
            boot_deadline: None,
            observer: OutputObserver::default(),
        }
    }

    pub fn arch(&self) -> Arch {
        if self.kind == Kind::Uml { Arch::Um } else { Arch::X86_64 }
    }
}

/// A built kernel, an initramfs and a virtual machine, ready to start guests.
pub struct Environment {
    /// Boot configuration of each guest, except for the log, which is the guest's own.
    pub boot: BootConfig,
    /// Features that a guest has announced; `None` if no guest has been up yet.
    pub features: Option<Vec<String>>,
    pub image: Image,
    /// Origin of the kernel's source.
    origin: String,
    backend: Box<dyn Backend>,
    why: String,
    label: String,
    guests: AtomicU32,
    failed_starts: AtomicU32,
    /// The guest that the probe has started, for the first caller.
    spare: Mutex<Option<Session>>,
}

impl Environment {
    /// Builds the kernel and, where only a probe can tell whether guests run, starts a guest.
    pub fn prepare(
        spec: &EnvironmentSpec,
        initramfs: &Path,
        extras: &Extras,
        label: &str,
        retry: Retry,
        cache: &Path,
        terminal: &Terminal,
    ) -> Result<Self> {
        let image = image::image(&spec.kernel, spec.arch(), &extras.fragments, cache, terminal)?;
        let initramfs = initramfs::with_modules(initramfs, &image.modules, cache)?;
        let boot = spec.boot(image.entered.clone(), initramfs, label);
        let (backend, probe): (Box<dyn Backend>, _) = match spec.kind {
            Kind::Tcg => (Box::new(Qemu::tcg()), Probe::unneeded("an emulated processor works everywhere")),
            Kind::Kvm => (Box::new(Qemu::kvm()), probe::kvm(&boot, retry, cache, terminal)?),
            Kind::Uml => {
                let uml = Uml::of(&image.config).context("can't read the kernel's configuration")?;
                (Box::new(uml), probe::uml(&uml, &boot, &image.key, retry, cache)?)
            }
        };
        let (why, spare) = match probe {
            Probe::Works { why, guest } => (why, guest.map(|guest| *guest)),
            Probe::Fails(why) => bail!("{}", runs_no_guest(spec.kind, &why)),
        };
        Ok(Self {
            features: spare.as_ref().map(|guest| guest.hello.features.clone()),
            boot,
            image,
            origin: spec.kernel.origin(cache)?,
            backend,
            why,
            label: label.to_owned(),
            guests: AtomicU32::new(1),
            failed_starts: AtomicU32::new(0),
            spare: Mutex::new(spare),
        })
    }

    /// Drops the guest that the probe has started, for callers that change the boot configuration.
    pub fn without_spare(self) -> Self {
        Self { spare: Mutex::default(), ..self }
    }

    /// Adds a kernel parameter, and drops the guest that the probe has started without it.
    pub fn with_parameter(mut self, parameter: String) -> Self {
        self.boot.parameters.push(parameter);
        self.without_spare()
    }

    /// Replaces the back end, and drops the guest that the probe has started.
    pub fn with_backend(self, backend: Box<dyn Backend>) -> Self {
        Self { backend, spare: Mutex::default(), ..self }
    }

    pub fn describe(&self) -> String {
        format!("kernel {} ({}) · {} ({})", self.image.release, self.origin, self.kind(), self.why)
    }

    pub fn kind(&self) -> Kind {
        self.backend.kind()
    }

    /// Returns a guest whose agent has sent its hello message.
    pub fn guest(&self) -> Result<Session, Box<Failure>> {
        if let Some(spare) = lock(&self.spare).take() {
            return Ok(spare);
        }
        if self.failed_starts.load(Ordering::Relaxed) >= MAX_FAILED_BOOTS {
            return Err(Failure::broken("can't start a guest: none has come up before"));
        }
        let number = self.guests.fetch_add(1, Ordering::Relaxed);
        let boot = BootConfig { log: log(&self.label, self.backend.kind(), number), ..self.boot.clone() };
        let started = self.start(&boot);
        match started {
            Ok(_) => self.failed_starts.store(0, Ordering::Relaxed),
            Err(_) => _ = self.failed_starts.fetch_add(1, Ordering::Relaxed),
        }
        started
    }

    /// Starts a guest that need not run the agent.
    pub fn start_machine(&self, boot: &BootConfig) -> Result<Machine> {
        Machine::start(&*self.backend, boot)
    }

    /// Starts a guest by another configuration than [`Environment::boot`].
    pub fn start(&self, boot: &BootConfig) -> Result<Session, Box<Failure>> {
        Session::open(&*self.backend, boot)
            .unwrap_or_else(|error| Err(Failure::broken(&format!("{error:#}"))))
    }
}

/// Returns the error for a kind of virtual machine that runs no guest here, with a remedy.
fn runs_no_guest(kind: Kind, why: &Unusable) -> String {
    let remedy = match kind {
        Kind::Kvm => format!("{}, or use --vm tcg or --vm uml", why.kvm_remedy()),
        Kind::Uml => "use --vm tcg, or --vm kvm where that works".to_owned(),
        Kind::Tcg => "use --vm uml".to_owned(),
    };
    format!("{} runs no guest on this machine: {why}; {remedy}", kind.full_name())
}

/// Returns the kernel parameter that distributes delays, in the profiles that have them.
pub fn seed_parameter(seed: NonZero<u32>) -> String {
    format!("perturb={seed}")
}

/// Creates the directory for logs. Removes earlier logs with this prefix, and directories left by
/// killed guests.
pub fn clear_logs(label: &str) -> Result<()> {
    let place = workspace::logs();
    fs::create_dir_all(&place).context("can't create the directory of logs")?;
    for file in fs::read_dir(&place).context("can't read the directory of logs")?.flatten() {
        let name = file.file_name();
        if name.to_string_lossy().strip_prefix(label).is_some_and(|rest| rest.ends_with(".log")) {
            // Another command may have removed it first.
            let _ = fs::remove_file(file.path());
        }
    }
    uml::remove_left_behind(&place).context("can't read the directory of logs")
}

fn log(label: &str, kind: Kind, number: u32) -> PathBuf {
    workspace::logs().join(format!("{label}-{kind}-{number}.console.log"))
}

/// Memory for the largest scenario; a guest takes only the pages that it touches.
fn memory_mib(profile: Profile) -> u32 {
    match profile {
        Profile::Plain | Profile::Coverage | Profile::Kcsan | Profile::Mutants => 512,
        Profile::Debug => 2048,
    }
}

/// Two processors if the host has two: races need them, and more would only take longer to start.
fn cpus() -> u32 {
    thread::available_parallelism().map_or(1, NonZero::get).min(2) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_kvm_that_was_requested_has_a_remedy() {
        let message = runs_no_guest(Kind::Kvm, &Unusable::Device(nix::errno::Errno::EACCES));
        assert!(message.contains("usermod") && message.ends_with("or use --vm tcg or --vm uml"), "{message}");
    }
}
