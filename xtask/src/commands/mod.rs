//! The command line: one module for each subcommand.

pub mod bench;
pub mod bisect;
pub mod boot;
pub mod bundle;
pub mod ci;
pub mod clean;
pub mod completions;
pub mod coverage;
pub mod doctor;
pub mod host;
pub mod kernel;
pub mod mutants;
pub mod repro;
pub mod run;
pub mod scenarios;
pub mod shell;
pub mod test;
pub mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::host::terminal::Terminal;

const EXAMPLES: &str = "Examples:
  cargo xtask doctor                          checks this machine
  cargo xtask test                            builds the kernel, boots it and runs every scenario
  cargo xtask scenarios explain two-containers
  cargo xtask test --report html=report.html  with a report on one page

Each command has examples: cargo xtask COMMAND --help";

/// Maximum width of the help.
const WIDTH: usize = 100;

/// Testbed for keyagents: builds the patched kernel, boots it in virtual machines and judges scenarios.
///
/// Exit codes: 0 all passed; 1 a scenario failed, crashed or hung; 2 the testbed could not do its part.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = WIDTH, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios against the patched kernel in a virtual machine
    Test(test::Options),

    /// List, explain, write and accept scenarios
    #[command(subcommand)]
    Scenarios(scenarios::Command),

    /// Find the first patch of a series after which a scenario fails
    ///
    /// A kernel is built for each step, from the last patch backwards. Exit codes: 0 the scenario passes with the whole series; 1 it
    /// does not, and the last line names the first bad patch; 2 the testbed could not do its part.
    Bisect(bisect::Options),

    /// Run scenarios again after each edit that affects them
    Watch(watch::Options),

    /// Run one scenario with its console, events and tracepoints on one clock
    ///
    /// Times are seconds since the start of the scenario. Exit codes: 0 every run passed; 1 a run failed, crashed or hung; 2 the testbed
    /// could not do its part.
    Repro(repro::Options),

    /// Pack a scenario and its kernel into a file that runs on other machines
    ///
    /// The bundle holds the kernel with its symbols, its configuration, the series, the guest, the scenario with its snapshot, the
    /// trace of its run, and run.sh. That script runs the scenario again and exits with its verdict: 0 passed; 1 failed, crashed or
    /// hung; 2 not run. The bundle holds no name or path of this machine, and the same inputs make the same bytes.
    Bundle(bundle::Options),

    /// Start a shell on the patched kernel
    ///
    /// The guest has busybox, keyctl, strace if the host has it, and the testbed's agent (/init). It does not see the host's files.
    /// With --host, it has the host's files and programs, and the shell runs as root. Written files are lost when the guest ends.
    /// The command exits with the shell's exit code.
    Shell(shell::Options),

    /// Run a program of the host on the patched kernel
    ///
    /// The program, its interpreter, the libraries that it loads and the programs that its arguments name by a path
    /// have the same paths in the guest as on the host. PATH and LD_LIBRARY_PATH are the host's. Standard input, output and error and the exit code are
    /// passed through; so is a terminal. A closed standard output or error ends the guest.
    Run(run::Options),

    /// Boot another initramfs on the patched kernel
    ///
    /// The console is the terminal. Exit codes: 0 the guest powered off or restarted; 1 its kernel reported a fault; 2 it can't be booted.
    Boot(boot::Options),

    /// Build the patched kernel; edit, export, check and test the series
    #[command(subcommand)]
    Kernel(kernel::Command),

    /// Show the lines of the series that the suite reaches and those that it misses
    ///
    /// Runs scenarios on a kernel with gcov, and compares the counters with the lines that the series adds. Exit codes: 0 all reachable
    /// lines were reached, or only some scenarios were selected; 1 a line was not reached, the list of unreachable lines
    /// (kernel/coverage/unreachable.toml) is wrong, or a scenario failed; 2 the testbed could not do its part.
    #[command(mut_arg("profile", |it| it.hide(true)), mut_arg("kernel", |it| it.value_name("NAME").help(coverage::KERNEL)))]
    Coverage(coverage::Options),

    /// Put small faults into the series, and show those that no scenario notices
    ///
    /// All mutants are in one kernel, which a boot parameter chooses from. Each is judged by the scenarios that reach it, until the first
    /// that fails, crashes or hangs. Exit codes: 0 every mutant was noticed or is listed as equivalent
    /// (kernel/coverage/equivalent.toml); 1 a mutant survived or was not reached; 2 the testbed could not do its part, a scenario fails
    /// without a mutant, or the list is wrong.
    #[command(mut_arg("profile", |it| it.hide(true)), mut_arg("fresh", |it| it.hide(true)), mut_arg("kernel", |it| it.value_name("NAME").help(coverage::KERNEL)))]
    Mutants(mutants::Options),

    /// Measure keyagents and the testbed in comparison with a stock kernel and other tools
    #[command(mut_arg("vm", |it| it.help(bench::VM)))]
    Bench(bench::Options),

    /// Check this machine's programs and virtual machines, with a remedy for each problem
    Doctor(doctor::Options),

    /// Install missing host packages, or print the command that does
    Host(host::Options),

    /// Free disk space, by kind
    Clean(clean::Options),

    /// Run the build server's checks, which a change must pass
    Ci(ci::Options),

    /// Write a shell's completion script for these commands
    Completions(completions::Options),
}

