//! What this machine needs, what it lacks, and getting it.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use crate::terminal::Terminal;
use crate::vm::process::command_line;

/// Packages by the name that each package manager has for them. Debian's comes first: `kernel` speaks Debian.
const PACKAGES: &[Package] = &[
    Package::everywhere("bc"),
    Package::everywhere("binutils"),
    Package::everywhere("bison"),
    Package::everywhere("flex"),
    Package::everywhere("gcc"),
    Package::everywhere("git"),
    Package::everywhere("gzip"),
    Package::everywhere("make"),
    Package::everywhere("perl"),
    Package::everywhere("zstd"),
    Package { debian: "libc6-dev", fedora: "glibc-devel", arch: "glibc" },
    Package { debian: "libelf-dev", fedora: "elfutils-libelf-devel", arch: "libelf" },
    Package { debian: BUSYBOX, fedora: "busybox", arch: "busybox" },
    Package { debian: QEMU, fedora: "qemu-system-x86-core", arch: "qemu-system-x86" },
];

/// The package that has QEMU, by its Debian name.
pub const QEMU: &str = "qemu-system-x86";

const BUSYBOX: &str = "busybox-static";

#[derive(Debug, Clone, Copy)]
struct Package {
    debian: &'static str,
    fedora: &'static str,
    arch: &'static str,
}

impl Package {
    const fn everywhere(name: &'static str) -> Self {
        Self { debian: name, fedora: name, arch: name }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
}

impl Manager {
    /// The first one that this machine has.
    fn here() -> Option<Self> {
        [(Self::Apt, "apt-get"), (Self::Dnf, "dnf"), (Self::Pacman, "pacman")]
            .into_iter()
            .find_map(|(manager, program)| has_program(program).then_some(manager))
    }

    fn name_of(self, debian: &'static str) -> &'static str {
        match (self, PACKAGES.iter().find(|package| package.debian == debian)) {
            (Self::Dnf, Some(package)) => package.fedora,
            (Self::Pacman, Some(package)) => package.arch,
            (Self::Apt, _) | (_, None) => debian,
        }
    }

    fn install(self, debian: &[&'static str]) -> Vec<&'static str> {
        let words: &[&str] = match self {
            Self::Apt => &["apt-get", "install", "--yes", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "--assumeyes"],
            Self::Pacman => &["pacman", "--sync", "--needed", "--noconfirm"],
        };
        words.iter().copied().chain(debian.iter().map(|name| self.name_of(name))).collect()
    }
}

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
    /// Kernels are built and booted in QEMU.
    BuildAndBoot,
    /// Somebody sits at a guest's shell.
    Sit,
}

/// The Debian names of the packages that this machine lacks, in order.
pub fn missing(purpose: Purpose) -> Vec<&'static str> {
    let tools = || kernel::missing().into_iter().map(|tool| tool.package);
    let lacks = |program, package| (!has_program(program)).then_some(package);
    let mut packages: Vec<_> = match purpose {
        Purpose::Build => tools().collect(),
        Purpose::BuildAndBoot => tools().chain(lacks("qemu-system-x86_64", QEMU)).collect(),
        Purpose::Sit => lacks("busybox", BUSYBOX).into_iter().collect(),
    };
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Makes sure that everything needed is there, installing it where that is allowed.
///
/// # Errors
/// Packages are missing: the error has the one command that installs them.
pub fn ensure(purpose: Purpose, consent: Consent, terminal: &Terminal) -> Result<()> {
    let packages = missing(purpose);
    if packages.is_empty() {
        return Ok(());
    }
    let Some(manager) = Manager::here() else {
        bail!(
            "missing on this machine (Debian's names): {}\ninstall them and run this again",
            packages.join(" ")
        );
    };
    let names: Vec<_> = packages.iter().map(|name| manager.name_of(name)).collect();
    let root = geteuid().is_root();
    let sudo: &[&str] = if root { &[] } else { &["sudo"] };
    let install: Vec<_> = sudo.iter().copied().chain(manager.install(&packages)).collect();
    if !root && consent == Consent::IfRoot {
        bail!(
            "missing on this machine: {}\ninstall with: {}\nor run this again with --install",
            names.join(" "),
            install.join(" ")
        );
    }
    let work = terminal.work(&format!("Installing {}", names.join(" ")));
    if manager == Manager::Apt {
        // The lists of a fresh machine are empty or old. Without a network the old ones may still do.
        let update: Vec<_> = sudo.iter().copied().chain(["apt-get", "update"]).collect();
        if let Err(error) = run(&update) {
            terminal.note(&format!("{error:#}"));
        }
    }
    run(&install)?;
    work.done();
    let packages = missing(purpose);
    if packages.is_empty() {
        Ok(())
    } else {
        bail!("`{}` succeeded, and still missing: {}", install.join(" "), packages.join(" "))
    }
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

/// The one command that installs these packages, by their Debian names.
pub fn install_command(packages: &[&'static str]) -> String {
    let Some(manager) = Manager::here() else {
        return format!("install (Debian's names): {}", packages.join(" "));
    };
    let sudo = if geteuid().is_root() { "" } else { "sudo " };
    format!("{sudo}{}", manager.install(packages).join(" "))
}

/// Is a program of that name in `PATH`?
pub fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| Path::new(&directory).join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_that_a_kernel_needs_has_a_name_everywhere() {
        for requirement in kernel::requirements() {
            assert!(
                PACKAGES.iter().any(|package| package.debian == requirement.package),
                "{}",
                requirement.package
            );
        }
    }

    #[test]
    fn one_command_installs_them_all_under_the_managers_own_names() {
        assert_eq!(
            Manager::Dnf.install(&["bc", "libelf-dev"]).join(" "),
            "dnf install --assumeyes bc elfutils-libelf-devel"
        );
        assert_eq!(
            Manager::Apt.install(&["qemu-system-x86"]).join(" "),
            "apt-get install --yes --no-install-recommends qemu-system-x86"
        );
    }
}
