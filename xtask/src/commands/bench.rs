//! `cargo xtask bench`: measurements as tables, as JSON and as a diagram.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::args::one_guest::GuestOptions;
use crate::bench::svg::{Group, svg};
use crate::bench::{self, Figure, Results, Setup, Subject, table};
use crate::host::output;
use crate::host::terminal::Terminal;

/// Benchmarks and output files.
///
/// Figures compare within one run only. On another day, another machine or under other load, they differ. Run nothing else
/// meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench request                        one benchmark
  cargo xtask bench --json bench.json --svg bench.svg
  cargo xtask bench pending --vm tcg --rounds 3")]
pub struct Options {
    /// Benchmarks [default: all]
    #[arg(value_name = "SUBJECT", value_enum)]
    subjects: Vec<Subject>,

    /// Number of rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Write the figures to a file (-: standard output): an array of {bench, case, unit, median, p99, runs}
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write a diagram of the figures to a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    testbed: GuestOptions,
}

/// Help of `--vm`, which has another default here.
pub const VM: &str = "The virtual machine [default: each that works on this machine]";

/// Runs the command. A failed benchmark does not prevent the others.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let files = [&options.json, &options.svg].into_iter().flatten();
    files.clone().try_for_each(|path| output::check_writable(path))?;
    terminal.reserve_standard_output(files.map(PathBuf::as_path))?;
    let setup = Setup { testbed: &options.testbed, rounds: options.rounds, terminal };
    let mut measured = Vec::new();
    let mut failed = Vec::new();
    for subject in options.subjects() {
        match bench::measure(subject, &setup) {
            Ok(results) => {
                terminal.say(&table::table(subject.title(), &results));
                measured.push((subject, results));
            }
            Err(error) => {
                terminal.error(&error);
                failed.push(subject);
            }
        }
    }
    options.write(&measured, terminal)?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

impl Options {
    /// Returns the selected subjects without duplicates, in the order in which they are measured.
    fn subjects(&self) -> Vec<Subject> {
        let wanted = |subject: &Subject| self.subjects.is_empty() || self.subjects.contains(subject);
        Subject::value_variants().iter().copied().filter(wanted).collect()
    }

    fn write(&self, measured: &[(Subject, Results)], terminal: &Terminal) -> Result<()> {
        if let Some(path) = &self.json {
            let figures: Vec<&Figure> = measured.iter().flat_map(|(_, results)| &results.figures).collect();
            output::write_file(path, &serde_json::to_vec_pretty(&figures)?)?;
            terminal.note(&format!("the figures are in {}", path.display()));
        }
        if let Some(path) = &self.svg {
            let groups = measured.iter();
            let groups: Vec<_> = groups
                .map(|(subject, results)| Group { title: subject.title(), figures: &results.figures })
                .collect();
            output::write_file(path, svg(&groups).as_bytes())?;
            terminal.note(&format!("the diagram is in {}", path.display()));
        }
        Ok(())
    }
}
