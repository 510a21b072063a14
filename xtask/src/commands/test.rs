//! `cargo xtask test`: scenarios against the patched kernel.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::outcome;
use crate::suite;
use crate::terminal::Terminal;
use crate::testbed::{MatrixOptions, Testbed};

/// Which scenarios, and on what.
#[derive(Debug, Args)]
pub struct Options {
    /// Only scenarios whose name (FAMILY/NAME) contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,

    #[command(flatten)]
    testbed: MatrixOptions,
}

/// Runs the command.
///
/// # Errors
/// The testbed could not do its part for any scenario.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    // Mistakes in scenarios are told before any long work starts.
    let scenarios = suite::select(&options.filters)?;
    suite::note_stale_snapshots(terminal)?;
    let testbed = Testbed::prepare(&options.testbed, "test", terminal)?;
    Ok(outcome::judge(&testbed, &scenarios, terminal)?.into())
}
