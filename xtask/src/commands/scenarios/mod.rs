//! `cargo xtask scenarios`: commands for the suite that need no kernel.

pub mod accept;
pub mod explain;
pub mod generate;
pub mod list;
pub mod new;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::host::terminal::Terminal;

/// Subcommands of `cargo xtask scenarios`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List scenarios by family with the rules that they prove, and the rules without a scenario
    List(list::Options),
    /// Explain a scenario in plain English, with a sequence diagram of its trace
    Explain(explain::Options),
    /// Write a new scenario, which passes unchanged
    New(new::Options),
    /// Make pending traces the snapshots
    Accept(accept::Options),
    /// Write the files that are generated from the scenarios and their types
    Generate(generate::Options),
}

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
