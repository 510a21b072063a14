//! The testbed: everything prepared, and a guest at hand that carries out scenarios.

use anyhow::Result;
use scenarios::scenario::Scenario;
use scenarios::verdict::{Verdict, judge};

use crate::ground::{Extras, Ground, TestbedOptions};
use crate::session::{Failure, Session};
use crate::terminal::Terminal;

/// After so many guests in a row that did not come up, no further one is tried.
const HOPELESS: u32 = 2;

/// A testbed that is ready.
pub struct Testbed {
    ground: Ground,
    session: Option<Session>,
    failed_starts: u32,
}

impl Testbed {
    /// Prepares everything: packages, kernel, guest, virtual machine. The first time this takes minutes.
    ///
    /// `label` tells this testbed's logs from those of others.
    ///
    /// # Errors
    /// Something is missing or does not build.
    pub fn prepare(options: &TestbedOptions, label: &str, terminal: &Terminal) -> Result<Self> {
        let ground = Ground::prepare(options, &Extras::default(), label, terminal)?;
        Ok(Self { ground, session: None, failed_starts: 0 })
    }

    /// What it tests on, in one line.
    pub fn describe(&self) -> String {
        self.ground.describe()
    }

    /// Carries out a scenario and judges it. A guest that this wears out is replaced for the next one.
    pub fn run(&mut self, scenario: &Scenario) -> Verdict {
        let mut session = match self.session() {
            Ok(session) => session,
            Err(failure) => return failure.verdict(scenario.plan()),
        };
        if let Some(feature) = scenario.missing(&session.hello().features) {
            let verdict = Verdict::Skipped(format!("this guest's kernel has no {feature}"));
            self.session = Some(session);
            return verdict;
        }
        let pace = self.ground.boot.pace;
        let run = match session.run(&pace.plan(scenario)) {
            Ok(run) => run,
            Err(failure) => return failure.verdict(scenario.plan()),
        };
        let verdict = judge(&pace.scenario(scenario), &run.events, &run.finished)
            .unwrap_or_else(|error| Verdict::Broken(format!("the scenario can't be judged: {error}")));
        // A kernel that has complained stays tainted, and one that has let a plan hang may hold on to its processes.
        if !matches!(verdict, Verdict::Crashed(_) | Verdict::Hung(_)) {
            self.session = Some(session);
        }
        verdict
    }

    /// Ends the guest in good order. Tells what the kernel had to report on the way.
    pub fn close(&mut self) -> Option<Verdict> {
        let failure = self.session.take()?.close().err()?;
        Some(Verdict::Crashed(failure.to_string()))
    }

    /// The guest at hand, or a new one.
    fn session(&mut self) -> Result<Session, Failure> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        if self.failed_starts >= HOPELESS {
            return Err(Failure::broken("no guest came up, as before"));
        }
        let opened = self.ground.open();
        self.failed_starts = if opened.is_ok() { 0 } else { self.failed_starts + 1 };
        opened
    }
}
