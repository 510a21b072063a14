//! `cargo xtask bundle`: a scenario, its kernel and a script that runs it, in one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use console::style;
use scenarios::scenario::Scenario;
use scenarios::trace::Trace;
use scenarios::verdict::Verdict;

use crate::args::one_guest::GuestOptions;
use crate::artifacts::image::KernelOptions;
use crate::artifacts::initramfs;
use crate::bundle;
use crate::host::completion;
use crate::host::output;
use crate::host::process::quoted;
use crate::host::terminal::{Terminal, seconds};
use crate::runner::environment::{Environment, Extras};
use crate::runner::result_word::Word;
use crate::runner::selection;
use crate::runner::worker::Judged;
use crate::vm::Kind;

const EXAMPLES: &str = "Examples:
  cargo xtask bundle chosen-error -o bug.tar.zst                    runs with QEMU
  cargo xtask bundle chosen-error -o bug.tar.zst --vm uml           runs without QEMU
  cargo xtask bundle chosen-error -o bug.tar.zst --series v3.mbox   with another series
  tar --zstd -xf bug.tar.zst && ./keyagents-rejection-chosen-error/run.sh";

/// Scenario, kernel and output file of a bundle.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The scenario's name: FAMILY/NAME, or NAME if only one family has it
    #[arg(add = completion::one_scenario())]
    scenario: String,

    /// The file to write
    #[arg(short, long, value_name = "FILE.tar.zst")]
    output: PathBuf,

    #[command(flatten)]
    kernel: KernelOptions,

    /// The back end that the bundle runs on
    #[arg(long, value_enum, default_value_t)]
    vm: Machine,

    /// Install missing packages, with sudo if necessary
    #[arg(long)]
    install: bool,
}

/// Back end of a bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Machine {
    /// QEMU, which the other machine must have
    #[default]
    Qemu,
    /// User-Mode Linux, which needs x86-64 Linux and no QEMU
    Uml,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let scenario = selection::named(&options.scenario)?;
    if output::is_standard_output(&options.output) {
        bail!("can't write a bundle to standard output: name a file");
    }
    output::check_writable(&options.output)?;
    let environment = options.environment(&scenario, terminal)?;
    let (verdict, trace) = run_here(&environment, &scenario)?;
    let judge = initramfs::judge(terminal)?;
    let began = Instant::now();
    let work = terminal.work("Packing");
    let name = folder(&scenario);
    let files = bundle::files(&scenario, &environment, &options.kernel, &trace, &judge)?;
    output::write_file(&options.output, &bundle::pack(&files, &name).context("can't pack the bundle")?)?;
    drop(work);
    let word = Word::of(&verdict, false);
    terminal.say(&format!("  {} {} {word} here", word.coloured_mark(), scenario.name));
    let size = options.output.metadata().map(|it| it.len() >> 20).unwrap_or_default();
    let about = style(format!("{size} MiB · {}", seconds(began.elapsed()))).dim();
    terminal.say(&format!("  {} {about}", options.output.display()));
    terminal.say(&format!("  {}", how_to_run(&options.output, &name)));
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn environment(&self, scenario: &Scenario, terminal: &Terminal) -> Result<Environment> {
        let vm = (self.vm == Machine::Uml).then_some(Kind::Uml);
        let guest = GuestOptions { kernel: self.kernel.for_scenario(scenario), vm, install: self.install };
        let extras = Extras::for_scenarios(std::slice::from_ref(scenario), self.install, terminal)?;
        guest.qemu_environment(&extras, "bundle", terminal)
    }
}

/// Runs the scenario on this machine, and returns its verdict and transcript.
fn run_here(environment: &Environment, scenario: &Scenario) -> Result<(Verdict, String)> {
    let guest = environment.guest()?;
    let Judged { verdict, events, .. } =
        Judged::of(guest, environment, scenario, &environment.boot.time_scale.plan(scenario));
    if let Verdict::Skipped(why) = verdict {
        bail!("{} can't run on {}: {why}", scenario.name, environment.kind().full_name());
    }
    let trace = Trace::of_scenario(scenario, &events);
    Ok((verdict.clone(), format!("{trace}\n\nverdict: {}\n", verdict.word())))
}

/// Returns the command that unpacks a bundle here and runs it.
fn how_to_run(bundle: &Path, name: &str) -> String {
    // To tar, a name before a colon is another machine, unless it has a slash in it.
    let bundle = if bundle.is_absolute() { bundle.to_owned() } else { Path::new(".").join(bundle) };
    format!("tar --zstd -xf {} && ./{name}/run.sh", quoted(&bundle))
}

/// Returns the bundle's folder, `keyagents-FAMILY-NAME`.
fn folder(scenario: &Scenario) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = scenario.name.chars().map(plain).collect();
    format!("keyagents-{}", name.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_command_unpacks_a_bundle_of_any_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["plain.tar.zst", "with space.tar.zst", "it's.tar.zst", "host:1.tar.zst", "-x.tar.zst"] {
            let tar = directory.path().join(name);
            let line = how_to_run(Path::new(name), "nowhere");
            let mut archive = tar::Builder::new(std::fs::File::create(&tar).unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            header.set_mode(0o755);
            header.set_cksum();
            archive.append_data(&mut header, "nowhere/run.sh", &b":\n"[..]).unwrap();
            archive.finish().unwrap();
            // Some machines have no program zstd.
            let line = line.replacen("--zstd ", "", 1);
            let mut shell = std::process::Command::new("sh");
            let done = shell.args(["-c", &line]).current_dir(directory.path()).output().unwrap();
            assert!(done.status.success(), "{line}: {done:?}");
        }
    }
}
