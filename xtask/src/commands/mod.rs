//! The command line: one module a subcommand.

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
  cargo xtask doctor                          can this machine run the suite, and how fast
  cargo xtask test                            build the kernel, boot it, judge every scenario
  cargo xtask scenarios explain two-containers
  cargo xtask test --report html=report.html  a page to show to others

Each command has more: cargo xtask COMMAND --help";

/// So many columns of a terminal are used at most.
const WIDTH: usize = 100;

/// Keyagents for Linux, and the virtual machines that prove them.
///
/// Exit codes: 0 all passed; 1 a scenario failed, crashed or hung; 2 the testbed could not do its part.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = WIDTH, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios against the patched kernel in a virtual machine
    Test(test::Options),

    /// List and explain scenarios, write new ones
    #[command(subcommand)]
    Scenarios(scenarios::Command),

    /// Find the first patch of a series after which a scenario fails
    ///
    /// A kernel is built for each step, the last patches first. Exit codes: 0 the scenario passes with the whole series; 1 it does not, and
    /// the last line says since when; 2 the testbed could not do its part.
    Bisect(bisect::Options),

    /// Run scenarios again whenever an edit affects them
    Watch(watch::Options),

    /// Run one scenario, told from all sides: console, events and tracepoints on one clock
    ///
    /// Timings are seconds since the scenario was begun. Exit codes: 0 it passed; 1 it failed, crashed or hung, if only once; 2 the testbed
    /// could not do its part.
    Repro(repro::Options),

    /// Pack a scenario with all that it takes to run it elsewhere
    ///
    /// The bundle holds the kernel with its symbols, its configuration, the series, the guest, the scenario with its snapshot, the
    /// story as it went here, and run.sh, which carries the scenario out once more and ends with its verdict: 0 passed; 1 failed, crashed or hung;
    /// 2 not carried out. It tells nothing of who made it, and the same inputs make the same bytes.
    Bundle(bundle::Options),

    /// Sit at a shell on the patched kernel
    ///
    /// The guest's user space is busybox, keyctl, strace if this machine has it, and the testbed's agent (/init); nothing of the
    /// host is to be seen in it. With --host it is all that this machine has, and you are root there. In either, nothing that is
    /// written lasts, and the shell's exit code is the command's.
    Shell(shell::Options),

    /// Run a program of this machine's on the patched kernel
    ///
    /// The program has the same path in the guest as here, and so have its interpreter, the libraries that it loads and programs
    /// that its arguments name by a path. PATH and LD_LIBRARY_PATH are as here. Standard input, output and error are the command's, and so
    /// is the exit code; where they are a terminal, the program has one. A closed standard output or error ends the guest.
    Run(run::Options),

    /// Boot an initramfs of your own on the patched kernel
    ///
    /// Its console is the terminal. Exit codes: 0 it powered off or restarted; 1 its kernel reported trouble; 2 it can't be booted.
    Boot(boot::Options),

    /// Build the patched kernel; edit, export, check and test the series
    #[command(subcommand)]
    Kernel(kernel::Command),

    /// Say which lines of the series the suite reaches, and which it does not
    ///
    /// Runs scenarios on a kernel that counts how often its lines run, and lays the counters beside the lines that the series adds. Exit
    /// codes: 0 each line that can be reached was, or only some scenarios were asked for; 1 a line was not reached, the list of what can't be
    /// (kernel/coverage/unreachable.toml) is not true, or a scenario failed; 2 the testbed could not do its part.
    #[command(mut_arg("profile", |it| it.hide(true)), mut_arg("kernel", |it| it.value_name("NAME").help(coverage::KERNEL)))]
    Coverage(coverage::Options),

    /// Measure what keyagents and the testbed take, side by side with what there was before
    Bench(bench::Options),

    /// Say what this machine has and lacks, and the remedy for each lack
    Doctor(doctor::Options),

    /// Install what this machine lacks, or say how
    Host(host::Options),

    /// Free disk space, by kind
    Clean(clean::Options),

    /// Do what the build server does: everything that must hold before a change lands
    Ci(ci::Options),

    /// Write a script with which a shell completes these commands
    Completions(completions::Options),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The testbed could not do its part.
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
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// What each command's help ends with, and whether there are commands below it.
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
    fn every_command_shows_examples_of_itself() {
        for (name, help, has_commands) in ends_of_help() {
            let shows = help.contains("Example") && help.contains("cargo xtask");
            assert!(shows || has_commands, "`{name} --help` shows no example");
        }
    }

    #[test]
    fn examples_fit_a_line_and_paragraphs_are_left_to_be_wrapped() {
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
