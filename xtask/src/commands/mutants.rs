//! `cargo xtask mutants`: faults in the series that the suite does not notice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;
use console::style;
use kernel::{Mutant, MutantSet, hex};
use scenarios::scenario::Scenario;
use sha2::{Digest, Sha256};

use crate::args::matrix::MatrixOptions;
use crate::artifacts::image::{self, KernelOptions, Profile};
use crate::host::terminal::Terminal;
use crate::host::{cache, exemptions, output, workspace};
use crate::mutants::baseline::Baseline;
use crate::mutants::equivalents::{self, Equivalent};
use crate::mutants::journal::{Journal, SuiteDigests};
use crate::mutants::judge::Judge;
use crate::mutants::order::History;
use crate::mutants::selection::Touched;
use crate::mutants::{Judgement, Outcome, html, json, selection as mutant_selection, table};
use crate::runner::environment::Environment;
use crate::runner::selection;
use crate::runner::testbed::Testbed;

const EXAMPLES: &str = "Examples:
  cargo xtask mutants                                all mutants of the series
  cargo xtask mutants keyagent_may_serve             those of a function
  cargo xtask mutants security/keys/keyagent.c:560   those of a line
  cargo xtask mutants --list                         shows them, and builds nothing
  cargo xtask mutants --sample 100 --seed 7          a hundred of them; the seed decides which
  cargo xtask mutants --without serving/one          what only that scenario notices survives
  cargo xtask mutants --since main                   what a branch has changed in the series
  git -C TREE diff | cargo xtask mutants --in-diff -";

/// Selection of mutants, and output files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Judge only the mutants of these files, functions or lines, or with these numbers
    #[arg(value_name = "FILE|FUNCTION|FILE:LINE|NUMBER")]
    filters: Vec<String>,

    /// List the mutants, and build and run nothing
    #[arg(long)]
    list: bool,

    /// Judge only the mutants of the lines that a diff of the kernel's tree adds; - is standard input
    #[arg(long, value_name = "FILE")]
    in_diff: Option<PathBuf>,

    /// Judge only the mutants of the lines of the kernel's own series that are new or changed since a revision
    /// of this repository
    #[arg(long, value_name = "REVISION", conflicts_with_all = ["in_diff", "kernel_src", "series"])]
    since: Option<String>,

    /// Judge N of the selected mutants
    #[arg(long, value_name = "N")]
    sample: Option<usize>,

    /// The seed that chooses them
    #[arg(long, value_name = "SEED", default_value_t, requires = "sample")]
    seed: u64,

    /// Leave a scenario out; can be given several times
    #[arg(long, value_name = "SCENARIO")]
    without: Vec<String>,

    /// Take over the outcomes of earlier runs of the same kernel, as far as the scenarios that gave them are the same
    #[arg(long)]
    resume: bool,

    /// Write the outcomes as JSON: an array with an object for each mutant
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the sources with the outcomes of each line as one page without other files
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    testbed: MatrixOptions,
}

fn kernel_options(matrix: &MatrixOptions) -> KernelOptions {
    KernelOptions {
        kernel: matrix.kernel.first().cloned(),
        kernel_src: matrix.kernel_src.clone(),
        series: matrix.series.clone(),
        profile: Profile::Mutants,
        ..KernelOptions::default()
    }
}

