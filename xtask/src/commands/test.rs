//! `cargo xtask test`: scenarios against the patched kernel.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::ground::TestbedOptions;
use crate::report::exit_code;
use crate::suite;
use crate::terminal::Terminal;
use crate::testbed::Testbed;

/// Which scenarios, and on what.
#[derive(Debug, Args)]
pub struct Options {
    /// Only scenarios whose name (FAMILY/NAME) contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,

    #[command(flatten)]
    testbed: TestbedOptions,
}

/// Runs the command.
///
/// # Errors
/// The testbed could not do its part for any scenario.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    // Mistakes in scenarios are told before any long work starts.
    let scenarios = suite::select(&options.filters)?;
    suite::note_stale_snapshots(terminal)?;
    let mut testbed = Testbed::prepare(&options.testbed, "test", terminal)?;
    let reports = suite::run(&mut testbed, &scenarios, terminal);
    Ok(exit_code(&reports).into())
}
