//! Small user space for interactive guests: busybox, keyctl, and strace if the host has it.

use std::process::Command;

use anyhow::{Result, bail};

use crate::artifacts::guest_file::{Link, Program};
use crate::artifacts::libraries::with_libraries;
use crate::host::process;
use crate::host::program::find;

const BUSYBOX: &str = "/bin/busybox";

/// Optional programs, each with its Debian package.
const OPTIONAL: &[(&str, &str)] = &[("keyctl", "keyutils"), ("strace", "strace")];

/// Programs and links of a user space, and missing programs.
#[derive(Debug, Default)]
pub struct Userland {
    /// Programs with their libraries.
    pub programs: Vec<Program>,
    /// Links from busybox's command names.
    pub links: Vec<Link>,
    /// Programs that the host lacks, each with its package.
    pub missing: Vec<(&'static str, &'static str)>,
}

impl Userland {
    /// Returns the shell of every guest, with busybox's commands; `None` if the host has no busybox
    /// with a shell.
    pub fn shell() -> Result<Option<Self>> {
        let Some(busybox) = find("busybox") else { return Ok(None) };
        let output = process::output(Command::new(&busybox).arg("--list"))?;
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let paths = names.lines().map(|name| format!("/bin/{}", name.trim())).filter(|path| path != BUSYBOX);
        let links: Vec<Link> = paths.map(|path| Link { path, target: BUSYBOX.to_owned() }).collect();
        if !links.iter().any(|link| link.path == "/bin/sh") {
            return Ok(None);
        }
        Ok(Some(Self { programs: with_libraries(&busybox, BUSYBOX)?, links, ..Self::default() }))
    }

    /// Returns the additional programs of an interactive guest.
    pub fn collect() -> Result<Self> {
        if Self::shell()?.is_none() {
            bail!("this machine has no busybox with a shell, which guests need")
        }
        let mut userland = Self::default();
        for (name, package) in OPTIONAL {
            match find(name) {
                Some(program) => userland.programs.extend(with_libraries(&program, &format!("/bin/{name}"))?),
                None => userland.missing.push((name, package)),
            }
        }
        Ok(userland)
    }
}
