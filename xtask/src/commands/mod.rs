//! The command line: one module a subcommand.

pub mod bench;
pub mod bisect;
pub mod clean;
pub mod host;
pub mod kernel;
pub mod scenarios;
pub mod test;
pub mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::terminal::Terminal;

/// Keyagents for Linux, and the virtual machines that prove them.
///
/// Exit codes: 0 all passed; 1 a scenario failed, crashed or hung; 2 the testbed could not do its part.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
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

    /// Build the patched kernel, or show where it is
    #[command(subcommand)]
    Kernel(kernel::Command),

    /// Measure what keyagents and the testbed take, side by side with what there was before
    Bench(bench::Options),

    /// Say what this machine lacks, or install it
    Host(host::Options),

    /// Free disk space, by kind
    Clean(clean::Options),
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
            Command::Kernel(command) => kernel::run(command, terminal),
            Command::Bench(options) => bench::run(options, terminal),
            Command::Host(options) => host::run(options, terminal),
            Command::Clean(options) => clean::run(options, terminal),
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
}