/// What is needed to judge and to report.
struct Run<'a> {
    set: &'a MutantSet,
    scenarios: BTreeMap<&'a str, &'a Scenario>,
    terminal: &'a Terminal,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let files: Vec<&Path> = options.json.iter().chain(&options.html).map(PathBuf::as_path).collect();
    files.iter().try_for_each(|file| output::check_writable(file))?;
    terminal.reserve_standard_output(files)?;
    let matrix = options.testbed.for_mutants()?;
    matrix.check()?;
    let kernel = matrix.about()?.first().map_or_else(String::new, |about| about.kernel.clone());
    let listed = exemptions::read::<Equivalent>(&kernel)?;
    let touched = options.touched(&matrix, terminal)?;
    let planned = image::mutants(&kernel_options(&matrix), kernel::Arch::Um, &cache::directory()?, terminal)?;
    let selected = options.selected(&planned, touched.as_ref())?;
    if options.list {
        selected.into_iter().for_each(|mutant| terminal.say(&table::line(mutant)));
        return Ok(ExitCode::SUCCESS);
    }
    if selected.is_empty() {
        terminal.say("no mutant lies in what was changed: there is nothing to judge");
        return Ok(ExitCode::SUCCESS);
    }
    let scenarios = options.scenarios()?;
    let testbed = Testbed::prepare(&matrix, &scenarios, "mutants", terminal)?;
    let environment = testbed.environment(0, terminal)?;
    terminal.say(&format!(
        "{} {}",
        style("keyagents").bold(),
        style(format!("mutants {}", environment.describe())).dim()
    ));
    let set = options.image_set(&testbed, terminal)?;
    let selected = options.selected(&set, touched.as_ref())?;
    let gone = equivalents::gone(&listed, &set);
    let baseline = Baseline::measure(&testbed, &scenarios, &baseline_file(environment), terminal)?;
    let scenarios = scenarios.iter().map(|scenario| (scenario.name.as_str(), scenario)).collect();
    let run = Run { set: &set, scenarios, terminal };
    let judgements = run.judge(options, &testbed, environment, &baseline, &listed, &selected)?;
    run.report(&judgements, &gone);
    if let Some(file) = &options.json {
        output::write_file(file, json::text(&set, &judgements)?.as_bytes())?;
    }
    if let Some(file) = &options.html {
        let about = format!("kernel {kernel}, {}", environment.image.release);
        output::write_file(file, html::text(&set, &judgements, &about)?.as_bytes())?;
    }
    let has_hole = judgements.iter().any(|judgement| judgement.outcome.is_hole());
    Ok(ExitCode::from(if gone.is_empty() { has_hole.into() } else { 2 }))
}

