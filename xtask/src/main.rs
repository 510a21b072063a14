//! `cargo xtask`.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use xtask::commands::{Cli, completions};
use xtask::terminal::Terminal;

/// The testbed's own fault, or the machine's, or that of what it was given.
const BROKEN: u8 = 2;

fn main() -> ExitCode {
    // A shell may ask what a line could go on with, instead of running it.
    CompleteEnv::with_factory(Cli::command).var(completions::VARIABLE).complete();
    let cli = Cli::parse();
    let terminal = Terminal::new();
    cli.run(&terminal).unwrap_or_else(|error| {
        terminal.error(&error);
        ExitCode::from(BROKEN)
    })
}
