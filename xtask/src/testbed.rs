//! The testbed: everything prepared, and a guest at hand that carries out scenarios.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use kernel::{Arch, Image};
use scenarios::scenario::Scenario;
use scenarios::verdict::{Verdict, judge};

use crate::host::{self, Consent, Purpose};
use crate::image::{self, KernelOptions, Profile};
use crate::pace::Pace;
use crate::session::{Failure, Session};
use crate::terminal::Terminal;
use crate::vm::{Backend, Boot, probe, qemu::Qemu, uml::Uml};
use crate::{cache, guest, workspace};

/// After so many guests in a row that did not come up, no further one is tried.
const HOPELESS: u32 = 2;

/// What to test on.
#[derive(Debug, Clone, Default, Args)]
pub struct TestbedOptions {
    #[command(flatten)]
    kernel: KernelOptions,

    /// The virtual machine
    #[arg(long, value_enum, default_value_t)]
    vm: Choice,

    /// Install missing packages, with sudo if need be
    #[arg(long)]
    install: bool,
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
    fn arch(self) -> Arch {
        if self == Self::Uml { Arch::Um } else { Arch::X86_64 }
    }

    fn purpose(self) -> Purpose {
        if self == Self::Uml { Purpose::Build } else { Purpose::BuildAndBoot }
    }
}

/// A testbed that is ready.
pub struct Testbed {
    backend: Box<dyn Backend>,
    why: String,
    image: Image,
    boot: Boot,
    session: Option<Session>,
    failed_starts: u32,
}

impl Testbed {
    /// Prepares everything: packages, kernel, guest, virtual machine. The first time this takes minutes.
    ///
    /// `label` tells this testbed's logs from those of others.
    ///
    /// # Errors
    /// Something is missing or does not build.
    pub fn prepare(options: &TestbedOptions, label: &str, terminal: &Terminal) -> Result<Self> {
        host::ensure(options.vm.purpose(), Consent::from_flag(options.install), terminal)?;
        let cache = cache::directory()?;
        let image = image::image(&options.kernel, options.vm.arch(), &cache, terminal)?;
        let initramfs = guest::initramfs(&cache, terminal)?;
        fs::create_dir_all(workspace::logs()).context("no place for the consoles' logs")?;
        let boot = Boot {
            image: image.path.clone(),
            initramfs,
            memory_mib: memory_mib(options.kernel.profile),
            cpus: cpus(),
            pace: Pace::of(options.kernel.profile),
            log: workspace::logs().join(format!("{label}.console.log")),
        };
        let (backend, why) = backend(options.vm, &boot, &cache, terminal)?;
        Ok(Self { backend, why, image, boot, session: None, failed_starts: 0 })
    }

    /// What it tests on, in one line.
    pub fn describe(&self) -> String {
        format!("kernel {} · {} ({})", self.image.release, self.backend.kind(), self.why)
    }

    /// Carries out a scenario and judges it. A guest that this wears out is replaced for the next one.
    pub fn run(&mut self, scenario: &Scenario) -> Verdict {
        let mut session = match self.session() {
            Ok(session) => session,
            Err(failure) => return failure.verdict(scenario.plan()),
        };
        if let Some(feature) = scenario.missing(&session.hello().features) {
            let verdict = Verdict::Skipped(format!("this guest's kernel has no {feature}"));
            self.session = Some(session);
            return verdict;
        }
        let pace = self.boot.pace;
        let run = match session.run(&pace.plan(scenario)) {
            Ok(run) => run,
            Err(failure) => return failure.verdict(scenario.plan()),
        };
        let verdict = judge(&pace.scenario(scenario), &run.events, &run.finished)
            .unwrap_or_else(|error| Verdict::Broken(format!("the scenario can't be judged: {error}")));
        // A kernel that has complained stays tainted, and one that has let a plan hang may hold on to its processes.
        if !matches!(verdict, Verdict::Crashed(_) | Verdict::Hung(_)) {
            self.session = Some(session);
        }
        verdict
    }

    /// Ends the guest in good order. Tells what the kernel had to report on the way.
    pub fn close(&mut self) -> Option<Verdict> {
        let failure = self.session.take()?.close().err()?;
        Some(Verdict::Crashed(failure.to_string()))
    }

    /// The guest at hand, or a new one.
    fn session(&mut self) -> Result<Session, Failure> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        if self.failed_starts >= HOPELESS {
            return Err(Failure::broken("no guest came up, as before"));
        }
        match Session::open(&*self.backend, &self.boot) {
            Ok(Ok(session)) => {
                self.failed_starts = 0;
                Ok(session)
            }
            Ok(Err(failure)) => {
                self.failed_starts += 1;
                Err(failure)
            }
            Err(error) => {
                self.failed_starts += 1;
                Err(Failure::broken(&format!("{error:#}")))
            }
        }
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
