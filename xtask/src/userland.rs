//! The small user space of a guest that somebody works in: busybox, keyctl, and strace where the host has it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::guest::{Link, Program};
use crate::host_program::{find, with_libraries};
use crate::vm::process::command_line;

/// Where busybox is in the guest.
const BUSYBOX: &str = "/bin/busybox";

/// Programs that are welcome, each with the Debian package that has it.
const WELCOME: &[(&str, &str)] = &[("keyctl", "keyutils"), ("strace", "strace")];

/// The programs and links of a user space, and what it lacks.
#[derive(Debug, Default)]
pub struct Userland {
    /// Programs with their libraries.
    pub programs: Vec<Program>,
    /// busybox's other names.
    pub links: Vec<Link>,
    /// Programs that this host lacks, each with the package that has it.
    pub lacks: Vec<(&'static str, &'static str)>,
}

impl Userland {
    /// Gathers it on this host.
    ///
    /// # Errors
    /// There is no busybox, without which there is no shell.
    pub fn gather() -> Result<Self> {
        let Some(busybox) = find("busybox") else {
            bail!("this machine has no busybox, which is the guest's shell")
        };
        let mut userland = Self { programs: with_libraries(&busybox, BUSYBOX)?, ..Self::default() };
        for (name, package) in WELCOME {
            match find(name) {
                Some(program) => userland.programs.extend(with_libraries(&program, &format!("/bin/{name}"))?),
                None => userland.lacks.push((name, package)),
            }
        }
        let mut list = Command::new(&busybox);
        list.arg("--list").stdin(Stdio::null());
        let line = command_line(&list);
        let output = list.output().with_context(|| format!("can't start: {line}"))?;
        let applets = String::from_utf8_lossy(&output.stdout).into_owned();
        let taken = |path: &str| userland.programs.iter().any(|program| program.path == path);
        let paths = applets.lines().map(|name| format!("/bin/{}", name.trim()));
        userland.links = paths
            .filter(|path| path.as_str() != BUSYBOX && !taken(path))
            .map(|path| Link { path, target: BUSYBOX.to_owned() })
            .collect();
        if !userland.links.iter().any(|link| link.path == "/bin/sh") {
            bail!("{} has no shell: `{line}` does not list sh", busybox.display());
        }
        Ok(userland)
    }
}
