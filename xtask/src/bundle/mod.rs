//! Bundle: one scenario with everything needed to run it again on a machine without this project.

mod archive;
mod build_info;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use kernel::hex;
use rootfs::{Artefacts, Manifest};
use scenarios::kernel_report;
use scenarios::scenario::Scenario;
use scenarios::wire::HostMessage;
use sha2::{Digest, Sha256};

use crate::artifacts::image::KernelOptions;
use crate::host::process::command_line;
use crate::runner::environment::Environment;
use crate::vm::qemu::Qemu;
use crate::vm::uml::Uml;
use crate::vm::{BootConfig, Kind};

pub use archive::pack;

const FOLDER: &str = "/bundle";

const RUN: &str = include_str!("run.sh");
const README: &str = include_str!("README.txt");

/// Program that finds kernel reports in the console.
const CONSOLE_READER: &str = "kernel-report.awk";

/// Number of console lines shown of a report.
const REPORT_LINES: usize = 90;

/// Seconds that a guest may take beyond its plan's deadline: to boot on a slow machine, and to
/// judge.
const GUEST_OVERHEAD_S: u64 = 180;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub bytes: Vec<u8>,
    pub executable: bool,
}

impl File {
    fn text(text: impl Into<String>) -> Self {
        Self { bytes: text.into().into_bytes(), executable: false }
    }

    fn of(path: &Path, executable: bool) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(Self { bytes, executable })
    }
}

pub type Files = BTreeMap<String, File>;

/// Returns the files of a scenario on an environment. `trace` is the trace of its run here, `judge`
/// the program that judges it in the guest.
pub fn files(
    scenario: &Scenario,
    environment: &Environment,
    kernel: &KernelOptions,
    trace: &str,
    judge: &Path,
) -> Result<Files> {
    let is_uml = environment.kind() == Kind::Uml;
    let image = if is_uml { "linux" } else { "bzImage" };
    let mut files = Files::from([
        (image.to_owned(), File::of(&environment.image.path, is_uml)?),
        ("config".to_owned(), File::of(&environment.image.config, false)?),
        (
            "initramfs.cpio".to_owned(),
            File { bytes: initramfs(scenario, environment, judge)?, executable: false },
        ),
        ("scenario.toml".to_owned(), File::of(&scenario.path, false)?),
        ("trace.txt".to_owned(), File::text(trace)),
        ("facts.txt".to_owned(), File::text(build_info::text(environment, kernel)?)),
        ("README".to_owned(), File::text(readme(is_uml))),
        (CONSOLE_READER.to_owned(), File::text(kernel_report::awk(REPORT_LINES))),
        ("run.sh".to_owned(), File { executable: true, ..File::text(run(scenario, environment)?) }),
    ]);
    if !is_uml {
        // User-Mode Linux's program contains its symbols.
        files.insert("vmlinux".to_owned(), File::of(&environment.image.vmlinux, false)?);
    }
    if scenario.snapshot().exists() {
        files.insert("scenario.snap".to_owned(), File::of(&scenario.snapshot(), false)?);
    }
    for (index, patch) in kernel.patches()?.iter().enumerate() {
        let name = format!("series/{}", patch.file_name(index + 1));
        files.insert(name, File { bytes: patch.mail(), executable: false });
    }
    files.insert("SHA256SUMS".to_owned(), File::text(sums(&files)));
    Ok(files)
}

fn sums(files: &Files) -> String {
    files.iter().map(|(name, file)| format!("{}  {name}\n", hex(&Sha256::digest(&file.bytes)))).collect()
}

/// Returns the guest's initramfs, followed by the plan to run without a host connection.
fn initramfs(scenario: &Scenario, environment: &Environment, judge: &Path) -> Result<Vec<u8>> {
    let plan = HostMessage::Run(Box::new(environment.boot.time_scale.plan(scenario)));
    let messages = [plan, HostMessage::PowerOff];
    let lines = messages.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    let mut files = BTreeMap::from([
        (format!("{FOLDER}/messages.jsonl"), File::text(format!("{}\n", lines.join("\n")))),
        (format!("{FOLDER}/judge"), File::of(judge, true)?),
        (format!("{FOLDER}/scenario.toml"), File::of(&scenario.path, false)?),
    ]);
    if scenario.snapshot().exists() {
        files.insert(format!("{FOLDER}/scenario.snap"), File::of(&scenario.snapshot(), false)?);
    }
    let mut manifest = Manifest::read("")?;
    for (path, file) in &files {
        manifest.insert_deep(path, if file.executable { 0o755 } else { 0o644 })?;
    }
    let artefacts: Artefacts<'_> =
        files.iter().map(|(path, file)| (path.as_str(), file.bytes.as_slice())).collect();
    let mut archive = File::of(&environment.boot.initramfs, false)?.bytes;
    archive.extend(rootfs::build(&manifest, &artefacts)?);
    Ok(archive)
}

