//! `cargo xtask coverage`: lines of the series that the suite reaches.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use console::style;

use crate::args::matrix::MatrixOptions;
use crate::artifacts::image;
use crate::coverage::collector::Collector;
use crate::coverage::counts::Tally;
use crate::coverage::exclusions::Unreachable;
use crate::coverage::{Coverage, gcov, html, lcov, table};
use crate::host::terminal::Terminal;
use crate::host::{exemptions, output};
use crate::report::live;
use crate::runner::executor::Policy;
use crate::runner::run_results::SharedResults;
use crate::runner::selection;
use crate::runner::testbed::Testbed;

const EXAMPLES: &str = "Examples:
  cargo xtask coverage                            requires every line of the series
  cargo xtask coverage --html coverage.html       the sources, with the count of each line
  cargo xtask coverage timeout --lcov timeout.info   lines that one family reaches
  cargo xtask coverage --kernel 6.12 --series v3.mbox";

/// Help of `--kernel`, which takes only one kernel here.
pub const KERNEL: &str = "A kernel of kernel/kernels.toml [default: the first that this machine can have]";

/// Scenarios, kernel and output files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Run only scenarios whose names (FAMILY/NAME) contain one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,

    /// Write a tracefile for lcov, genhtml and editors
    #[arg(long, value_name = "FILE")]
    lcov: Option<PathBuf>,

    /// Write the annotated sources as one page without other files
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    testbed: MatrixOptions,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let files = [("--lcov", &options.lcov), ("--html", &options.html)];
    for (option, file) in files.iter().filter_map(|(option, file)| Some((option, file.as_ref()?))) {
        output::check_writable(file).with_context(|| (*option).to_owned())?;
    }
    terminal.reserve_standard_output(files.iter().filter_map(|(_, file)| file.as_deref()))?;
    let scenarios = selection::select(&options.filters)?;
    let matrix = options.testbed.for_coverage()?;
    matrix.check()?;
    let kernel = matrix.about()?.first().map_or_else(String::new, |about| about.kernel.clone());
    let list = exemptions::read::<Unreachable>(&kernel)?;
    gcov::check()?;

    let testbed = Testbed::prepare(&matrix, &scenarios, "coverage", terminal)?;
    let results = SharedResults::new(scenarios, matrix.about()?);
    let mut collector = Collector::default();
    let code = live::run(&testbed, &results, Policy::default(), terminal, |event| {
        collector.on_event(event);
    })?;

    let work = terminal.work("Reading the counters");
    let tally = tally(&testbed, &collector, terminal)?;
    let spec = testbed.specs.first().context("can't run scenarios: there is no column")?;
    let own = image::changed_files(&spec.kernel, &testbed.cache, terminal)?;
    work.done();
    let coverage = Coverage::of(&own, &tally, &list);
    let remarks = collector.losses(&results.entries().scenarios);
    let found = options.print(&coverage, &kernel, &remarks, terminal);
    options.write(&coverage, &kernel, &remarks)?;
    Ok(code.max(found).into())
}

/// Sums the counters of all guests.
fn tally(testbed: &Testbed, collector: &Collector, terminal: &Terminal) -> Result<Tally> {
    if collector.guests.is_empty() {
        bail!("can't report coverage: no guest has sent counters");
    }
    let mut tally = Tally::default();
    for (environment, counters) in &collector.guests {
        gcov::add(&mut tally, &testbed.environment(*environment, terminal)?.image.notes, counters)?;
    }
    Ok(tally)
}

impl Options {
    /// Prints the coverage. Returns the exit code: in a run of all scenarios, every reachable line
    /// must be reached.
    fn print(&self, coverage: &Coverage, kernel: &str, remarks: &[String], terminal: &Terminal) -> u8 {
        terminal.say(&format!("\n{}", table::table(coverage)));
        remarks.iter().for_each(|remark| terminal.note(remark));
        if !coverage.absent.is_empty() {
            terminal.note(&format!("not in this kernel: {}", coverage.absent.join(", ")));
        }
        let list = exemptions::path::<Unreachable>();
        let list = list.strip_prefix(crate::host::workspace::root()).unwrap_or(&list).display();
        let lines = coverage.lines();
        let missed = lines.of - lines.reached;
        let except = match coverage.unreachable() {
            0 => String::new(),
            count => format!(", {count} more can't be reached ({list})"),
        };
        if !self.filters.is_empty() {
            terminal.say(&format!(
                "\n{} of {} lines of the series reached by these scenarios{except}",
                lines.reached, lines.of
            ));
            return 0;
        }
        if missed > 0 {
            terminal.say(&format!("\nNot reached:\n{}", table::missed(coverage).trim_end()));
        }
        if !coverage.list_errors.is_empty() {
            terminal.say(&format!(
                "\n{list} has wrong entries for {kernel}. Remove them, or limit them to other kernels with `kernels`:"
            ));
            coverage.list_errors.iter().for_each(|list_error| terminal.say(&format!("    {list_error}")));
        }
        let verdict = match (missed, coverage.list_errors.len()) {
            (0, 0) => style("coverage complete:").green(),
            _ => style("coverage incomplete:").red(),
        };
        let list_errors = match coverage.list_errors.len() {
            0 => String::new(),
            1 => format!("; 1 entry of {list} is wrong"),
            count => format!("; {count} entries of {list} are wrong"),
        };
        terminal.say(&format!(
            "\n{} {} of {} lines of the series reached{except}{list_errors}",
            verdict.bold(),
            lines.reached,
            lines.of
        ));
        (missed > 0 || !coverage.list_errors.is_empty()).into()
    }

    fn write(&self, coverage: &Coverage, kernel: &str, remarks: &[String]) -> Result<()> {
        let write = |file: &Path, text: &str| output::write_file(file, text.as_bytes());
        if let Some(file) = &self.lcov {
            write(file, &lcov::text(coverage))?;
        }
        if let Some(file) = &self.html {
            let what = if self.filters.is_empty() { "the whole suite" } else { &self.filters.join(", ") };
            write(file, &html::text(coverage, &format!("kernel {kernel}, {what}"), remarks)?)?;
        }
        Ok(())
    }
}
