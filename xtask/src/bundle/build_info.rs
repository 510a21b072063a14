//! What a bundle was made with, and nothing that tells whose machine that was.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::Result;
use nix::sys::utsname::uname;

use crate::artifacts::image::KernelOptions;
use crate::host::workspace;
use crate::runner::environment::Environment;

/// The facts, one a line.
///
/// # Errors
/// There is no such kernel.
pub(super) fn told(environment: &Environment, kernel: &KernelOptions) -> Result<String> {
    let system = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    let facts = [
        (
            "kernel",
            format!(
                "{} for {}, {}",
                kernel.described()?,
                environment.kind().full_name(),
                kernel.profile.name()
            ),
        ),
        ("release", environment.release().to_owned()),
        ("testbed", revision()),
        ("host kernel", system),
        ("host processor", processor()),
        ("compiler", first_line("gcc", &["--version"])),
        ("linker", first_line("ld", &["--version"])),
        ("rust", first_line("rustc", &["--version"])),
        ("qemu", first_line("qemu-system-x86_64", &["--version"])),
    ];
    Ok(facts.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect())
}

/// The commit of this checkout.
fn revision() -> String {
    let root = workspace::root().to_string_lossy();
    first_line("git", &["-C", &root, "describe", "--always", "--dirty", "--abbrev=12"])
}

fn processor() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = all.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} × {}", model.map_or("unknown", |(_, model)| model))
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.lines().next().unwrap_or("none").to_owned()
}