impl Options {
    /// Returns the lines that mutants are judged in; `None` for all.
    fn touched(&self, matrix: &MatrixOptions, terminal: &Terminal) -> Result<Option<Touched>> {
        match (&self.in_diff, &self.since) {
            (Some(file), _) => mutant_selection::read_diff(file).map(Some),
            (None, Some(revision)) => {
                image::lines_since(&kernel_options(matrix), revision, &cache::directory()?, terminal)
                    .map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    fn selected<'s>(&self, set: &'s MutantSet, touched: Option<&Touched>) -> Result<Vec<&'s Mutant>> {
        let selected = mutant_selection::select(set, &self.filters, touched)?;
        Ok(match self.sample {
            Some(count) => mutant_selection::sample(selected, count, self.seed),
            None => selected,
        })
    }

    fn scenarios(&self) -> Result<Vec<Scenario>> {
        let mut scenarios = selection::select(&[])?;
        let without: BTreeSet<String> = match self.without.as_slice() {
            [] => BTreeSet::new(),
            names => selection::select_exactly(names)?.into_iter().map(|scenario| scenario.name).collect(),
        };
        scenarios.retain(|scenario| !without.contains(&scenario.name));
        Ok(scenarios)
    }

    fn image_set(&self, testbed: &Testbed, terminal: &Terminal) -> Result<MutantSet> {
        let spec = testbed.specs.first().context("can't judge mutants: there is no kernel")?;
        Ok(image::image(&spec.kernel, spec.arch(), &[], &testbed.cache, terminal)?.mutants()?)
    }
}

impl Run<'_> {
    /// Returns the judgements of the selected mutants in their order.
    fn judge(
        &self,
        options: &Options,
        testbed: &Testbed,
        environment: &Environment,
        baseline: &Baseline,
        listed: &[Equivalent],
        selected: &[&Mutant],
    ) -> Result<Vec<Judgement>> {
        let file = directory().join(format!("{}.jsonl", identity(environment)));
        let (mut journal, before) = Journal::open(&file, self.digests(), options.resume)?;
        let mut judgements: BTreeMap<u32, Judgement> = BTreeMap::new();
        let mut open = Vec::new();
        for mutant in selected {
            let known = || before.iter().find(|judgement| judgement.mutant == mutant.id).cloned();
            match self.unrun(mutant, listed).or_else(known) {
                Some(judgement) => _ = judgements.insert(mutant.id, judgement),
                None => open.push(*mutant),
            }
        }
        if !open.is_empty() && self.scenarios.is_empty() {
            bail!("can't judge mutants: no scenario is left");
        }
        let work = self.terminal.work_on("Judging mutants", open.len() as u64);
        let history = Mutex::new(History::default());
        let judge = Judge { environment, baseline, scenarios: self.scenarios.clone(), history };
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                judge.run(&open, testbed.jobs, &sender);
                drop(sender);
            });
            for (done, judgement) in (1..).zip(receiver) {
                journal.add(&judgement)?;
                if judgement.outcome.is_hole()
                    && let Some(mutant) = self.set.get(judgement.mutant)
                {
                    let words = style(judgement.outcome.words()).red();
                    self.terminal.print_line(&format!("  {words} {}", table::line(mutant)), "");
                }
                judgements.insert(judgement.mutant, judgement);
                work.reach(done);
            }
            Ok::<_, anyhow::Error>(())
        })?;
        work.done();
        Ok(judgements.into_values().collect())
    }

    /// Returns the judgement of a mutant that needs no guest.
    fn unrun(&self, mutant: &Mutant, listed: &[Equivalent]) -> Option<Judgement> {
        let entry = listed.iter().find(|entry| entry.matches(mutant, self.set));
        let outcome = match entry {
            Some(entry) => Outcome::Equivalent { reason: entry.reason.clone() },
            None if !self.set.is_compiled(mutant.id) => Outcome::DidNotCompile,
            None => return None,
        };
        Some(Judgement::unrun(mutant.id, outcome))
    }

    fn report(&self, judgements: &[Judgement], gone: &[String]) {
        for judgement in judgements.iter().filter(|judgement| judgement.outcome.is_hole()) {
            if let Some(mutant) = self.set.get(judgement.mutant) {
                self.terminal.say(&format!(
                    "\n{}",
                    table::hole(mutant, &judgement.outcome, self.set, &self.scenarios)
                ));
            }
        }
        if !gone.is_empty() {
            let list = exemptions::path::<Equivalent>();
            let list = list.strip_prefix(workspace::root()).unwrap_or(&list).display();
            self.terminal.say(&format!(
                "\n{list} has wrong entries. Remove them, or limit them to other kernels with `kernels`:"
            ));
            gone.iter().for_each(|entry| self.terminal.say(&format!("    {entry}")));
        }
        self.terminal.say(&format!("\n{}", table::summary(judgements)));
    }

    fn digests(&self) -> SuiteDigests {
        let digest = |(name, scenario): (&&str, &&Scenario)| (name.to_string(), Baseline::digest(scenario));
        let scenarios: BTreeMap<String, String> = self.scenarios.iter().map(digest).collect();
        let mut hash = Sha256::new();
        scenarios.iter().for_each(|(name, digest)| hash.update(format!("{name}\n{digest}\n")));
        SuiteDigests { whole: hex(&hash.finalize())[..10].to_owned(), scenarios }
    }
}

fn directory() -> PathBuf {
    workspace::target().join("keyagents/mutants")
}

fn baseline_file(environment: &Environment) -> PathBuf {
    directory().join(format!("{}.baseline.json", identity(environment)))
}

/// Returns a name for the kernel and the guest.
fn identity(environment: &Environment) -> String {
    let guest = environment.boot.initramfs.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let kernel: String = environment.image.key.chars().take(12).collect();
    format!("{kernel}-{}", guest.chars().take(12).collect::<String>())
}
