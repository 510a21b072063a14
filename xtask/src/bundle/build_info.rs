//! Build environment of a bundle, without data that identifies the machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use nix::sys::utsname::uname;

use crate::artifacts::image::KernelOptions;
use crate::host::workspace;
use crate::runner::environment::Environment;

/// Value for a program that prints nothing.
const NONE: &str = "none";

pub(super) fn text(environment: &Environment, kernel: &KernelOptions) -> Result<String> {
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
        ("release", environment.image.release.clone()),
        ("testbed", revision(workspace::root())),
        ("host kernel", system),
        ("host processor", processor()),
        ("compiler", version("gcc")),
        ("linker", version("ld")),
        ("rust", version("rustc")),
        ("qemu", version("qemu-system-x86_64")),
    ];
    Ok(facts.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect())
}

/// Returns the commit of a checkout, with a mark if it has uncommitted changes.
fn revision(checkout: &Path) -> String {
    let git = |words: &[&str]| first_line(kernel::git(checkout).args(words));
    let commit = git(&["describe", "--always", "--abbrev=12"]);
    match git(&["status", "--porcelain"]).as_str() {
        NONE => commit,
        _ => format!("{commit}, with changes that are not committed"),
    }
}

fn processor() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = all.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} × {}", model.map_or("unknown", |(_, model)| model))
}

fn version(program: &str) -> String {
    first_line(Command::new(program).arg("--version"))
}

fn first_line(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or(NONE).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_marks_a_checkout_with_a_new_file() {
        const CONFIGURATION: &str = "GIT_CONFIG_GLOBAL";
        let checkout = tempfile::tempdir().unwrap();
        if std::env::var_os(CONFIGURATION).is_none() {
            // The user's configuration, under which git would not show the file, must not count.
            let file = checkout.path().join("gitconfig");
            fs::write(&file, "[status]\n\tshowUntrackedFiles = no\n").unwrap();
            let test = concat!(module_path!(), "::revision_marks_a_checkout_with_a_new_file")
                .trim_start_matches("xtask::");
            let mut command = Command::new(std::env::current_exe().unwrap());
            let done = command.args(["--exact", test]).env(CONFIGURATION, file).output().unwrap();
            assert!(done.status.success(), "{done:?}");
            return;
        }
        let git = |words: &[&str]| {
            let mut command = kernel::git(checkout.path());
            command.args(["-c", "user.name=x", "-c", "user.email=x@y"]);
            assert!(command.args(words).stdout(Stdio::null()).status().unwrap().success());
        };
        git(&["init", "-q"]);
        git(&["commit", "-q", "--allow-empty", "-m", "one"]);
        let clean = revision(checkout.path());
        assert_eq!(clean.len(), 12);
        fs::write(checkout.path().join("new.toml"), "").unwrap();
        assert_eq!(revision(checkout.path()), format!("{clean}, with changes that are not committed"));
    }
}
