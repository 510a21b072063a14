//! `cargo xtask`.

use std::process::ExitCode;

use clap::Parser;
use xtask::commands::Cli;
use xtask::terminal::Terminal;

/// The testbed's own fault, or the machine's, or that of what it was given.
const BROKEN: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new();
    cli.run(&terminal).unwrap_or_else(|error| {
        terminal.error(&error);
        ExitCode::from(BROKEN)
    })
}
