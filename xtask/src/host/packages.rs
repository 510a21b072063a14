//! What this machine needs, what it lacks, and getting it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
pub use kernel::install_command;
use kernel::{Manager, has_program};
use nix::unistd::geteuid;

use crate::host::cache;
use crate::host::process::command_line;
use crate::host::terminal::Terminal;

/// The package that has QEMU, by its Debian name.
pub const QEMU: &str = "qemu-system-x86";

const BUSYBOX: &str = "busybox-static";

/// Whether packages may be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Only when this is root, who has said so by being root.
    IfRoot,
    /// With sudo if need be.
    Given,
}

impl Consent {
    /// From the flag `--install`.
    pub fn from_flag(install: bool) -> Self {
        if install { Self::Given } else { Self::IfRoot }
    }
}

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Kernels are built.
    Build,
    /// Kernels are built and booted as User-Mode Linux.
    BootUml,
    /// Kernels are built and booted in QEMU.
    BootQemu,
    /// A guest's shell is used.
    Shell,
}

/// What this machine lacks for a purpose: Debian names of packages, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Missing {
    /// Nothing goes without them.
    required: Vec<&'static str>,
    /// Something goes without them, and says so: a scenario is skipped, a shell has no keyctl.
    useful: Vec<&'static str>,
}

/// A program and the package that has it.
type Provider = (&'static str, &'static str);

impl Purpose {
    fn required(self) -> &'static [Provider] {
        match self {
            Self::Build | Self::BootUml => &[],
            Self::BootQemu => &[("qemu-system-x86_64", QEMU)],
            Self::Shell => &[("busybox", BUSYBOX)],
        }
    }

    fn useful(self) -> &'static [Provider] {
        match self {
            Self::Build => &[],
            Self::BootUml | Self::BootQemu => &[("busybox", BUSYBOX)],
            Self::Shell => &[("keyctl", "keyutils")],
        }
    }

    fn missing(self) -> Missing {
        let lacks = |providers: &[Provider]| {
            let lacks = providers.iter().filter(|(program, _)| !has_program(program));
            lacks.map(|(_, package)| *package).collect::<Vec<_>>()
        };
        let mut required = lacks(self.required());
        if self != Self::Shell {
            required.extend(kernel::missing().into_iter().map(|tool| tool.package));
        }
        required.sort_unstable();
        required.dedup();
        Missing { required, useful: lacks(self.useful()) }
    }
}

/// Makes sure that what is required is there, and what is useful where it can be had: installs packages where that is allowed.
///
/// # Errors
/// Required packages are missing. The error has the one command that installs them and the useful ones. Or there is no cache to build in.
pub fn ensure(purpose: Purpose, consent: Consent, terminal: &Terminal) -> Result<()> {
    if purpose != Purpose::Shell {
        // A build that can't succeed there is not worth a package.
        cache::directory()?;
    }
    let Missing { required, useful } = purpose.missing();
    let root = geteuid().is_root();
    let allowed = root || consent == Consent::Given;
    let packages = [required.as_slice(), useful.as_slice()].concat();
    if packages.is_empty() || (required.is_empty() && !allowed) {
        return Ok(());
    }
    let Some(manager) = Manager::here() else {
        if required.is_empty() {
            return Ok(());
        }
        bail!(
            "missing on this machine (Debian's names): {}\ninstall them and run this again",
            packages.join(" ")
        );
    };
    let sudo: &[&str] = if root { &[] } else { &["sudo"] };
    if !allowed {
        bail!(
            "missing on this machine: {}\ninstall with: {}\nor run this again with --install",
            manager.names_of(&packages).join(" "),
            [sudo, &manager.install(&packages)].concat().join(" ")
        );
    }
    let work = terminal.work(&format!("Installing {}", manager.names_of(&packages).join(" ")));
    // Package managers refuse to work side by side. Another process of the testbed may have installed everything meanwhile.
    let _one_at_a_time =
        cache::lock(&cache::directory()?, "packages", cache::Share::Alone, |who| terminal.note(who))?;
    install(&purpose.missing(), manager, sudo, terminal)?;
    work.done();
    match purpose.missing().required.as_slice() {
        [] => Ok(()),
        missing => bail!("{} succeeded, and still missing: {}", manager.program(), missing.join(" ")),
    }
}

/// Installs what is required and what is useful. A failure of the latter is a note.
fn install(missing: &Missing, manager: Manager, sudo: &[&str], terminal: &Terminal) -> Result<()> {
    let Missing { required, useful } = missing;
    if manager == Manager::Apt && !(required.is_empty() && useful.is_empty()) {
        // The lists of a fresh machine are empty or old. Without a network the old ones may still do.
        if let Err(error) = run(&[sudo, &["apt-get", "update"]].concat()) {
            terminal.note(&format!("{error:#}"));
        }
    }
    if !required.is_empty() {
        run(&[sudo, &manager.install(required)].concat())?;
    }
    if !useful.is_empty()
        && let Err(error) = run(&[sudo, &manager.install(useful)].concat())
    {
        terminal.note(&format!("{error:#}"));
    }
    Ok(())
}

fn run(words: &[&str]) -> Result<()> {
    let [program, arguments @ ..] = words else { bail!("no command") };
    let mut command = Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let line = command_line(&command);
    let output = command.output().with_context(|| format!("can't start: {line}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("`{line}` failed ({}):\n{}", output.status, said.trim_end())
}
