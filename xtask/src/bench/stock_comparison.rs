//! Comparison of a stock kernel with patched ones in various states.
//!
//! Each boot is one sample of its state, and the order of boots is random in each round. On TCG,
//! every state is also measured with a clock that counts the guest's instructions, which is
//! independent of other load.

use anyhow::{Context, Result};
use kernel::Fragment;
use scenarios::wire::bench::{Measurement, Series};

use super::stats::median;
use super::{Figure, Results, Setup, Unit, measure_in_guest, shuffled};
use crate::runner::environment::{Environment, Extras};
use crate::vm::{Clock, Kind};

/// All clocks. Only TCG has that of instructions.
const CLOCKS: [Clock; 2] = [Clock::Instructions, Clock::Real];

/// A kernel, by its relation to the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Without the series.
    Stock,
    /// With the series and without `CONFIG_KEYAGENT`.
    Off,
    /// With the series and `CONFIG_KEYAGENT`.
    On,
}

/// A measurement on a variant of the kernel.
#[derive(Debug)]
pub struct State {
    pub name: &'static str,
    pub kernel: Variant,
    pub measurement: Measurement,
}

/// Samples of one state by one clock.
struct Case<'a> {
    state: &'a State,
    clock: Clock,
    /// Medians of the boots, for each series of the measurement.
    boots: Vec<(String, Vec<f64>)>,
}

/// Measures the states and compares each one with the first.
pub fn measure(bench: &'static str, states: &[State], extras: &Extras, setup: &Setup<'_>) -> Result<Results> {
    let mut environments: Vec<(Variant, Environment)> = Vec::new();
    for State { kernel, .. } in states {
        if environments.iter().all(|(variant, _)| variant != kernel) {
            environments.push((*kernel, kernel.environment(extras, setup)?));
        }
    }
    let emulated = environments.iter().all(|(_, environment)| environment.kind() == Kind::Tcg);
    let clocks = CLOCKS.iter().filter(|clock| emulated || **clock == Clock::Real);
    let mut cases: Vec<Case<'_>> = clocks
        .flat_map(|clock| states.iter().map(|state| Case { state, clock: *clock, boots: Vec::new() }))
        .collect();
    let total = cases.len() as u64 * u64::from(setup.rounds);
    let work = setup.terminal.work_on("Comparing kernels", total);
    for round in 0..u64::from(setup.rounds) {
        for (done, index) in (0..).zip(shuffled(0..cases.len())) {
            let case = &mut cases[index];
            let environment = environments.iter_mut().find(|(variant, _)| *variant == case.state.kernel);
            if let Some((_, environment)) = environment {
                case.boot(environment).with_context(|| case.state.name)?;
            }
            work.reach(round * cases.len() as u64 + done + 1);
        }
    }
    drop(work);
    Ok(results(bench, &cases))
}

impl Variant {
    fn environment(self, extras: &Extras, setup: &Setup<'_>) -> Result<Environment> {
        let mut extras = extras.clone();
        let mut options = setup.testbed.clone();
        match self {
            Self::Stock => options.kernel.first = Some(0),
            Self::Off => extras.fragments.push(Fragment::named("no-keyagent")?),
            Self::On => {}
        }
        let mut environment = options.qemu_environment(&extras, "bench", setup.terminal)?;
        environment.boot.cpus = 1;
        // The number of page tables that a fork copies would differ from boot to boot.
        environment.boot.parameters.push("norandmaps".to_owned());
        Ok(environment)
    }
}

impl Case<'_> {
    fn boot(&mut self, environment: &mut Environment) -> Result<()> {
        environment.boot.clock = self.clock;
        for Series { case, samples, .. } in measure_in_guest(environment, &self.state.measurement)? {
            let samples: Vec<f64> = samples.iter().map(|ns| self.in_unit(*ns)).collect();
            let Some(sample) = median(&samples) else { continue };
            match self.boots.iter_mut().find(|(name, _)| *name == case) {
                Some((_, boots)) => boots.push(sample),
                None => self.boots.push((case, vec![sample])),
            }
        }
        Ok(())
    }

    fn series(&self, name: &str) -> Option<&[f64]> {
        self.boots.iter().find(|(it, _)| it == name).map(|(_, boots)| &boots[..])
    }

    fn unit(&self) -> Unit {
        match self.clock {
            Clock::Real => Unit::Microseconds,
            Clock::Instructions => Unit::Instructions,
        }
    }

    /// Converts a duration to the case's unit. The clock of instructions counts one nanosecond for
    /// each.
    fn in_unit(&self, nanoseconds: u64) -> f64 {
        match self.clock {
            Clock::Real => nanoseconds as f64 / 1000.0,
            Clock::Instructions => nanoseconds as f64,
        }
    }
}

/// Returns the medians of the boots' medians, and the comparison of each state with the first one.
fn results(bench: &'static str, cases: &[Case<'_>]) -> Results {
    let mut results = Results::default();
    let names = cases.first().map(|case| &case.boots[..]).unwrap_or_default();
    for clock in CLOCKS {
        for (series, _) in names {
            for case in cases.iter().filter(|case| case.clock == clock) {
                let Some(boots) = case.series(series) else { continue };
                let name = format!("{series}: {}", case.state.name);
                results.figures.extend(Figure::of(bench, name, case.unit(), boots));
                results.remarks.extend(compared(cases, case, series));
            }
        }
    }
    results
}

/// Compares a state with the first one by the same clock, with the range of the boots.
fn compared(cases: &[Case<'_>], case: &Case<'_>, series: &str) -> Option<String> {
    let first = cases.iter().find(|it| it.clock == case.clock)?;
    let boots = case.series(series)?;
    let (own, base) = (median(boots)?, median(first.series(series)?)?);
    let spread = |edge: fn(f64, f64) -> f64| boots.iter().copied().reduce(edge).unwrap_or(own);
    let unit = case.unit();
    Some(format!(
        "{series}, {}: {:+.2} % against the {} by {}; boots from {} to {}",
        case.state.name,
        (own / base - 1.0) * 100.0,
        first.state.name,
        if unit == Unit::Instructions { "instructions" } else { "time" },
        unit.show(spread(f64::min)),
        unit.show(spread(f64::max)),
    ))
}
