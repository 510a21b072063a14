//! `cargo xtask`.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use xtask::commands::{Cli, completions};
use xtask::interruption::{self, BROKEN};
use xtask::output;
use xtask::terminal::Terminal;

fn main() -> ExitCode {
    // A shell may ask what a line could go on with, instead of running it.
    CompleteEnv::with_factory(Cli::command).var(completions::VARIABLE).complete();
    let code = match Cli::try_parse() {
        Ok(cli) => run(&cli),
        Err(usage) => {
            let printed = usage.print();
            if !usage.use_stderr() {
                output::check("standard output", printed);
            }
            ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(BROKEN))
        }
    };
    // What others have written to standard output may still be in its buffer.
    output::put(b"");
    interruption::settle();
    code
}

fn run(cli: &Cli) -> ExitCode {
    let terminal = Terminal::new();
    interruption::watch().and_then(|()| cli.run(&terminal)).unwrap_or_else(|error| {
        terminal.error(&error);
        ExitCode::from(BROKEN)
    })
}
