//! Programs and headers for building and booting kernels, and optional ones.

use std::process::{Command, Stdio};

use kernel::has_program;
use regex::Regex;

use super::Finding;
use crate::host::packages;
use crate::vm::vng;

/// Optional programs, their Debian packages and their purposes.
const OPTIONAL: [(&str, &str, &str); 9] = [
    (
        "busybox",
        "busybox-static",
        "needed by `cargo xtask shell`, and by scenarios that run a shell in the guest",
    ),
    ("keyctl", "keyutils", "available in the guests of `cargo xtask shell` and `run`"),
    ("nfsidmap", "nfs-common", "needed by scenarios in which it answers for a daemon"),
    ("rpc.nfsd", "nfs-kernel-server", "needed by scenarios with NFS servers"),
    ("cifs.upcall", "cifs-utils", "needed by scenarios in which it answers for a daemon"),
    ("ccache", "ccache", "makes rebuilds of kernels faster"),
    ("clang", "clang", "used by `cargo xtask kernel check` as a second compiler"),
    ("sparse", "sparse", "used by `cargo xtask kernel check`"),
    ("gdb", "gdb", "needed to debug a guest's kernel"),
];

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![rust()];
    let required = kernel::REQUIREMENTS.iter().map(|it| (it.name, it.package, it.is_there()));
    let qemu = ("qemu-system-x86_64", packages::QEMU, has_program("qemu-system-x86_64"));
    let (there, missing): (Vec<_>, Vec<_>) = required.chain([qemu]).partition(|(.., there)| *there);
    for (name, ..) in &there {
        // A header has no version.
        if !name.ends_with(".h") {
            findings.push(Finding::good(name, version(name).unwrap_or_else(|| "found".into())));
        }
    }
    let headers: Vec<&str> =
        there.iter().map(|(name, ..)| *name).filter(|name| name.ends_with(".h")).collect();
    if !headers.is_empty() {
        findings.push(Finding::good("headers", headers.join(", ")));
    }
    for (name, package, _) in missing {
        findings.push(Finding::missing(name, "not found".into(), packages::install_command(&[package])));
    }
    findings.push(virtme_ng());
    for (name, package, purpose) in OPTIONAL {
        findings.push(if has_program(name) {
            Finding::good(name, version(name).unwrap_or_else(|| "found".into()))
        } else {
            let remedy = format!("{purpose}; install with: {}", packages::install_command(&[package]));
            Finding::degraded(name, "not found".into(), remedy)
        });
    }
    findings
}

/// Checks virtme-ng. The remedy is not a package, since no distribution has this version.
fn virtme_ng() -> Finding {
    match vng::find() {
        Ok((_, version)) => Finding::good("vng", version),
        Err(_) => {
            let remedy = format!("needed by `cargo xtask shell --host`; install with: {}", vng::INSTALL);
            Finding::degraded("vng", "not found".into(), remedy)
        }
    }
}

/// Checks rustc. Its version was checked when this program was built.
fn rust() -> Finding {
    match version("rustc") {
        Some(version) => Finding::good("rustc", version),
        None => Finding::missing("rustc", "not found".into(), "install Rust: https://rustup.rs".into()),
    }
}

/// Returns the first line of a program's version; `None` if it prints nothing.
fn version(program: &str) -> Option<String> {
    let mut command = Command::new(program);
    let output =
        command.arg("--version").stdin(Stdio::null()).output().ok().filter(|it| it.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    // `keyctl from keyutils-1.6.3 (Built 2022-12-18)`, `gcc (Debian 12.2.0-14) 12.2.0`.
    let number = Regex::new(r"\d+\.\d[\w.+~-]*").ok().and_then(|pattern| pattern.find(line));
    Some(number.map_or(line, |number| number.as_str()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_a_number_or_absent() {
        assert!(version("rustc").unwrap().starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(version("false"), None);
        assert_eq!(version("no-such-program"), None);
    }
}
