//! `cargo xtask test`: runs scenarios on the patched kernel.

use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use scenarios::scenario::Scenario;

use crate::args::at_least_one;
use crate::args::matrix::MatrixOptions;
use crate::host::completion;
use crate::host::terminal::Terminal;
use crate::report::events::Stream;
use crate::report::{self, Outlets, ReportArg, ReportWriter, github, live};
use crate::runner::executor::Policy;
use crate::runner::last_run::LastRun;
use crate::runner::run_results::{RunResults, SharedResults};
use crate::runner::selection;
use crate::runner::shard::Shard;
use crate::runner::testbed::Testbed;

const EXAMPLES: &str = "Examples:
  cargo xtask test                                  every scenario, on the fastest back ends
  cargo xtask test timeout linking/confined         scenarios with these names
  cargo xtask test --failed --fail-fast             the last run's failures, until one fails again
  cargo xtask test --vm uml --fresh                 a new kernel for each scenario
  cargo xtask test lifetime timeout --perturb 17    other interleavings, by a seed
  cargo xtask test --kernel 7.3,6.12 --vm uml,tcg   four columns, and a table of what differs
  cargo xtask test --shard 2/3 --retries 2          the second of three shares
  cargo xtask test timeout --list                   the names of the selected scenarios
  cargo xtask test --message-format jsonl | jq -r 'select(.verdict == \"failed\").scenario'
  cargo xtask test --report html=report.html --report junit=junit.xml";

/// Scenarios, columns and output.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    common: Common,

    /// Run only the I-th of N shares of the suite, for one of N machines: 1/3, 2/3 or 3/3
    ///
    /// All shares take about the same time, by an estimate from the scenarios' text. All machines divide the same suite alike.
    /// Filters choose from the share.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Write the names of the selected scenarios, one a line, and run nothing
    #[arg(long, conflicts_with_all = ["report", "message_format"])]
    list: bool,

    /// Format of standard output [default: human]
    #[arg(long, value_enum, value_name = "FORMAT")]
    message_format: Option<MessageFormat>,
}

/// Options of `cargo xtask test` and `cargo xtask watch`.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Run only scenarios whose names (FAMILY/NAME) contain one of these
    #[arg(value_name = "FILTER", add = completion::scenario())]
    filters: Vec<String>,

    /// Take filters as whole names: `FAMILY/NAME`, with all its cases, or `FAMILY/NAME[CASE]`
    #[arg(long, requires = "filters")]
    exact: bool,

    /// Run only the selected scenario of exactly this name
    #[arg(long, value_name = "NAME", hide = true)]
    only: Vec<String>,

    /// Run only scenarios that failed or were left out in the last run on this kernel
    ///
    /// Failures are recorded for each kernel, profile, source and series until the scenario passes there. Without a recorded run, all
    /// scenarios run. Without failures, none runs.
    #[arg(long)]
    failed: bool,

    /// Start no further scenario after the first one that fails, crashes or hangs
    #[arg(long)]
    fail_fast: bool,

    /// Run a bad scenario again, at most N times, each time in a new guest; if it passes then, it is `flaky`
    #[arg(long, value_name = "N", default_value_t)]
    retries: u32,

    /// Delay locks and wake-ups of the key service as this seed says, with a new guest for each scenario [default profile: mutants;
    /// default virtual machine: UML]
    #[arg(long, value_name = "SEED", value_parser = at_least_one::<NonZero<u32>>)]
    perturb: Option<NonZero<u32>>,

    #[command(flatten)]
    pub(super) testbed: MatrixOptions,

    /// Write a report: ktap, junit, json or html; can be given several times
    ///
    /// The file is written at the start and again at the end, even if the run is interrupted or the kernel does not build. Scenarios
    /// without a verdict are `broken` then. With FILE -, the report goes to standard output at the end, and everything else to standard
    /// error. JSON is an array of {scenario, verdict, kernel, profile, vm, seconds}.
    #[arg(long, value_name = "FORMAT=FILE")]
    report: Vec<ReportArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    /// Text for readers
    Human,
    /// A line of JSON for each event when it happens, for programs (docs/running.md)
    Jsonl,
}

