//! `cargo xtask scenarios`: the suite by itself, without a kernel.

pub mod accept;
pub mod explain;
pub mod generate;
pub mod list;
pub mod new;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::host::terminal::Terminal;

/// What to do with the scenarios.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List scenarios, their families, the rules that they prove, and the rules that none proves
    List(list::Options),
    /// Tell a scenario in plain English, with a sequence diagram of what happened
    Explain(explain::Options),
    /// Write a scenario to begin with, which passes as it is
    New(new::Options),
    /// Accept what happened: make pending stories the snapshots
    Accept(accept::Options),
    /// Write the files that are made from the scenarios and their types
    Generate(generate::Options),
}

/// Runs the command.
///
/// # Errors
/// A scenario that is wrong, or something that was asked for and is not there.
pub fn run(command: &Command, terminal: &Terminal) -> Result<ExitCode> {
    match command {
        Command::List(options) => list::run(options, terminal)?,
        Command::Explain(options) => explain::run(options, terminal)?,
        Command::New(options) => new::run(options, terminal)?,
        Command::Accept(options) => accept::run(options, terminal)?,
        Command::Generate(options) => generate::run(options, terminal)?,
    }
    Ok(ExitCode::SUCCESS)
}