impl Cli {
    pub fn run(&self, terminal: &Terminal) -> Result<ExitCode> {
        match &self.command {
            Command::Test(options) => test::run(options, terminal),
            Command::Scenarios(command) => scenarios::run(command, terminal),
            Command::Bisect(options) => bisect::run(options, terminal),
            Command::Watch(options) => watch::run(options, terminal),
            Command::Repro(options) => repro::run(options, terminal),
            Command::Bundle(options) => bundle::run(options, terminal),
            Command::Shell(options) => shell::run(options, terminal),
            Command::Run(options) => run::run(options, terminal),
            Command::Boot(options) => boot::run(options, terminal),
            Command::Kernel(command) => kernel::run(command, terminal),
            Command::Coverage(options) => coverage::run(options, terminal),
            Command::Mutants(options) => mutants::run(options, terminal),
            Command::Bench(options) => bench::run(options, terminal),
            Command::Host(options) => host::run(options, terminal),
            Command::Clean(options) => clean::run(options, terminal),
            Command::Doctor(options) => doctor::run(options, terminal),
            Command::Ci(options) => ci::run(options, terminal),
            Command::Completions(options) => completions::run(options).map(|()| ExitCode::SUCCESS),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Returns the end of each command's help, and whether the command has subcommands.
    fn ends_of_help() -> Vec<(String, String, bool)> {
        let mut left = vec![("cargo xtask".to_owned(), Cli::command())];
        let mut ends = Vec::new();
        while let Some((name, command)) = left.pop() {
            let below = command.get_subcommands().filter(|it| it.get_name() != "help");
            let below: Vec<_> = below.map(|it| (format!("{name} {}", it.get_name()), it.clone())).collect();
            let help = [command.get_after_help(), command.get_after_long_help()].into_iter().flatten();
            ends.push((name, help.map(ToString::to_string).collect(), !below.is_empty()));
            left.extend(below);
        }
        ends
    }

    #[test]
    fn every_command_has_examples() {
        for (name, help, has_commands) in ends_of_help() {
            let shows = help.contains("Example") && help.contains("cargo xtask");
            assert!(shows || has_commands, "`{name} --help` shows no example");
        }
    }

    #[test]
    fn examples_fit_the_width_of_the_help() {
        for (name, help, _) in ends_of_help() {
            let lines: Vec<&str> = help.lines().collect();
            for pair in lines.windows(2).filter(|pair| pair[0].chars().count() > WIDTH) {
                assert!(!pair[0].starts_with(' ') && pair[1].is_empty(), "`{name} --help`: {}", pair[0]);
            }
            let last = lines.last().copied().unwrap_or_default();
            assert!(!last.starts_with(' ') || last.chars().count() <= WIDTH, "`{name} --help`: {last}");
        }
    }
}