fn readme(is_uml: bool) -> String {
    let (needs, kvm, image) = if is_uml {
        (
            " and an x86-64 processor",
            "",
            "linux             the kernel, a program of its own (User-Mode Linux), with its symbols",
        )
    } else {
        (
            " and QEMU (qemu-system-x86_64)",
            "    ./run.sh --kvm    the same on the host's processor, where KVM works\n",
            "bzImage           the kernel\n    vmlinux           the same with its symbols, for gdb and addr2line",
        )
    };
    README.replace("@NEEDS@", needs).replace("@KVM@\n", kvm).replace("@IMAGE@", image)
}

fn run(scenario: &Scenario, environment: &Environment) -> Result<String> {
    let mut boot = BootConfig {
        image: "bzImage".into(),
        initramfs: "initramfs.cpio".into(),
        log: "console.log".into(),
        ..environment.boot.clone()
    };
    boot.parameters.push(format!("keyagents.standalone={FOLDER}"));
    let (needs, check, files, command) = if environment.kind() == Kind::Uml {
        boot.image = "./linux".into();
        let uml = Uml::of(&environment.image.config).context("can't read the kernel's configuration")?;
        let command = format!(
            "GLIBC_TUNABLES=glibc.pthread.rseq=0 {} </dev/null >console 2>&1 3>report &",
            command_line(&uml.standalone_command(&boot))
        );
        let check =
            "[ \"$(uname -sm)\" = 'Linux x86_64' ] || give_up \"User-Mode Linux needs Linux on x86-64\"";
        ("", check.to_owned(), "linux initramfs.cpio", command)
    } else {
        let start = |qemu: Qemu| {
            format!("{} </dev/null >>console 2>&1 &", command_line(&qemu.standalone_command(&boot)))
        };
        let command =
            format!("case $kvm in\nno) {} ;;\nyes) {} ;;\nesac", start(Qemu::tcg()), start(Qemu::kvm()));
        let check = "case ${1-} in\n'') kvm=no ;;\n--kvm) kvm=yes ;;\n*) give_up \"$1 is unknown: --kvm is all there is\" ;;\nesac\n\
                     command -v qemu-system-x86_64 >/dev/null 2>&1 ||\n\t\
                     give_up \"this machine has no qemu-system-x86_64: install QEMU (Debian: qemu-system-x86)\"";
        (" and QEMU", check.to_owned(), "bzImage initramfs.cpio", command)
    };
    let limit = environment.boot.time_scale.plan(scenario).deadline_ms / 1000 + GUEST_OVERHEAD_S;
    Ok(script(&scenario.name, needs, &check, files, &command, limit))
}

fn script(scenario: &str, needs: &str, check: &str, files: &str, command: &str, limit: u64) -> String {
    RUN.replace("@NEEDS@", needs)
        .replace("@SCENARIO@", scenario)
        .replace("@CHECK@", check)
        .replace("@FILES@", files)
        .replace("@COMMAND@", command)
        .replace("@LIMIT@", &limit.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use scenarios::verdict::Cause;

    use super::*;

    /// Runs a bundle whose guest prints this on its console, and otherwise passes.
    fn verdict(console: &str) -> (String, Option<i32>) {
        let guest = "{ cat console.txt >console; echo 'verdict: passed' >report; } &";
        let mut files = Files::from([
            ("console.txt".to_owned(), File::text(console)),
            (CONSOLE_READER.to_owned(), File::text(kernel_report::awk(REPORT_LINES))),
            (
                "run.sh".to_owned(),
                File { executable: true, ..File::text(script("f/n", "", ":", "console.txt", guest, 60)) },
            ),
        ]);
        files.insert("SHA256SUMS".to_owned(), File::text(sums(&files)));
        let folder = tempfile::tempdir().unwrap();
        for (name, file) in &files {
            fs::write(folder.path().join(name), &file.bytes).unwrap();
        }
        let program = folder.path().join("run.sh");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let output = Command::new("sh").arg(&program).env("TMPDIR", folder.path()).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        (stdout.rsplit("verdict: ").next().unwrap_or_default().trim().to_owned(), output.status.code())
    }

    #[test]
    fn bundle_and_testbed_give_a_console_the_same_verdict() {
        for (line, code) in [
            ("[  1.0] all is well", 0),
            ("[  1.0] INFO: task agent:88 blocked for more than 60 seconds.", 1),
            ("[  1.0] BUG: unable to handle page fault for address: ffffc90000000000", 1),
            ("[  1.0] BUG: KASAN: slab-use-after-free in key_put+0x12/0x90", 1),
            ("[  1.0] WARNING: possible circular locking dependency detected", 1),
            ("[  1.0] Kernel panic - not syncing: Fatal exception", 1),
            ("[  1.0] WARNING: CPU: 1 PID: 77 at security/keys/request_key.c:450 x+0x1", 1),
            ("<3>[    0.000000] Bus error - the host /dev/shm or /tmp mount likely just ran out of space", 2),
        ] {
            let report = kernel_report::begun_by(line);
            let testbeds = report.map_or("passed", |it| it.kind.failure().verdict(Cause::default()).word());
            let console = format!("[  0.1] quiet\n{line}\nmore\n");
            assert_eq!(verdict(&console), (testbeds.to_owned(), Some(code)), "{line}");
        }
    }
}
