//! Time of scenarios in a new guest each, from the start of the guest to the verdict.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::bench::{Figure, Results, Setup, Unit, shuffled, workers};
use crate::runner::environment::{Environment, Extras};
use crate::runner::selection;
use crate::runner::worker::Worker;

/// Scenario with one process and one call.
const TRIVIAL: &str = "kernel-requests/no-upcall-for-keyrings";

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let scenarios = selection::select(&[])?;
    let trivial = scenarios.iter().find(|scenario| scenario.name == TRIVIAL);
    let trivial = trivial.with_context(|| format!("can't find the scenario {TRIVIAL}"))?;
    let (environments, remarks) = workers(setup, |_| Extras::default())?;
    let mut results = Results { remarks, ..Results::default() };
    let work = setup.terminal.work_on("Judging scenarios on pristine kernels", scenarios.len() as u64);
    let mut samples: Vec<(Vec<f64>, Vec<f64>)> = environments.iter().map(|_| Default::default()).collect();
    // The first round warms caches, and does not count.
    for round in 0..=setup.rounds {
        for index in shuffled(0..environments.len()) {
            let seconds = judge(&environments[index], trivial)?;
            samples[index].0.extend(seconds.filter(|_| round > 0));
        }
    }
    for (done, scenario) in scenarios.iter().enumerate() {
        for index in shuffled(0..environments.len()) {
            samples[index].1.extend(judge(&environments[index], scenario)?);
        }
        work.reach(done as u64 + 1);
    }
    drop(work);
    for (environment, (trivial, all)) in environments.iter().zip(&samples) {
        let vm = environment.kind();
        let figures =
            [(format!("{vm}: a trivial scenario"), trivial), (format!("{vm}: every scenario once"), all)];
        let figures =
            figures.into_iter().filter_map(|(case, it)| Figure::of("fresh", case, Unit::Seconds, it));
        results.figures.extend(figures);
    }
    Ok(results)
}

/// Returns the time to the verdict, passed or not; `None` if the guest can't run the scenario.
fn judge(environment: &Environment, scenario: &Scenario) -> Result<Option<f64>> {
    let mut worker = Worker::default();
    let begun = Instant::now();
    let verdict = worker.run(environment, scenario);
    let took = begun.elapsed();
    worker.shut_down(environment);
    match verdict {
        Verdict::Skipped(_) => Ok(None),
        Verdict::Broken(why) => bail!("can't judge {}: {why}", scenario.name),
        _ => Ok(Some(took.as_secs_f64())),
    }
}
