//! Worker that runs scenarios one after the other, in the same guest while it stays usable.

use std::io;
use std::path::Path;

use kernel::Subsystem;
use scenarios::plan::Plan;
use scenarios::programs::{self, Origin};
use scenarios::scenario::{SHELL, Scenario};
use scenarios::verdict::{Verdict, compare, judge};
use scenarios::wire::{Counters, Event, Finished};

use crate::debug::symbolize;
use crate::host::packages::install_command;
use crate::runner::environment::Environment;
use crate::session::{Failure, Session};

#[derive(Default)]
pub struct Worker {
    /// A guest that is usable for another scenario.
    pub guest: Option<Session>,
    /// Names of the scenarios that the current guest has run.
    ran: Vec<String>,
}

impl Worker {
    /// Runs a scenario and returns its verdict. A guest that is no longer usable is dropped.
    ///
    /// A guest that is kept must belong to `environment`: call [`Self::shut_down`] before a change.
    pub fn run(&mut self, environment: &Environment, scenario: &Scenario) -> Verdict {
        let guest = match self.guest.take() {
            Some(guest) => Ok(guest),
            None => {
                self.ran.clear();
                environment.guest()
            }
        };
        self.ran.push(scenario.name.clone());
        let guest = match guest {
            Ok(guest) => guest,
            Err(failure) => {
                return symbolize::located(failure.verdict(scenario.plan()), &environment.image.vmlinux);
            }
        };
        let judged = Judged::of(guest, environment, scenario, &environment.boot.time_scale.plan(scenario));
        self.guest = judged.guest;
        judged.verdict
    }

    /// Shuts the guest down in good order. A kernel report comes with the scenarios of the guest,
    /// since any of them may have caused it.
    pub fn shut_down(&mut self, environment: &Environment) -> ShutdownReport {
        match self.guest.take().map(Session::close) {
            None => ShutdownReport::default(),
            Some(Ok(counters)) => ShutdownReport { verdict: None, counters },
            Some(Err(failure)) => {
                let verdict = shutdown_verdict(&failure, &self.ran, &environment.image.vmlinux);
                ShutdownReport { verdict: Some(verdict), counters: Vec::new() }
            }
        }
    }
}

/// Verdict and events of a scenario, and its guest.
pub struct Judged {
    /// The verdict, with the functions of an oops symbolized.
    pub verdict: Verdict,
    /// Events of the scenario, in the guest's order.
    pub events: Vec<Event>,
    /// The guest, if it is usable for another scenario.
    pub guest: Option<Session>,
}

impl Judged {
    /// Runs a plan of the scenario in a guest of that environment, and judges the result.
    pub fn of(guest: Session, environment: &Environment, scenario: &Scenario, plan: &Plan) -> Self {
        let judged = Self::by(judge, guest, environment, scenario, plan);
        Self { verdict: symbolize::located(judged.verdict, &environment.image.vmlinux), ..judged }
    }

    /// Like [`Self::of`] for a kernel that is broken on purpose: no trace is proposed as a snapshot,
    /// and no function is symbolized.
    pub fn of_mutant(guest: Session, environment: &Environment, scenario: &Scenario, plan: &Plan) -> Self {
        Self::by(compare, guest, environment, scenario, plan)
    }

    fn by(
        judge: fn(&Scenario, &[Event], &Finished) -> io::Result<Verdict>,
        mut guest: Session,
        environment: &Environment,
        scenario: &Scenario,
        plan: &Plan,
    ) -> Self {
        if let Some(feature) = scenario.missing(&guest.hello.features) {
            let verdict = Verdict::Skipped(missing_feature(&feature));
            return Self { verdict, events: Vec::new(), guest: Some(guest) };
        }
        let (verdict, events, guest) = match guest.run(plan) {
            Ok(run) => {
                let verdict =
                    judge(&environment.boot.time_scale.scenario(scenario), &run.events, &run.finished)
                        .unwrap_or_else(|error| {
                            Verdict::Broken(format!("the scenario can't be judged: {error}").into())
                        });
                let guest = is_as_before(&verdict).then_some(guest);
                (verdict, run.events, guest)
            }
            Err(failure) => (failure.verdict(plan), failure.events, None),
        };
        Self { verdict, events, guest }
    }
}

#[derive(Debug, Default)]
pub struct ShutdownReport {
    /// Verdict of a kernel report during the shutdown; `None` if there was none.
    pub verdict: Option<Verdict>,
    pub counters: Vec<Counters>,
}

/// Returns the verdict of a kernel report during the shutdown, with its functions symbolized.
fn shutdown_verdict(failure: &Failure, ran: &[String], vmlinux: &Path) -> Verdict {
    let mut cause = failure.cause.clone();
    cause.summary.push_str(&format!("\nscenarios that this guest had run: {}", ran.join(", ")));
    symbolize::located(failure.kind.verdict(cause), vmlinux)
}

/// Checks whether a guest is usable for another scenario. After a kernel report the kernel stays
/// tainted, after a hang processes may remain, and a leak could be attributed to the next scenario.
fn is_as_before(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Crashed(_) | Verdict::Hung(_) => false,
        Verdict::Failed(failure) => failure.left.is_empty(),
        Verdict::Passed | Verdict::Broken(_) | Verdict::Skipped(_) => true,
    }
}

/// Returns the reason for skipping a scenario that needs a missing feature.
pub fn missing_feature(feature: &str) -> String {
    let why = match feature {
        "smp" => ": use --vm tcg, on a machine with two processors".to_owned(),
        name if name.parse::<Subsystem>().is_ok() => {
            ": kernels with patches for it in kernel/kernels.toml have it, with --profile plain or debug"
                .to_owned()
        }
        SHELL => format!(", since this machine has no busybox ({})", install_command(&["busybox-static"])),
        name => match programs::find(name).map(|program| program.origin) {
            Some(Origin::Package(package)) => {
                format!(", since this machine has none ({})", install_command(&[package]))
            }
            Some(Origin::Workspace) | None => String::new(),
        },
    };
    format!("this guest has no {feature}{why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::FailureKind;

    #[test]
    fn missing_program_is_named_with_the_package_that_has_it() {
        let why = missing_feature("nfsidmap");
        let package = install_command(&["nfs-common"]);
        assert_eq!(why, format!("this guest has no nfsidmap, since this machine has none ({package})"));
        let why = missing_feature("nfs");
        assert_eq!(
            why,
            "this guest has no nfs: kernels with patches for it in kernel/kernels.toml have it, with --profile plain or debug"
        );
    }

    #[test]
    fn shutdown_report_is_symbolized_and_names_the_scenarios_of_its_guest() {
        let mut failure = Failure::broken("kernel memory leak: x");
        failure.kind = FailureKind::Crashed;
        failure.cause.console = vec!["key_put+0x1/0x2".into()];
        let ran = ["a/one", "b/two"].map(str::to_owned);
        let verdict = shutdown_verdict(&failure, &ran, Path::new("/dev/null"));
        let details = verdict.details();
        let first = "kernel memory leak: x\nscenarios that this guest had run: a/one, b/two\n";
        assert!(verdict.word() == "crashed" && details.starts_with(first), "{details}");
        // Without symbols in the file, the attempt to read them is reported.
        assert!(details.contains("can't read the symbols of /dev/null"), "{details}");
    }
}
