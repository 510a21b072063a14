//! What guests are started from: a kernel, an initramfs, a virtual machine that works here.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use kernel::{Arch, Fragment, Image};

use crate::guest::{self, Program};
use crate::host::{self, Consent, Purpose};
use crate::image::{self, KernelOptions, Profile};
use crate::pace::Pace;
use crate::session::{Failure, Session};
use crate::terminal::Terminal;
use crate::vm::{Backend, Boot, Kind, probe, qemu::Qemu, uml::Uml};
use crate::{cache, workspace};

/// What to test on.
#[derive(Debug, Clone, Default, Args)]
pub struct TestbedOptions {
    #[command(flatten)]
    pub(crate) kernel: KernelOptions,

    /// The virtual machine
    #[arg(long, value_enum, default_value_t)]
    pub(crate) vm: Choice,

    /// Install missing packages, with sudo if need be
    #[arg(long)]
    pub(crate) install: bool,
}

/// The choice of a virtual machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The best that works on this machine
    #[default]
    Auto,
    /// QEMU with the host's processor
    Kvm,
    /// QEMU with an emulated processor: works everywhere
    Tcg,
    /// User-Mode Linux: the quickest to start, with one processor
    Uml,
}

impl Choice {
    pub(crate) fn arch(self) -> Arch {
        if self == Self::Uml { Arch::Um } else { Arch::X86_64 }
    }

    fn purpose(self) -> Purpose {
        if self == Self::Uml { Purpose::Build } else { Purpose::BuildAndBoot }
    }
}

/// What guests have besides the usual.
#[derive(Debug, Default)]
pub struct Extras {
    /// Further options for the kernel.
    pub fragments: Vec<Fragment>,
    /// Further programs in the initramfs.
    pub programs: Vec<Program>,
    /// Further parameters for the kernel's command line.
    pub parameters: Vec<&'static str>,
}

/// All that guests are started from.
pub struct Ground {
    backend: Box<dyn Backend>,
    why: String,
    image: Image,
    /// What each guest is started from.
    pub boot: Boot,
}

impl Ground {
    /// Prepares everything: packages, kernel, guest, virtual machine. The first time this takes minutes.
    ///
    /// `label` tells the logs of its guests from those of others.
    ///
    /// # Errors
    /// Something is missing or does not build.
    pub fn prepare(
        options: &TestbedOptions,
        extras: &Extras,
        label: &str,
        terminal: &Terminal,
    ) -> Result<Self> {
        host::ensure(options.vm.purpose(), Consent::from_flag(options.install), terminal)?;
        let cache = cache::directory()?;
        let image = image::image(&options.kernel, options.vm.arch(), &extras.fragments, &cache, terminal)?;
        let initramfs = guest::initramfs(&extras.programs, &cache, terminal)?;
        fs::create_dir_all(workspace::logs()).context("no place for the consoles' logs")?;
        let boot = Boot {
            image: image.path.clone(),
            initramfs,
            parameters: extras.parameters.clone(),
            memory_mib: memory_mib(options.kernel.profile),
            cpus: cpus(),
            pace: Pace::of(options.kernel.profile),
            log: workspace::logs().join(format!("{label}.console.log")),
        };
        let (backend, why) = backend(options.vm, &boot, &cache, terminal)?;
        Ok(Self { backend, why, image, boot })
    }

    /// What it is, in one line.
    pub fn describe(&self) -> String {
        format!("kernel {} · {} ({})", self.image.release, self.backend.kind(), self.why)
    }

    /// What the guests run on.
    pub fn kind(&self) -> Kind {
        self.backend.kind()
    }

    /// Starts a guest.
    ///
    /// # Errors
    /// It did not come up.
    pub fn open(&self) -> Result<Session, Failure> {
        Session::open(&*self.backend, &self.boot)
            .unwrap_or_else(|error| Err(Failure::broken(&format!("{error:#}"))))
    }
}

/// The back end that was chosen, and why it serves.
fn backend(
    choice: Choice,
    boot: &Boot,
    cache: &Path,
    terminal: &Terminal,
) -> Result<(Box<dyn Backend>, String)> {
    match choice {
        Choice::Tcg => return Ok((Box::new(Qemu::tcg()), "as asked for".into())),
        Choice::Uml => return Ok((Box::new(Uml), "as asked for".into())),
        Choice::Auto | Choice::Kvm => {}
    }
    let mut first_time = false;
    let verdict = probe::kvm(boot, cache, || first_time = true)?;
    if verdict.works {
        return Ok((Box::new(Qemu::kvm()), verdict.reason));
    }
    if choice == Choice::Kvm {
        bail!("KVM runs no guest on this machine: {}", verdict.reason);
    }
    if first_time {
        terminal.note(&format!("KVM runs no guest on this machine: {}", verdict.reason));
    }
    Ok((Box::new(Qemu::tcg()), "KVM runs no guest here".into()))
}

/// Enough for the largest scenario; what a guest does not touch costs nothing.
fn memory_mib(profile: Profile) -> u32 {
    match profile {
        Profile::Plain | Profile::Coverage => 512,
        Profile::Debug => 2048,
    }
}

/// Two processors, where the host has two: races want them, and more only cost time to start.
fn cpus() -> u32 {
    thread::available_parallelism().map_or(1, NonZero::get).min(2) as u32
}
