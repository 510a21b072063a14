//! The daemon, run on the patched kernel with the helpers of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use common::{streams, xtask};
use rstest::rstest;
use xtask::host::packages::{self, Purpose};
use xtask::host::terminal::Terminal;
use xtask::host::workspace;

mod common;

/// The daemon's file, or cargo's messages if it can't be built.
static BUILT: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let mut cargo = workspace::cargo();
    let output = cargo.args(["build", "--package", "keyagentd"]).current_dir(workspace::root()).output();
    let output = output.map_err(|why| why.to_string())?;
    let program = workspace::target().join("debug/keyagentd");
    if output.status.success() { Ok(program) } else { Err(streams(&output).2) }
});

/// Programs of this machine that the guests need, from the packages keyutils and util-linux.
const HELPERS: [&str; 3] = ["/bin/keyctl", "/sbin/key.dns_resolver", "/usr/bin/unshare"];

/// Runs a script in a guest, with a session keyring of its own. Returns what it prints; `None` if this machine lacks
/// a helper and it can't be installed.
fn run(script: &str) -> Result<Option<String>> {
    packages::ensure(Purpose::Shell, false, &Terminal::default())?;
    if let Some(missing) = HELPERS.iter().find(|helper| !Path::new(helper).exists()) {
        eprintln!(
            "skipped: {missing} is missing; {}",
            packages::install_command(&["keyutils", "util-linux"])
        );
        return Ok(None);
    }
    let daemon = BUILT.as_ref().map_err(|why| anyhow::anyhow!("can't build the daemon: {why}"))?;
    let directory = daemon.parent().context("the daemon has no directory")?.display();
    // Other programs may slow this machine down.
    let timeout = "echo 300000 >/proc/sys/kernel/keys/keyagent_timeout_ms";
    let script = format!("PATH=$PATH:{directory}\n{timeout}\n{script}");
    let daemon = daemon.to_string_lossy();
    let mut command = vec!["run", "--vm", "uml", "--include", &*daemon];
    for helper in HELPERS {
        command.extend(["--include", helper]);
    }
    command.extend(["--", "keyctl", "session", "-", "sh", "-c", &script]);
    let (code, stdout, stderr) = streams(&xtask(&command).output()?);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    Ok(Some(stdout))
}

#[rstest]
#[case::by_a_program(include_str!("keyagentd/run.sh"), include_str!("keyagentd/run.out"))]
#[case::by_rules(include_str!("keyagentd/rules.sh"), include_str!("keyagentd/rules.out"))]
#[case::until_it_is_replaced(include_str!("keyagentd/daemon.sh"), include_str!("keyagentd/daemon.out"))]
#[case::whatever_others_do(include_str!("keyagentd/others.sh"), include_str!("keyagentd/others.out"))]
fn daemon_answers(#[case] script: &str, #[case] expected: &str) -> Result<()> {
    if let Some(printed) = run(script)? {
        assert_eq!(printed, expected);
    }
    Ok(())
}

/// A command of a page, and what it prints.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    command: String,
    output: String,
}

/// The commands of a page with the prompt `#`. Further lines of one have the prompt `>`.
fn shown(page: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    for line in blocks.flat_map(str::lines) {
        if let Some(command) = line.strip_prefix("# ") {
            shown.push(Shown { command: format!("{command}\n"), output: String::new() });
        } else if let Some(last) = shown.last_mut() {
            match line.strip_prefix("> ") {
                Some(more) => last.command += &format!("{more}\n"),
                None => last.output += &format!("{line}\n"),
            }
        }
    }
    shown
}

#[test]
fn commands_about_containers_print_what_the_page_says() -> Result<()> {
    const MARK: &str = "=== next command ===\n";
    let page = fs::read_to_string(workspace::root().join("docs/containers.md"))?;
    let commands = shown(&page);
    assert!(commands.len() > 10, "{commands:?}");
    let script: String = commands
        .iter()
        .map(|shown| format!("printf '{}'\n{}", MARK.escape_default(), shown.command))
        .collect();
    let Some(printed) = run(&script)? else { return Ok(()) };
    let printed: Vec<&str> = printed.split(MARK).skip(1).collect();
    for (shown, printed) in commands.iter().zip(&printed) {
        assert_eq!(shown.output, *printed, "{}", shown.command);
    }
    assert_eq!(printed.len(), commands.len());
    Ok(())
}
