//! Baseline: the suite on the image without a mutant. It gives each scenario's time and the mutants
//! that it reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use kernel::hex;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::host::cache;
use crate::host::terminal::Terminal;
use crate::runner::executor::{self, Event, Policy};
use crate::runner::testbed::Testbed;
use crate::runner::timings::Timings;

/// A scenario that has passed without a mutant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// Hash of the scenario and its snapshot.
    digest: String,
    /// Seconds in a new guest.
    pub seconds: f64,
    /// Numbers of the mutants that it reaches, those of the boot among them.
    pub reached: BTreeSet<u32>,
}

/// The scenarios that have passed, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub passed: BTreeMap<String, Passed>,
}

/// Counters of a guest that has mutants.
const REACHED: &str = "mutants/reached";

impl Baseline {
    /// Runs the scenarios, each in a guest of its own. Those that have passed unchanged are known
    /// from `file`. A scenario that the guest can't run is left out.
    pub fn measure(
        testbed: &Testbed,
        scenarios: &[Scenario],
        file: &Path,
        terminal: &Terminal,
    ) -> Result<Self> {
        let known: Self =
            fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let mut baseline = Self::default();
        let mut unknown = Vec::new();
        for scenario in scenarios {
            match known.passed.get(&scenario.name).filter(|passed| passed.digest == Self::digest(scenario)) {
                Some(passed) => _ = baseline.passed.insert(scenario.name.clone(), passed.clone()),
                None => unknown.push(scenario.clone()),
            }
        }
        if !unknown.is_empty() {
            let bad = baseline.run(testbed, &unknown, terminal);
            let all = Self { passed: known.passed.into_iter().chain(baseline.passed.clone()).collect() };
            cache::write_whole(file, &serde_json::to_vec(&all)?)?;
            if !bad.is_empty() {
                bail!(
                    "can't judge mutants by scenarios that do not pass without one:\n  {}",
                    bad.join("\n  ")
                );
            }
        }
        Ok(baseline)
    }

    /// Runs these scenarios. Returns a line for each that did not pass.
    fn run(&mut self, testbed: &Testbed, scenarios: &[Scenario], terminal: &Terminal) -> Vec<String> {
        let work = terminal.work_on("Running the suite without a mutant", scenarios.len() as u64);
        let timings = Timings::load(&testbed.cache);
        let mut running: BTreeMap<usize, (usize, f64)> = BTreeMap::new();
        let (mut bad, mut done) = (Vec::new(), 0);
        executor::run(testbed, scenarios, &timings, Policy::default(), terminal, |event| match event {
            Event::Lost { why, .. } => bad.push(why),
            Event::Judged { worker, job, verdict, took, .. } => {
                done += 1;
                work.reach(done);
                match verdict {
                    Verdict::Passed => _ = running.insert(worker, (job.scenario, took.as_secs_f64())),
                    Verdict::Skipped(_) => {}
                    verdict => {
                        let name = &scenarios[job.scenario].name;
                        bad.push(format!("{name} {}: {}", verdict.word(), verdict.summary()));
                    }
                }
            }
            Event::ShutDown { worker, shutdown, .. } => {
                let Some((index, seconds)) = running.remove(&worker) else { return };
                let scenario = &scenarios[index];
                match shutdown.counters.iter().find(|it| it.file == REACHED) {
                    Some(counters) => {
                        let reached = numbers(&counters.content.0);
                        let passed = Passed { digest: Self::digest(scenario), seconds, reached };
                        self.passed.insert(scenario.name.clone(), passed);
                    }
                    None => bad.push(format!("{}: its guest did not say what it has reached", scenario.name)),
                }
            }
            Event::Ready { .. } | Event::Started { .. } => {}
        });
        work.done();
        bad
    }

    /// Returns the names of the scenarios that reach a mutant.
    pub fn reaching(&self, mutant: u32) -> impl Iterator<Item = (&str, f64)> {
        let reaching = self.passed.iter().filter(move |(_, passed)| passed.reached.contains(&mutant));
        reaching.map(|(name, passed)| (name.as_str(), passed.seconds))
    }
}

fn numbers(content: &[u8]) -> BTreeSet<u32> {
    String::from_utf8_lossy(content).lines().filter_map(|line| line.parse().ok()).collect()
}

impl Baseline {
    /// Returns the hash of all that decides about a scenario's verdict besides the kernel and the
    /// guest.
    pub fn digest(scenario: &Scenario) -> String {
        let read = |file: PathBuf| fs::read(file).unwrap_or_default();
        let text = [read(scenario.path.clone()), read(scenario.snapshot())].concat();
        hex(&Sha256::new().chain_update(&scenario.name).chain_update(text).finalize())[..20].to_owned()
    }
}
