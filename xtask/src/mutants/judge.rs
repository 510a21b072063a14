//! Judges mutants in several guests at once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use kernel::Mutant;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use super::baseline::Baseline;
use super::order::History;
use super::{Judgement, Outcome};
use crate::host::mutex::lock;
use crate::runner::environment::Environment;
use crate::runner::worker::Judged;
use crate::session::Session;
use crate::vm::BootConfig;

/// What counts as a killer if no scenario has run yet, or all have.
const BOOT: &str = "boot";
const SHUTDOWN: &str = "shutdown";

/// Time for a guest to come up, many times the usual one.
const BOOT_DEADLINE: Duration = Duration::from_secs(15);

/// Factor of a scenario's usual time after which it hangs, and the milliseconds that are added.
const HANG_FACTOR: f64 = 5.0;
const HANG_EXTRA_MS: f64 = 3000.0;

/// Usual seconds of a scenario above which it waits for deadlines, so that a late guest may make it
/// fail.
const WAITING: f64 = 1.5;

/// Returns the parameter that chooses a mutant.
pub fn boot_parameter(mutant: &Mutant) -> String {
    format!("mutant={}", mutant.id)
}

/// All that judges a mutant.
pub struct Judge<'a> {
    pub environment: &'a Environment,
    pub baseline: &'a Baseline,
    pub scenarios: BTreeMap<&'a str, &'a Scenario>,
    pub history: Mutex<History>,
}

/// A bad verdict, with the scenario or the part of the guest's life that gave it.
struct Kill {
    by: String,
    verdict: Verdict,
}

impl Judge<'_> {
    /// Judges mutants in `workers` threads, in their order. Sends each judgement.
    pub fn run(&self, mutants: &[&Mutant], workers: usize, judgements: &Sender<Judgement>) {
        let next = Mutex::new(mutants.iter());
        thread::scope(|scope| {
            for worker in 0..workers.min(mutants.len()) {
                let (next, judgements) = (&next, judgements.clone());
                scope.spawn(move || {
                    while let Some(mutant) = { lock(next).next() } {
                        let started = Instant::now();
                        let outcome = self.judge(mutant, worker);
                        let seconds = started.elapsed().as_secs_f64();
                        let judgement = Judgement { mutant: mutant.id, outcome, seconds };
                        if judgements.send(judgement).is_err() {
                            return;
                        }
                    }
                });
            }
        });
    }

    /// Runs the scenarios that reach a mutant until the first that notices it.
    fn judge(&self, mutant: &Mutant, worker: usize) -> Outcome {
        let names = lock(&self.history).sorted(mutant, self.baseline.reaching(mutant.id));
        if names.is_empty() {
            return Outcome::NotReached;
        }
        let boot = self.boot(mutant, worker);
        let mut guest = None;
        for name in &names {
            let Some(scenario) = self.scenarios.get(name) else { continue };
            let (kill, kept) = self.attempt(&boot, guest.take(), scenario);
            guest = kept;
            let Some(kill) = kill else { continue };
            if self.needs_confirmation(&kill, name) && self.attempt(&boot, None, scenario).0.is_none() {
                continue;
            }
            lock(&self.history).record(mutant, name);
            return kill.outcome();
        }
        match guest.map(Session::close) {
            Some(Err(failure)) => {
                Kill { by: SHUTDOWN.to_owned(), verdict: failure.kind.verdict(failure.cause) }.outcome()
            }
            Some(Ok(_)) | None => {
                Outcome::Survived { passed: names.into_iter().map(str::to_owned).collect() }
            }
        }
    }

    fn boot(&self, mutant: &Mutant, worker: usize) -> BootConfig {
        let boot = &self.environment.boot;
        let mut parameters = boot.parameters.clone();
        parameters.push(boot_parameter(mutant));
        let log = boot.log.with_file_name(format!("mutants-worker-{worker}.console.log"));
        BootConfig { parameters, log, boot_deadline: Some(BOOT_DEADLINE), ..boot.clone() }
    }

    /// Runs a scenario in that guest, or in a new one. Returns the guest if it can be used again.
    fn attempt(
        &self,
        boot: &BootConfig,
        guest: Option<Session>,
        scenario: &Scenario,
    ) -> (Option<Kill>, Option<Session>) {
        let kill = |by: &str, verdict| Some(Kill { by: by.to_owned(), verdict });
        let started = match guest {
            Some(guest) => Ok(guest),
            None => self.environment.start(boot),
        };
        let guest = match started {
            Ok(guest) => guest,
            Err(failure) => return (kill(BOOT, failure.kind.verdict(failure.cause)), None),
        };
        let mut plan = boot.time_scale.plan(scenario);
        let usual = self.baseline.passed.get(&scenario.name).map_or(0.0, |passed| passed.seconds);
        plan.deadline_ms = plan.deadline_ms.min((usual * 1000.0 * HANG_FACTOR + HANG_EXTRA_MS) as u64);
        let judged = Judged::of_mutant(guest, self.environment, scenario, &plan);
        match judged.verdict {
            Verdict::Passed => (None, judged.guest),
            verdict => (kill(&scenario.name, verdict), None),
        }
    }

    /// Checks whether a bad verdict may come from a busy machine, so that it has to be repeated.
    fn needs_confirmation(&self, kill: &Kill, scenario: &str) -> bool {
        let waits = self.baseline.passed.get(scenario).is_some_and(|passed| passed.seconds > WAITING);
        match kill.verdict {
            Verdict::Crashed(_) => false,
            Verdict::Failed(_) | Verdict::Skipped(_) => waits,
            Verdict::Passed | Verdict::Hung(_) | Verdict::Broken(_) => true,
        }
    }
}

impl Kill {
    fn outcome(self) -> Outcome {
        let why = format!("{}: {}", self.verdict.word(), self.verdict.summary());
        match self.verdict {
            Verdict::Hung(_) => Outcome::TimedOut { by: self.by, why },
            _ => Outcome::Killed { by: self.by, why },
        }
    }
}
