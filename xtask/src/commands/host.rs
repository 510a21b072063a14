//! `cargo xtask host`: installation of missing host packages.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::host::packages::{self, Purpose};
use crate::host::terminal::Terminal;

/// Permission to install missing packages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask host              # prints the command that installs missing packages
  cargo xtask host --install    # installs them, with sudo if necessary
  cargo xtask doctor            # a report on the whole machine")]
pub struct Options {
    /// Install missing packages, with sudo if necessary
    #[arg(long)]
    install: bool,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    for purpose in [Purpose::BootQemu, Purpose::Shell, Purpose::Test] {
        packages::ensure(purpose, options.install, terminal)?;
    }
    terminal.say("This machine has everything that the testbed needs.");
    Ok(ExitCode::SUCCESS)
}
