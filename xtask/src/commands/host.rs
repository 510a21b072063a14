//! `cargo xtask host`: what this machine lacks.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::host::packages::{self, Consent, Purpose};
use crate::host::terminal::Terminal;

/// What to do about it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask host              # what is missing, and what installs it; root installs at once
  cargo xtask host --install    # with sudo if need be
  cargo xtask doctor            # all that there is to know of this machine")]
pub struct Options {
    /// Install missing packages, with sudo if need be
    #[arg(long)]
    install: bool,
}

/// Runs the command.
///
/// # Errors
/// Something is missing and was not installed.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    for purpose in [Purpose::BootQemu, Purpose::Shell] {
        packages::ensure(purpose, Consent::from_flag(options.install), terminal)?;
    }
    terminal.say("This machine has everything that the testbed needs.");
    Ok(ExitCode::SUCCESS)
}