impl Common {
    /// Returns these options with what a seed implies.
    pub fn with_seed(&self) -> Result<Self> {
        let testbed = match self.perturb {
            Some(seed) => self.testbed.for_seed(seed)?,
            None => self.testbed.clone(),
        };
        Ok(Self { testbed, ..self.clone() })
    }

    pub fn named(&self) -> Result<Vec<Scenario>> {
        let mut scenarios = if self.exact {
            selection::select_exactly(&self.filters)?
        } else {
            selection::select(&self.filters)?
        };
        scenarios.retain(|scenario| {
            self.only.is_empty()
                || self.only.iter().any(|name| [&scenario.name, &scenario.file].contains(&name))
        });
        Ok(scenarios)
    }
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let common = &options.common.with_seed()?;
    // Mistakes are reported before any long work starts.
    report::check(&common.report)?;
    let events = (options.message_format == Some(MessageFormat::Jsonl)).then(Stream::default);
    let files = common.report.iter().map(|report_arg| report_arg.file.as_path());
    terminal.reserve_standard_output(files.chain(events.as_ref().map(|_| Path::new("-"))))?;
    let named = common.named()?;
    selection::note_stale_snapshots(terminal)?;
    common.testbed.check()?;
    let last_run = LastRun::of(common.testbed.kernel_src.as_deref(), common.testbed.series.given());
    let results = SharedResults::new(Vec::new(), common.testbed.about()?);
    let scenarios = options.choose(named, &last_run, &results.entries(), terminal)?;
    if options.list {
        scenarios.iter().for_each(|scenario| terminal.say(&scenario.name));
        return Ok(ExitCode::SUCCESS);
    }
    let has_any = !scenarios.is_empty();
    results.entries().set_scenarios(scenarios);
    let last_run = Some(last_run).filter(|_| has_any).filter(|last_run| {
        let written = last_run.write(&results.entries());
        written
            .map_err(|error| terminal.note(&format!("this run is not recorded for --failed: {error:#}")))
            .is_ok()
    });
    let reporter =
        ReportWriter::begin(Outlets { report_args: common.report.clone(), last_run, events }, &results)?;
    let judged = if has_any { judge(common, &results, &reporter, terminal) } else { Ok(0) };
    reporter.finish(judged.as_ref().err())?;
    github::write(&results.entries(), terminal);
    Ok(judged?.into())
}

/// Runs the scenarios, and reports each as it ends. Returns the exit code.
fn judge(
    options: &Common,
    results: &SharedResults,
    reporter: &ReportWriter,
    terminal: &Terminal,
) -> Result<u8> {
    let scenarios = results.entries().scenarios.clone();
    let testbed = Testbed::prepare(&options.testbed, &scenarios, "test", terminal)?;
    let policy = Policy { fail_fast: options.fail_fast, retries: options.retries };
    live::run(&testbed, results, policy, terminal, |event| {
        reporter.write_event(|events| events.write_event(event, &testbed, results, terminal));
    })
}

impl Options {
    /// Selects the scenarios to run now from those that match the filters.
    fn choose(
        &self,
        mut scenarios: Vec<Scenario>,
        last_run: &LastRun,
        entries: &RunResults,
        terminal: &Terminal,
    ) -> Result<Vec<Scenario>> {
        if let Some(shard) = self.shard {
            let own = shard.of(&selection::select(&[])?);
            scenarios.retain(|scenario| own.contains(&scenario.name));
            if scenarios.is_empty() {
                terminal.note(&format!("--shard {shard} has none of these scenarios; none runs"));
            }
        }
        if self.common.failed && !scenarios.is_empty() {
            match last_run.failed(entries) {
                None => terminal.note("--failed: no run on this kernel is recorded; all scenarios run"),
                Some(failed) => {
                    scenarios.retain(|scenario| failed.contains(&scenario.name));
                    if scenarios.is_empty() {
                        terminal
                            .note("--failed: no scenario failed or was left out in the last run; none runs");
                    }
                }
            }
        }
        Ok(scenarios)
    }
}
