//! `cargo xtask bisect`: the first patch of a series after which a scenario fails.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use console::style;
use kernel::Patch;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::bisect::{Bisection, Next, Try};
use crate::completion;
use crate::ground::{Extras, Ground, TestbedOptions};
use crate::lane::Lane;
use crate::report::mark;
use crate::terminal::{Terminal, seconds};
use crate::{suite, workspace};

/// Which scenario, and on what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask bisect chosen-error                           # of our own series
  cargo xtask bisect exec-apart --series v3.mbox --vm uml   # of somebody else's, on what is quickest to build and start
  cargo xtask bisect exec-apart --series base..topic --kernel-src ~/linux")]
pub struct Options {
    /// The scenario's name: FAMILY/NAME, or NAME where no other family has one
    #[arg(add = completion::scenario())]
    scenario: String,

    #[command(flatten)]
    testbed: TestbedOptions,
}

/// Runs the command.
///
/// # Errors
/// The testbed could not do its part with the whole series.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let scenario = suite::named(&options.scenario)?;
    let patches = options.testbed.patches()?;
    if patches.is_empty() {
        bail!("there are no patches to search: name a series with --series");
    }
    terminal.say(&format!("{} {}", style(&scenario.name).bold(), style(&scenario.title).dim()));
    let mut bisection = Bisection::of(patches.len());
    loop {
        let patch = match bisection.next() {
            Next::Try(patch) => patch,
            end => return conclude(end, &scenario, &patches, terminal),
        };
        bisection.note(patch, options.try_up_to(patch, &scenario, &patches, terminal)?);
    }
}

impl Options {
    /// Runs the scenario on the kernel with the first patches, so many, and shows what comes of it.
    fn try_up_to(
        &self,
        patch: usize,
        scenario: &Scenario,
        patches: &[Patch],
        terminal: &Terminal,
    ) -> Result<Try> {
        let began = Instant::now();
        let label = format!("bisect-{patch:02}");
        let verdict = Ground::prepare(&self.testbed.up_to(patch), &Extras::default(), &label, terminal)
            .map(|ground| {
                let mut lane = Lane::default();
                let verdict = lane.run(&ground, scenario);
                lane.leave().verdict.filter(|_| verdict == Verdict::Passed).unwrap_or(verdict)
            })
            .unwrap_or_else(|error| Verdict::Broken(format!("{error:#}")));
        let log = workspace::logs().join(format!("{label}.log"));
        fs::create_dir_all(workspace::logs()).context("no place for the logs")?;
        fs::write(&log, format!("{} {}\n{}\n", scenario.name, verdict.word(), verdict.details()))
            .with_context(|| format!("can't write {}", log.display()))?;
        let name = patch.checked_sub(1).map_or("no patch at all", |index| patches[index].name.as_str());
        terminal.say(&format!(
            "  {} {patch:>2}/{} {name}  {}  {}",
            mark(verdict.word()),
            patches.len(),
            verdict.word(),
            style(format!("{} · {}", seconds(began.elapsed()), log.display())).dim(),
        ));
        Ok(match verdict {
            Verdict::Passed => Try::Good,
            Verdict::Failed(_) | Verdict::Crashed(_) | Verdict::Hung(_) => Try::Bad,
            Verdict::Broken(_) | Verdict::Skipped(_) => Try::Unknown,
        })
    }
}

/// Says what was found. A scenario that fails with the whole series is a failure, whoever is to blame.
fn conclude(end: Next, scenario: &Scenario, patches: &[Patch], terminal: &Terminal) -> Result<ExitCode> {
    let name = &scenario.name;
    let patch = |number: usize| number.checked_sub(1).map_or("no patch at all", |index| &patches[index].name);
    let said = match end {
        Next::Well => {
            terminal.say(&format!("\n{name} passes with all {} patches.", patches.len()));
            return Ok(ExitCode::SUCCESS);
        }
        Next::Try(_) | Next::Untestable => {
            bail!("with the whole series {name} can't be judged; its log says why")
        }
        Next::Found(culprits) if culprits.start() == culprits.end() => {
            format!("{name} fails since {}", style(patch(*culprits.end())).bold())
        }
        Next::Found(culprits) => format!(
            "{name} fails since one of {} to {}: those before the last can't be judged",
            style(patch(*culprits.start())).bold(),
            style(patch(*culprits.end())).bold(),
        ),
        Next::Always(first) => format!(
            "{name} fails after every patch that can be judged, {} the first of them",
            style(patch(first)).bold()
        ),
    };
    terminal.say(&format!("\n{said}."));
    Ok(ExitCode::from(1))
}
