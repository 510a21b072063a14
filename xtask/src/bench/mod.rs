//! Benchmarks and their results. The figures are not judged.

pub mod boot;
pub mod daemon;
pub mod fresh_vm;
pub mod minimal_programs;
pub mod miss;
pub mod pending;
pub mod process;
pub mod request;
pub mod stats;
pub mod stock_comparison;
pub mod suite;
pub mod svg;
pub mod table;

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use scenarios::wire::bench::{Measurement, SampleUnit, Series};

pub use stats::{Figure, Unit};

use crate::args::one_guest::GuestOptions;
use crate::host::terminal::Terminal;
use crate::runner::environment::{Environment, Extras};
use crate::vm::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// The whole suite, from the command to the last verdict
    Suite,
    /// From the start of a virtual machine to PID 1's first message
    Boot,
    /// A scenario on a pristine kernel, from the start of the guest to the verdict
    Fresh,
    /// A request answered by a keyagent, by /sbin/request-key, and the lower bound
    Request,
    /// A request answered by keyagentd in each of its ways, by plain agents and by /sbin/request-key; its memory;
    /// 10,000 requests to it
    Daemon,
    /// A request that thousands of others wait with, from 1 to 10,000
    Pending,
    /// A request without an answer, with keyagents and without: builds three kernels the first time
    Miss,
    /// Fork with exit or exec of a process that never registered, with keyagents elsewhere and without:
    /// builds a stock kernel the first time
    Process,
}

impl Subject {
    pub fn title(self) -> &'static str {
        match self {
            Self::Suite => "The whole suite, from the command to the last verdict",
            Self::Boot => "From the start of a virtual machine to PID 1's first message",
            Self::Fresh => "A scenario on a pristine kernel, from the start of the guest to the verdict",
            Self::Request => "A request, from the call to the key",
            Self::Daemon => "A request to keyagentd, from the call to the answer; and its memory",
            Self::Pending => "A request while others are pending with one agent (RLIMIT_SIGPENDING 64)",
            Self::Miss => "A request without an answer, on a kernel that starts no program for it",
            Self::Process => "A process that never registered, from its fork to its end",
        }
    }
}

#[derive(Debug)]
pub struct Setup<'a> {
    pub testbed: &'a GuestOptions,
    pub rounds: u32,
    pub terminal: &'a Terminal,
}

#[derive(Debug, Default)]
pub struct Results {
    pub figures: Vec<Figure>,
    /// Comparisons of figures, and the cases that were left out with their reasons.
    pub remarks: Vec<String>,
}

impl Results {
    /// Returns the ratio of two cases' medians.
    pub fn ratio(&self, of: &str, to: &str) -> Option<f64> {
        let median = |case: &str| self.figures.iter().find(|figure| figure.case == case).map(|it| it.median);
        Some(median(of)? / median(to)?)
    }
}

pub fn measure(subject: Subject, setup: &Setup<'_>) -> Result<Results> {
    match subject {
        Subject::Suite => suite::measure(setup),
        Subject::Boot => boot::measure(setup),
        Subject::Fresh => fresh_vm::measure(setup),
        Subject::Request => request::measure(setup),
        Subject::Daemon => daemon::measure(setup),
        Subject::Pending => pending::measure(setup),
        Subject::Miss => miss::measure(setup),
        Subject::Process => process::measure(setup),
    }
}

/// Returns an environment on each selected back end that works here, and the reasons for those left
/// out.
fn workers(
    setup: &Setup<'_>,
    extras: impl Fn(Option<Kind>) -> Extras,
) -> Result<(Vec<Environment>, Vec<String>)> {
    let mut environments: Vec<Environment> = Vec::new();
    let mut left_out = Vec::new();
    for vm in wanted(setup.testbed.vm) {
        let options = GuestOptions { vm, ..setup.testbed.clone() };
        match options.qemu_environment(&extras(vm), "bench", setup.terminal) {
            Ok(environment) if environments.iter().all(|it| it.kind() != environment.kind()) => {
                environments.push(environment)
            }
            Ok(_) => {}
            Err(error) => match vm {
                Some(kind) if setup.testbed.vm.is_none() => {
                    left_out.push(format!("{kind} is left out: {error:#}"));
                }
                _ => return Err(error),
            },
        }
    }
    Ok((environments, left_out))
}

/// Returns the selected kinds; by default the best one here, TCG and UML.
fn wanted(vm: Option<Kind>) -> Vec<Option<Kind>> {
    match vm {
        None => vec![None, Some(Kind::Tcg), Some(Kind::Uml)],
        named => vec![named],
    }
}

/// Returns the things in random order, so that no case always follows the same other case.
fn shuffled<T: Hash>(things: impl Iterator<Item = T>) -> Vec<T> {
    let order = RandomState::new();
    let mut things: Vec<T> = things.collect();
    things.sort_by_cached_key(|thing| order.hash_one(thing));
    things
}

/// Starts a guest, runs a measurement in it, and shuts it down.
fn measure_in_guest(environment: &Environment, measurement: &Measurement) -> Result<Vec<Series>> {
    const TIME_LIMIT: Duration = Duration::from_secs(1800);
    let mut session = environment.guest()?;
    let series = session.measure(measurement, TIME_LIMIT)?;
    session.close()?;
    Ok(series)
}

/// Returns a figure for each series of a guest: times in microseconds, memory in KiB.
fn figures(bench: &'static str, vm: &str, series: Vec<Series>) -> Vec<Figure> {
    let figure = |one: Series| {
        let (unit, divisor) = match one.unit {
            SampleUnit::Nanoseconds => (Unit::Microseconds, 1000.0),
            SampleUnit::Kibibytes => (Unit::Kibibytes, 1.0),
        };
        let samples: Vec<f64> = one.samples.iter().map(|sample| *sample as f64 / divisor).collect();
        Figure::of(bench, format!("{vm}: {}", one.case), unit, &samples)
    };
    series.into_iter().filter_map(figure).collect()
}
