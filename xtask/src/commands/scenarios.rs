//! `cargo xtask scenarios`: the suite by itself, without a kernel.

pub mod list;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::terminal::Terminal;

/// What to do with the scenarios.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List scenarios, their families, the rules that they prove, and the rules that none proves
    List(list::Options),
}

/// Runs the command.
///
/// # Errors
/// A scenario that is wrong, or something that was asked for and is not there.
pub fn run(command: &Command, terminal: &Terminal) -> Result<ExitCode> {
    match command {
        Command::List(options) => list::run(options, terminal)?,
    }
    Ok(ExitCode::SUCCESS)
}
