//! A worker: one scenario after the other, in one guest as long as it lasts.

use scenarios::plan::Plan;
use scenarios::scenario::{SHELL, Scenario};
use scenarios::verdict::{Verdict, judge};
use scenarios::wire::{Counters, Event};

use crate::debug::symbolize;
use crate::host::packages::install_command;
use crate::runner::environment::Environment;
use crate::session::Session;

/// A guest at hand, if there is one.
#[derive(Default)]
pub struct Worker {
    guest: Option<Session>,
}

impl Worker {
    /// Carries out a scenario and judges it. A guest that this wears out is replaced for the next one.
    ///
    /// The guest at hand must be of that environment: [`Self::leave`] the one before you change.
    pub fn run(&mut self, environment: &Environment, scenario: &Scenario) -> Verdict {
        let guest = match self.guest.take().map_or_else(|| environment.open(), Ok) {
            Ok(guest) => guest,
            Err(failure) => {
                return symbolize::located(failure.verdict(scenario.plan()), &environment.vmlinux);
            }
        };
        let judged = Judged::of(guest, environment, scenario, &environment.boot.pace.plan(scenario));
        self.guest = judged.guest;
        judged.verdict
    }

    /// Whether the guest is fit for the next scenario.
    pub fn has_guest(&self) -> bool {
        self.guest.is_some()
    }

    /// Ends the guest in good order.
    pub fn leave(&mut self) -> ShutdownReport {
        match self.guest.take().map(Session::close) {
            None => ShutdownReport::default(),
            Some(Ok(counters)) => ShutdownReport { verdict: None, counters },
            Some(Err(failure)) => {
                let verdict = failure.kind.verdict(failure.cause.clone());
                ShutdownReport { verdict: Some(verdict), counters: Vec::new() }
            }
        }
    }
}

/// What came of a scenario in a guest.
pub struct Judged {
    /// The verdict, with the functions of an oops located in the source.
    pub verdict: Verdict,
    /// What happened, in the guest's order.
    pub events: Vec<Event>,
    /// The guest, if it is fit for another scenario.
    pub guest: Option<Session>,
}

impl Judged {
    /// Has a guest of that environment carry out a plan of the scenario, and judges it.
    pub fn of(mut guest: Session, environment: &Environment, scenario: &Scenario, plan: &Plan) -> Self {
        if let Some(feature) = scenario.missing(&guest.hello().features) {
            let verdict = Verdict::Skipped(missing_feature(&feature));
            return Self { verdict, events: Vec::new(), guest: Some(guest) };
        }
        let (verdict, events, guest) = match guest.run(plan) {
            Ok(run) => {
                let verdict = judge(&environment.boot.pace.scenario(scenario), &run.events, &run.finished)
                    .unwrap_or_else(|error| {
                        Verdict::Broken(format!("the scenario can't be judged: {error}").into())
                    });
                let guest = is_as_before(&verdict).then_some(guest);
                (verdict, run.events, guest)
            }
            Err(failure) => (failure.verdict(plan), failure.events, None),
        };
        Self { verdict: symbolize::located(verdict, &environment.vmlinux), events, guest }
    }
}

/// What a guest had to say at its end.
#[derive(Debug, Default)]
pub struct ShutdownReport {
    /// What its kernel had to report, if it had.
    pub verdict: Option<Verdict>,
    /// What its kernel has counted.
    pub counters: Vec<Counters>,
}

/// Whether a guest is fit for the next scenario: a kernel that has complained stays tainted, one that has let a plan hang may
/// hold on to its processes, and what a scenario has left behind could be laid to the next one.
fn is_as_before(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Crashed(_) | Verdict::Hung(_) => false,
        Verdict::Failed(failure) => failure.left.is_empty(),
        Verdict::Passed | Verdict::Broken(_) | Verdict::Skipped(_) => true,
    }
}

/// Why a guest without a feature can't carry a scenario out.
pub fn missing_feature(feature: &str) -> String {
    let why = match feature {
        "smp" => ": use --vm tcg".to_owned(),
        SHELL => format!(", since this machine has no busybox ({})", install_command(&["busybox-static"])),
        _ => String::new(),
    };
    format!("this guest has no {feature}{why}")
}
