//! `cargo xtask test`: scenarios against the patched kernel.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::completion;
use crate::github;
use crate::ledger::Ledger;
use crate::outcome;
use crate::reports::{self, Reporter, Wish};
use crate::suite;
use crate::terminal::Terminal;
use crate::testbed::{MatrixOptions, Testbed};

const EXAMPLES: &str = "Examples:
  cargo xtask test                                  everything, on what is quickest here
  cargo xtask test timeout linking/confined         these alone
  cargo xtask test --vm uml --fresh                 a new kernel for each scenario
  cargo xtask test --kernel 6.12,6.1 --vm uml,tcg   four columns, and a table of what differs
  cargo xtask test --report html=report.html --report junit=junit.xml";

/// Which scenarios, and on what.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Only scenarios whose name (FAMILY/NAME) contains one of these
    #[arg(value_name = "FILTER", add = completion::scenario())]
    filters: Vec<String>,

    /// Of these, only the one of exactly this name
    #[arg(long, value_name = "NAME", hide = true)]
    only: Vec<String>,

    #[command(flatten)]
    testbed: MatrixOptions,

    /// Write a report as well: ktap, junit, json or html; may be given several times
    ///
    /// It is there from the beginning on, and says at the end what is known, even if the run is interrupted or the kernel does not
    /// build. What has no verdict then is `broken`. Where FILE is -, the report goes to standard output at the end, and all else to standard
    /// error. JSON is an array of {scenario, verdict, kernel, profile, vm, seconds}.
    #[arg(long, value_name = "FORMAT=FILE")]
    report: Vec<Wish>,
}

impl Options {
    /// What the scenarios' names contain; all, if there is none.
    pub fn filters(&self) -> &[String] {
        &self.filters
    }

    /// The user's own kernel source.
    pub fn kernel_src(&self) -> Option<&Path> {
        self.testbed.kernel_src()
    }
}

/// Runs the command.
///
/// # Errors
/// The testbed could not do its part for any scenario.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    // Mistakes are told before any long work starts.
    reports::check(&options.report)?;
    terminal.reserve_standard_output(options.report.iter().map(|wish| wish.file.as_path()))?;
    let mut scenarios = suite::select(&options.filters)?;
    scenarios.retain(|scenario| {
        options.only.is_empty()
            || options.only.iter().any(|name| [&scenario.name, &scenario.file].contains(&name))
    });
    suite::note_stale_snapshots(terminal)?;
    options.testbed.check()?;
    let ledger = Ledger::new(scenarios, options.testbed.about()?);
    let reporter = Reporter::begin(&options.report, &ledger)?;
    let judged = Testbed::prepare(&options.testbed, "test", terminal)
        .and_then(|testbed| outcome::judge(&testbed, &ledger, terminal));
    reporter.finish(judged.as_ref().err())?;
    github::tell(&ledger.entries(), terminal);
    Ok(judged?.into())
}
