//! Time of the whole suite, as a user runs it: from the command to the last verdict.

use std::time::Instant;

use anyhow::Result;

use super::{Figure, Results, Setup, Unit, shuffled, workers};
use crate::host::{process, workspace};
use crate::runner::environment::Extras;

/// Virtual machines of the default.
const DEFAULT: &str = "auto";

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let (environments, remarks) = workers(setup, |_| Extras::default())?;
    let mut vms: Vec<String> =
        environments.iter().map(|environment| environment.kind().to_string()).collect();
    if setup.testbed.vm.is_none() {
        vms.insert(0, DEFAULT.to_owned());
    }
    drop(environments);
    let mut samples: Vec<Vec<f64>> = vms.iter().map(|_| Vec::new()).collect();
    let work = setup.terminal.work_on("Judging the suite", u64::from(setup.rounds));
    // The first round warms the caches, and records the scenarios' durations for the scheduler.
    for round in 0..=setup.rounds {
        for index in shuffled(0..vms.len()) {
            let seconds = judge(setup, &vms[index])?;
            if round > 0 {
                samples[index].push(seconds);
            }
        }
        work.reach(u64::from(round));
    }
    drop(work);
    let figures = vms.into_iter().zip(&samples);
    let figures = figures.filter_map(|(vm, samples)| Figure::of("suite", vm, Unit::Seconds, samples));
    Ok(Results { figures: figures.collect(), remarks })
}

/// Times one run of `cargo xtask test`, with cargo's check of the sources.
fn judge(setup: &Setup<'_>, vm: &str) -> Result<f64> {
    let mut command = workspace::cargo();
    command.args(["xtask", "test", "--vm", vm]).args(setup.testbed.kernel.arguments());
    command.current_dir(workspace::root()).env("NO_COLOR", "1");
    let begun = Instant::now();
    let output = process::output(&mut command)?;
    let took = begun.elapsed();
    match output.status.code() {
        // A failed scenario has a verdict, too.
        Some(0 | 1) => Ok(took.as_secs_f64()),
        _ => Err(process::failed(&command, &output)),
    }
}
