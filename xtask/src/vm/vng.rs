//! Guests of virtme-ng, whose root is a copy-on-write view of the host's. virtme-ng composes QEMU's
//! command; the agent runs in the guest as a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use scenarios::wire::program::{EXEC_SERVER, EXEC_SERVER_PORT};

use super::{Backend, BootConfig, Kind};
use crate::host::process::{self, command_line};
use crate::host::program;

pub const VERSION: &str = "1.42";

/// Install command: from PyPI, as distributions have other versions.
pub const INSTALL: &str = "pipx install virtme-ng==1.42";

/// Options of `vng --run` that make it work on any host.
pub const PORTABLE: [&str; 2] = ["--force-9p", "--disable-microvm"];

/// Directories in the root that belong to each guest alone.
const GUEST_DIRECTORIES: [&str; 5] = ["dev", "lost+found", "proc", "run", "sys"];

/// Back end for a guest composed by virtme-ng, with the agent's channel as its only connection.
#[derive(Debug)]
pub struct Vng {
    kind: Kind,
    /// QEMU's command, as composed by virtme-ng.
    words: Vec<String>,
}

impl Vng {
    /// Lets `vng` compose a guest that runs the host's program `agent`.
    pub fn compose(vng: &Path, agent: &Path, kind: Kind, boot: &BootConfig) -> Result<Self> {
        let mut command = Command::new(vng);
        command.arg("--run").arg(&boot.image).args(PORTABLE).args(["--dry-run", "--name", "keyagents"]);
        command.args(["--cpus", &boot.cpus.to_string(), "--memory", &format!("{}M", boot.memory_mib)]);
        if kind != Kind::Kvm {
            command.arg("--disable-kvm");
        }
        for directory in directories_at(Path::new("/"))? {
            command.arg("--overlay-rwdir").arg(directory);
        }
        // virtme-ng silences the kernel, but kernel reports are needed.
        let parameters = ["console=hvc0", "loglevel=5"].into_iter();
        let parameters: Vec<&str> = parameters.chain(boot.parameters.iter().map(String::as_str)).collect();
        command.arg("--append").arg(parameters.join(" "));
        command.arg("--exec").arg(shlex::try_join(["exec", &agent.to_string_lossy(), EXEC_SERVER])?);
        let output = process::output(&mut command)?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = stdout.lines().rev().find_map(shlex::split).unwrap_or_default();
        if !output.status.success() || !words.iter().any(|word| word == "-kernel") {
            let (line, stderr) = (command_line(&command), String::from_utf8_lossy(&output.stderr));
            let printed = format!("{stdout}{stderr}");
            bail!("`{line}` printed no QEMU command ({}): {}", output.status, printed.trim());
        }
        Ok(Self { kind, words })
    }
}

impl Backend for Vng {
    fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the command with the agent's channel and console only.
    fn command(&self, _: &BootConfig) -> Command {
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().map_or("qemu-system-x86_64", String::as_str));
        // virtme-ng's own lines lead to descriptors 0 and 1, which are sockets here.
        let mut is_chardev = false;
        for word in words {
            if is_chardev {
                command.arg(disconnected(word))
            } else {
                command.arg(word)
            };
            is_chardev = word == "-chardev";
        }
        let port = format!("virtserialport,bus=keyagents.0,chardev=channel,name={EXEC_SERVER_PORT}");
        command.args(["-chardev", "socket,id=channel,fd=0", "-chardev", "socket,id=typed,fd=1"]);
        command.args(["-device", "virtio-serial-pci,id=keyagents"]);
        command.args(["-device", "virtconsole,bus=keyagents.0,chardev=typed", "-device", &port]);
        command
    }

    fn boot_deadline(&self) -> Duration {
        Duration::from_secs(120)
    }
}

/// Returns the same character device without a connection.
fn disconnected(chardev: &str) -> String {
    let id = chardev.split(',').find(|part| part.starts_with("id=")).unwrap_or("id=unnamed");
    format!("null,{id}")
}

/// Returns the host's directories that the guest has copies of.
fn directories_at(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root).with_context(|| format!("can't read {}", root.display()))?;
    let mut directories: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| !GUEST_DIRECTORIES.iter().any(|own| entry.file_name() == *own))
        .map(|entry| entry.path())
        .collect();
    directories.sort();
    Ok(directories)
}

pub fn find() -> Result<(PathBuf, String)> {
    let Some(program) = program::find("vng") else {
        bail!("this machine has no vng, which is virtme-ng {VERSION}; install it with: {INSTALL}")
    };
    let output = process::output(Command::new(&program).arg("--version"))?;
    // `virtme-ng 1.42`.
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    match stdout.split_whitespace().last() {
        Some(version) if output.status.success() => Ok((program, version.to_owned())),
        _ => bail!("can't read the version of {} ({})", program.display(), output.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_ports_are_connected() {
        let composed =
            "qemu -chardev stdio,id=stdin,signal=on -chardev file,id=ret,path=/tmp/x -append 'a b'";
        let vng = Vng { kind: Kind::Tcg, words: shlex::split(composed).unwrap() };
        let line = command_line(&vng.command(&BootConfig::without_files()));
        assert!(
            line.starts_with("qemu -chardev 'null,id=stdin' -chardev 'null,id=ret' -append 'a b' "),
            "{line}"
        );
        assert!(line.contains("chardev=channel,name=keyagents"), "{line}");
    }

    #[test]
    fn copied_directories_exclude_those_of_every_guest() {
        let directories = directories_at(Path::new("/")).unwrap();
        assert!(directories.contains(&PathBuf::from("/etc")), "{directories:?}");
        assert!(!directories.iter().any(|it| it.ends_with("proc")), "{directories:?}");
    }
}
