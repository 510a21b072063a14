//! Packages of Linux distributions, and the commands that install them.

use nix::unistd::geteuid;

use crate::programs::has_program;

/// Packages by their names in each package manager. Requirements have Debian's name, which comes
/// first.
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
    Package::everywhere("keyutils"),
    Package { debian: "nfs-common", fedora: "nfs-utils", arch: "nfs-utils" },
    Package { debian: "nfs-kernel-server", fedora: "nfs-utils", arch: "nfs-utils" },
    Package::everywhere("cifs-utils"),
    Package { debian: "gnupg", fedora: "gnupg2", arch: "gnupg" },
    Package { debian: "busybox-static", fedora: "busybox", arch: "busybox" },
    Package { debian: "qemu-system-x86", fedora: "qemu-system-x86-core", arch: "qemu-system-x86" },
];

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
pub enum Manager {
    /// Debian's and Ubuntu's.
    Apt,
    /// Fedora's.
    Dnf,
    /// Arch's.
    Pacman,
}

impl Manager {
    /// Returns the first package manager that this machine has, or `None`.
    pub fn here() -> Option<Self> {
        [Self::Apt, Self::Dnf, Self::Pacman].into_iter().find(|manager| has_program(manager.program()))
    }

    pub fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
        }
    }

    fn name_of(self, debian: &'static str) -> &'static str {
        match (self, PACKAGES.iter().find(|package| package.debian == debian)) {
            (Self::Dnf, Some(package)) => package.fedora,
            (Self::Pacman, Some(package)) => package.arch,
            (Self::Apt, _) | (_, None) => debian,
        }
    }

    pub fn names_of(self, debian: &[&'static str]) -> Vec<&'static str> {
        debian.iter().map(|name| self.name_of(name)).collect()
    }

    pub fn install(self, debian: &[&'static str]) -> Vec<&'static str> {
        let words: &[&str] = match self {
            Self::Apt => &["install", "--yes", "--no-install-recommends"],
            Self::Dnf => &["install", "--assumeyes"],
            Self::Pacman => &["--sync", "--needed", "--noconfirm"],
        };
        [&[self.program()], words, &self.names_of(debian)].concat()
    }
}

/// Returns the command that installs these packages, by their Debian names.
pub fn install_command(packages: &[&'static str]) -> String {
    let Some(manager) = Manager::here() else {
        return format!("install (Debian's names): {}", packages.join(" "));
    };
    let sudo = if geteuid().is_root() { "" } else { "sudo " };
    format!("{sudo}{}", manager.install(packages).join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_packages_have_names_in_every_distribution() {
        for requirement in crate::REQUIREMENTS {
            assert!(
                PACKAGES.iter().any(|package| package.debian == requirement.package),
                "{}",
                requirement.package
            );
        }
    }

    #[test]
    fn install_command_has_the_managers_own_names() {
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
