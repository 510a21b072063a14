//! `cargo xtask bench`: measurements as tables, as JSON and as a diagram.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::artifacts::image::KernelOptions;
use crate::bench::svg::{Group, svg};
use crate::bench::{self, Figure, Results, Setup, Subject, table};
use crate::host::output;
use crate::host::terminal::Terminal;
use crate::runner::environment::TestbedOptions;
use crate::vm::Kind;

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
    kernel: KernelOptions,

    /// The virtual machine [default: each that works on this machine]
    #[arg(long, value_enum)]
    vm: Option<Kind>,

    /// Install missing packages, with sudo if necessary
    #[arg(long)]
    install: bool,
}

/// Runs the command. A subject that could not be measured does not keep the others from it.
///
/// # Errors
/// A file can't be written, or there is nothing to measure on.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let files = [&options.json, &options.svg].into_iter().flatten();
    files.clone().try_for_each(|path| can_be_written(path))?;
    terminal.reserve_standard_output(files.map(PathBuf::as_path))?;
    let testbed = TestbedOptions { kernel: options.kernel.clone(), vm: options.vm, install: options.install };
    let setup = Setup { testbed: &testbed, rounds: options.rounds, terminal };
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
    /// Each subject once, in the order in which they are measured.
    fn subjects(&self) -> Vec<Subject> {
        let wanted = |subject: &Subject| self.subjects.is_empty() || self.subjects.contains(subject);
        Subject::all().iter().copied().filter(wanted).collect()
    }

    fn write(&self, measured: &[(Subject, Results)], terminal: &Terminal) -> Result<()> {
        if let Some(path) = &self.json {
            let figures: Vec<&Figure> = measured.iter().flat_map(|(_, results)| &results.figures).collect();
            output::put_file(path, &serde_json::to_vec_pretty(&figures)?)?;
            terminal.note(&format!("the figures are in {}", path.display()));
        }
        if let Some(path) = &self.svg {
            let group =
                |(subject, results): &'_ (Subject, Results)| (subject.title(), results.figures.clone());
            let groups: Vec<_> = measured.iter().map(group).collect();
            let groups: Vec<_> = groups.iter().map(|(title, figures)| Group { title, figures }).collect();
            output::put_file(path, svg(&groups).as_bytes())?;
            terminal.note(&format!("the picture is in {}", path.display()));
        }
        Ok(())
    }
}

/// Finds out before any work is done. The file itself is only touched when everything that goes into it is there.
fn can_be_written(path: &Path) -> Result<()> {
    if output::is_standard_output(path) {
        return Ok(());
    }
    if path.exists() && !path.is_file() {
        bail!("can't write {}: it is no ordinary file", path.display());
    }
    let name = path.file_name().ok_or_else(|| anyhow!("{} is no file's path", path.display()))?;
    let mut trial = name.to_owned();
    trial.push(format!(".trial-{}", std::process::id()));
    let trial = path.with_file_name(trial);
    File::create(&trial).with_context(|| format!("can't write {}", path.display()))?;
    fs::remove_file(&trial).with_context(|| format!("can't remove {}", trial.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_cant_be_written_is_found_out_and_leaves_nothing() {
        let error = |path: &str| format!("{:#}", can_be_written(Path::new(path)).unwrap_err());
        assert_eq!(
            error("/does/not/exist.json"),
            "can't write /does/not/exist.json: No such file or directory (os error 2)"
        );
        assert_eq!(error("/dev/null"), "can't write /dev/null: it is no ordinary file");
        assert_eq!(error("/tmp"), "can't write /tmp: it is no ordinary file");

        let directory = std::env::temp_dir().join(format!("keyagents-bench-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        can_be_written(&directory.join("x.json")).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir(directory).unwrap();
    }
}
