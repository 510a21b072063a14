//! Entry point of `cargo xtask`.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use xtask::commands::{Cli, completions};
use xtask::host::interruption::{self, BROKEN};
use xtask::host::output;
use xtask::host::terminal::Terminal;

fn main() -> ExitCode {
    // A shell may request a completion instead of running the command.
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
    // Output of other code may still be in the buffer of standard output.
    output::write_stdout(b"");
    interruption::wait_for_end();
    code
}

fn run(cli: &Cli) -> ExitCode {
    let terminal = Terminal::default();
    find_temporary_directory(&terminal);
    interruption::watch().and_then(|()| cli.run(&terminal)).unwrap_or_else(|error| {
        terminal.error(&error);
        ExitCode::from(BROKEN)
    })
}

/// Selects another directory for temporary files if the one named by `TMPDIR` is unusable.
fn find_temporary_directory(terminal: &Terminal) {
    let can_hold = |directory: &Path| tempfile::tempfile_in(directory).is_ok();
    let named = env::temp_dir();
    if can_hold(&named) {
        return;
    }
    let other = ["/tmp", "/var/tmp"].map(Path::new).into_iter().find(|directory| can_hold(directory));
    if let Some(other) = other.filter(|other| tempfile::env::override_temp_dir(other).is_ok()) {
        terminal.note(&format!(
            "can't create files in {} (TMPDIR); using {} instead",
            named.display(),
            other.display()
        ));
    }
}
