//! `cargo xtask scenarios accept`: makes pending traces the snapshots.

use anyhow::{Result, bail};
use clap::Args;
use console::style;
use scenarios::snapshot;

use crate::host::completion;
use crate::host::terminal::Terminal;
use crate::runner::selection;

/// Scenarios to accept.
#[derive(Debug, Args)]
#[command(after_help = "\
A run whose expectations all hold, but whose trace is not the snapshot's, leaves the trace beside it as \
NAME.snap.new. Look at it before you accept it: `cargo xtask test` shows the difference, and so does \
`cargo insta review`, which accepts one by one.

Examples:
  cargo xtask scenarios accept lifetime/exec      # scenarios whose names contain this
  cargo xtask scenarios accept                    # all pending traces")]
pub struct Options {
    /// Accept only scenarios whose names (FAMILY/NAME) contain one of these
    #[arg(value_name = "FILTER", add = completion::scenario())]
    filters: Vec<String>,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<()> {
    let mut accepted = 0;
    for scenario in selection::select(&options.filters)? {
        if snapshot::accept(&scenario)? {
            accepted += 1;
            terminal.say(&format!("{} {}", style("accepted").green(), scenario.file));
        }
    }
    if accepted == 0 {
        bail!(
            "no trace is waiting to be accepted: `cargo xtask test` leaves one where it differs from the snapshot \
             and all steps go as expected"
        );
    }
    Ok(())
}
