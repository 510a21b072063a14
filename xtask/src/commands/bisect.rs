//! `cargo xtask bisect`: the first patch of a series after which a scenario fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::slice;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use console::style;
use kernel::Patch;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::args::one_guest::GuestOptions;
use crate::host::completion;
use crate::host::terminal::{Terminal, seconds};
use crate::host::workspace;
use crate::runner::bisect::{Bisection, Next, Try};
use crate::runner::environment::{self, Extras};
use crate::runner::result_word::Word;
use crate::runner::selection;
use crate::runner::worker::Worker;

/// Scenario, series and guest of a bisection.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  cargo xtask bisect chosen-error                           # in this repository's series
  cargo xtask bisect exec-apart --series v3.mbox --vm uml   # in another series, on UML
  cargo xtask bisect exec-apart --series base..topic --kernel-src ~/linux")]
pub struct Options {
    /// The scenario's name: FAMILY/NAME, or NAME if only one family has it
    #[arg(add = completion::one_scenario())]
    scenario: String,

    #[command(flatten)]
    testbed: GuestOptions,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let scenario = selection::named(&options.scenario)?;
    let mut options = options.clone();
    options.testbed.kernel = options.testbed.kernel.for_scenario(&scenario);
    let patches = options.testbed.kernel.patches()?;
    if patches.is_empty() {
        bail!("there are no patches to search: name a series with --series");
    }
    environment::clear_logs("bisect-")?;
    terminal.say(&format!("{} {}", style(&scenario.name).bold(), style(&scenario.title).dim()));
    let mut bisection = Bisection::of(patches.len());
    let mut verdicts = BTreeMap::new();
    loop {
        let patch = match bisection.next() {
            Next::Try(patch) => patch,
            end => return conclude(end, &scenario, &patches, &verdicts, terminal),
        };
        let verdict = options.try_up_to(patch, &scenario, &patches, terminal)?;
        bisection.note(
            patch,
            match verdict {
                Verdict::Passed => Try::Good,
                Verdict::Failed(_) | Verdict::Crashed(_) | Verdict::Hung(_) => Try::Bad,
                Verdict::Broken(_) | Verdict::Skipped(_) => Try::Unknown,
            },
        );
        verdicts.insert(patch, verdict);
    }
}

impl Options {
    /// Runs the scenario on the kernel with the first `patch` patches, and shows the verdict.
    fn try_up_to(
        &self,
        patch: usize,
        scenario: &Scenario,
        patches: &[Patch],
        terminal: &Terminal,
    ) -> Result<Verdict> {
        let began = Instant::now();
        let label = format!("bisect-{patch:02}");
        let extras = Extras::for_scenarios(slice::from_ref(scenario), self.testbed.install, terminal);
        let verdict = extras
            .and_then(|extras| self.testbed.up_to(patch).qemu_environment(&extras, &label, terminal))
            .map(|environment| {
                let mut worker = Worker::default();
                let verdict = worker.run(&environment, scenario);
                worker
                    .shut_down(&environment)
                    .verdict
                    .filter(|_| verdict == Verdict::Passed)
                    .unwrap_or(verdict)
            })
            .unwrap_or_else(|error| Verdict::Broken(format!("{error:#}").into()));
        let log = log(&format!("{patch:02}"));
        fs::write(&log, format!("{} {}\n{}\n", scenario.name, verdict.word(), verdict.details()))
            .with_context(|| format!("can't write {}", log.display()))?;
        let word = Word::of(&verdict, false);
        let what = format!("{} {word:<7}", word.mark());
        terminal.say(&format!(
            "  {} {patch:>2}/{} {}  {}",
            word.colour().apply_to(what),
            patches.len(),
            name(patch, patches),
            style(seconds(began.elapsed())).dim(),
        ));
        Ok(verdict)
    }
}

/// Returns the name of the patch with this number, counted from 1.
fn name(patch: usize, patches: &[Patch]) -> &str {
    patch.checked_sub(1).map_or("no patch at all", |index| &patches[index].name)
}

fn log(step: &str) -> PathBuf {
    workspace::logs().join(format!("bisect-{step}.log"))
}

/// Reports the first bad patch. A scenario that fails with the whole series is a failure, whichever patch causes it.
fn conclude(
    end: Next,
    scenario: &Scenario,
    patches: &[Patch],
    verdicts: &BTreeMap<usize, Verdict>,
    terminal: &Terminal,
) -> Result<ExitCode> {
    let scenario = &scenario.name;
    let why = |patch: usize| verdicts.get(&patch).map(Verdict::details).unwrap_or_default();
    let bold = |patch: usize| style(name(patch, patches)).bold();
    let (message, culprit) = match end {
        Next::Well => {
            terminal.say(&format!("\n{scenario} passes with all {} patches.", patches.len()));
            return Ok(ExitCode::SUCCESS);
        }
        Next::Try(_) | Next::Untestable => {
            bail!("can't judge {scenario} with the whole series: {}", why(patches.len()).trim_end())
        }
        Next::Found(culprits) if culprits.start() == culprits.end() => {
            (format!("{scenario} fails since {}", bold(*culprits.end())), *culprits.end())
        }
        Next::Found(culprits) => {
            let (first, last) = (bold(*culprits.start()), bold(*culprits.end()));
            let message = format!(
                "{scenario} fails since one of {first} to {last}: those before the last can't be judged"
            );
            (message, *culprits.end())
        }
        Next::Always(first) => {
            let message = format!(
                "{scenario} fails after every patch that can be judged, {} the first of them",
                bold(first)
            );
            (message, first)
        }
    };
    let why = why(culprit);
    let why = why.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    terminal.say(&format!("\n{message}:\n  {why}"));
    terminal.say(&format!("  {}", style(format!("each step's log: {}", log("NN").display())).dim()));
    Ok(ExitCode::from(1))
}
