//! Cost of a request without an answer: on a stock kernel, and on patched ones with keyagents
//! disabled, enabled and in use.
//!
//! Each boot is one sample of its kernel, and the order of boots is random in each round. On TCG,
//! every case is also measured with a clock that counts the guest's instructions, which is
//! independent of other load.

use anyhow::{Context, Result};
use kernel::Fragment;
use scenarios::wire::bench::{Measurement, UnrelatedAgent};

use super::stats::median;
use super::{Figure, Results, Setup, Unit, measure_in_guest, shuffled};
use crate::runner::environment::{Environment, Extras};
use crate::vm::{Clock, Kind};

/// Samples of each case in one boot, and requests in a sample.
const SAMPLES: u32 = 15;
const CALLS: u32 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kernel {
    Stock,
    Off,
    On,
}

/// States of a kernel in which the request misses.
const STATES: [(&str, Kernel, UnrelatedAgent); 5] = [
    ("stock kernel", Kernel::Stock, UnrelatedAgent::None),
    ("CONFIG_KEYAGENT off", Kernel::Off, UnrelatedAgent::None),
    ("on, no agent ever", Kernel::On, UnrelatedAgent::None),
    ("on, an agent elsewhere", Kernel::On, UnrelatedAgent::Elsewhere),
    ("on, an agent for another type", Kernel::On, UnrelatedAgent::OtherType),
];

/// Samples of one state by one clock.
struct Case {
    state: usize,
    clock: Clock,
    /// Medians of the boots, for each kind of miss.
    boots: Vec<(String, Vec<f64>)>,
}

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let mut stock = Kernel::Stock.environment(setup)?;
    let mut off = Kernel::Off.environment(setup)?;
    let mut on = Kernel::On.environment(setup)?;
    let clocks: &[Clock] =
        if on.kind() == Kind::Tcg { &[Clock::Real, Clock::Instructions] } else { &[Clock::Real] };
    let mut cases: Vec<Case> = clocks
        .iter()
        .flat_map(|clock| (0..STATES.len()).map(|state| Case { state, clock: *clock, boots: Vec::new() }))
        .collect();
    let total = cases.len() as u64 * u64::from(setup.rounds);
    let work = setup.terminal.work_on("Missing keys", total);
    for round in 0..u64::from(setup.rounds) {
        for (done, index) in (0..).zip(shuffled(0..cases.len())) {
            let case = &mut cases[index];
            let (name, kernel, agent) = STATES[case.state];
            let environment = match kernel {
                Kernel::Stock => &mut stock,
                Kernel::Off => &mut off,
                Kernel::On => &mut on,
            };
            environment.boot.cpus = 1;
            environment.boot.clock = case.clock;
            case.boot(environment, agent).with_context(|| name.to_owned())?;
            work.reach(round * cases.len() as u64 + done + 1);
        }
    }
    drop(work);
    Ok(results(&cases))
}

impl Kernel {
    fn environment(self, setup: &Setup<'_>) -> Result<Environment> {
        let mut fragments = vec![Fragment::named("no-upcall")?];
        if self == Self::Off {
            fragments.push(Fragment::named("no-keyagent")?);
        }
        let extras = Extras { fragments, ..Extras::default() };
        let mut options = setup.testbed.clone();
        if self == Self::Stock {
            options.kernel.first = Some(0);
        }
        options.qemu_environment(&extras, "bench", setup.terminal)
    }
}

impl Case {
    fn boot(&mut self, environment: &Environment, agent: UnrelatedAgent) -> Result<()> {
        let series =
            measure_in_guest(environment, &Measurement::Miss { rounds: SAMPLES, calls: CALLS, agent })?;
        for one in series {
            let samples: Vec<f64> = one.samples_ns.iter().map(|ns| self.in_unit(*ns)).collect();
            let Some(sample) = median(&samples) else { continue };
            match self.boots.iter_mut().find(|(way, _)| *way == one.case) {
                Some((_, boots)) => boots.push(sample),
                None => self.boots.push((one.case, vec![sample])),
            }
        }
        Ok(())
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

/// Returns the medians of the boots' medians, and the comparison of each state with the stock
/// kernel.
fn results(cases: &[Case]) -> Results {
    let mut results = Results::default();
    for case in cases {
        for (way, boots) in &case.boots {
            let name = format!("{way}: {}", STATES[case.state].0);
            results.figures.extend(Figure::of("miss", name, case.unit(), boots));
        }
    }
    let remarks = cases.iter().flat_map(|case| compared(cases, case)).collect();
    results.figures.sort_by_key(|figure| (figure.unit.name(), !figure.case.starts_with("without")));
    results.remarks = remarks;
    results
}

/// Compares a state with the stock kernel by the same clock, with the range of the boots.
fn compared<'a>(cases: &'a [Case], case: &'a Case) -> impl Iterator<Item = String> + 'a {
    case.boots.iter().filter_map(move |(way, boots)| {
        let stock = cases.iter().find(|it| it.state == 0 && it.clock == case.clock)?;
        let (_, base) = stock.boots.iter().find(|(it, _)| it == way)?;
        let (own, base) = (median(boots)?, median(base)?);
        let spread = |edge: fn(f64, f64) -> f64| boots.iter().copied().reduce(edge).unwrap_or(own);
        let unit = case.unit();
        Some(format!(
            "{way}, {}: {:+.2} % against the stock kernel by {}; boots from {} to {}",
            STATES[case.state].0,
            (own / base - 1.0) * 100.0,
            if unit == Unit::Instructions { "instructions" } else { "time" },
            unit.show(spread(f64::min)),
            unit.show(spread(f64::max)),
        ))
    })
}
