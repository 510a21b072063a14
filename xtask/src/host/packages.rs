//! Packages that the host needs: finding the missing ones, and installing them.

use std::process::Command;

use anyhow::{Result, bail};
pub use kernel::install_command;
use kernel::{LockMode, Manager, has_program};
use nix::unistd::geteuid;

use crate::host::cache;
use crate::host::process;
use crate::host::terminal::Terminal;

pub const QEMU: &str = "qemu-system-x86";

const BUSYBOX: &str = "busybox-static";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Build,
    /// Build kernels and boot them as User-Mode Linux.
    BootUml,
    /// Build kernels and boot them in QEMU.
    BootQemu,
    Shell,
    Test,
}

/// Missing packages for a purpose, by Debian name, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Missing {
    /// Packages without which the command fails.
    required: Vec<&'static str>,
    /// Packages without which a part is left out with a note: a scenario is skipped, a shell has no
    /// keyctl.
    useful: Vec<&'static str>,
}

/// A program and the package that contains it.
type Provider = (&'static str, &'static str);

impl Purpose {
    fn required(self) -> &'static [Provider] {
        match self {
            Self::Build | Self::BootUml | Self::Test => &[],
            Self::BootQemu => &[("qemu-system-x86_64", QEMU)],
            Self::Shell => &[("busybox", BUSYBOX)],
        }
    }

    fn useful(self) -> &'static [Provider] {
        match self {
            Self::Build => &[],
            Self::BootUml | Self::BootQemu => &[("busybox", BUSYBOX)],
            Self::Shell => &[("keyctl", "keyutils")],
            // Signs the archive of packages with which the tests of the crate kernel try apt.
            Self::Test => &[("gpg", "gnupg")],
        }
    }

    fn missing(self) -> Missing {
        let missing = |providers: &[Provider]| {
            let missing = providers.iter().filter(|(program, _)| !has_program(program));
            missing.map(|(_, package)| *package).collect::<Vec<_>>()
        };
        let mut required = missing(self.required());
        if self != Self::Shell {
            required.extend(kernel::missing().into_iter().map(|tool| tool.package));
        }
        required.sort_unstable();
        required.dedup();
        Missing { required, useful: missing(self.useful()) }
    }
}

/// Ensures that the required packages are installed, and the useful ones if possible. Installs them
/// as root, and with `install` (the flag `--install`) by sudo.
pub fn ensure(purpose: Purpose, install: bool, terminal: &Terminal) -> Result<()> {
    if purpose != Purpose::Shell {
        // Without a usable cache, the build would fail after the installation.
        cache::directory()?;
    }
    install_all(|| purpose.missing(), install, terminal)
}

/// Installs further packages if possible, as [`ensure`] does.
pub fn ensure_useful(missing: &[&'static str], install: bool, terminal: &Terminal) -> Result<()> {
    let mut useful = missing.to_vec();
    useful.dedup();
    install_all(|| Missing { required: Vec::new(), useful: useful.clone() }, install, terminal)
}

fn install_all(missing: impl Fn() -> Missing, install: bool, terminal: &Terminal) -> Result<()> {
    let Missing { required, useful } = missing();
    let root = geteuid().is_root();
    let allowed = root || install;
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
    // Package managers refuse to run in parallel. Another process of the testbed may have installed
    // everything in the meantime.
    let _one_at_a_time =
        cache::lock(&cache::directory()?, "packages", LockMode::Exclusive, |who| terminal.note(who))?;
    install_missing(&missing(), manager, sudo, terminal)?;
    work.done();
    match missing().required.as_slice() {
        [] => Ok(()),
        missing => bail!("{} succeeded, and still missing: {}", manager.program(), missing.join(" ")),
    }
}

/// Installs the required and the useful packages. A failure of the latter is only a note.
fn install_missing(missing: &Missing, manager: Manager, sudo: &[&str], terminal: &Terminal) -> Result<()> {
    let Missing { required, useful } = missing;
    if manager == Manager::Apt && !(required.is_empty() && useful.is_empty()) {
        // The package lists of a new machine are empty or old. Without a network the old ones may
        // suffice.
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
    process::run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}
