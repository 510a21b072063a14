//! Runs scenarios in several workers at once, while environments are still being prepared.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use kernel::Progress;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::host::mutex::lock;
use crate::host::terminal::Terminal;
use crate::runner::result_word::Word;
use crate::runner::scheduler::{Job, Next, PickOrder, Schedule};
use crate::runner::testbed::Testbed;
use crate::runner::timings::Timings;
use crate::runner::worker::{ShutdownReport, Worker};

/// Policy for scenarios with a bad verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// True if no further scenario starts after a bad verdict.
    pub fail_fast: bool,
    /// Maximum number of retries, each in a new guest, before the verdict counts.
    pub retries: u32,
}

impl Policy {
    /// Checks whether a scenario is retried after this attempt, counted from 1.
    fn retries_after(self, attempt: u32, verdict: &Verdict) -> bool {
        Word::of(verdict, false).is_bad() && attempt <= self.retries
    }

    /// Checks whether the run stops after this verdict, which counts.
    pub fn stops_after(self, verdict: &Verdict) -> bool {
        self.fail_fast && Word::of(verdict, false).is_bad()
    }
}

#[derive(Debug)]
pub enum Event {
    /// An environment is ready for its first guest.
    Ready { environment: usize },
    /// An environment can't be prepared. Columns without another one get no verdicts.
    Lost {
        environment: usize,
        why: String,
        /// Jobs that no environment is left for.
        stranded: Vec<Job>,
    },
    /// A worker begins a scenario.
    Started {
        worker: usize,
        environment: usize,
        job: Job,
        /// The attempt's number, from 1.
        attempt: u32,
        /// Expected seconds for all jobs that have not started; `None` if they can't be estimated.
        waiting: Option<f64>,
    },
    /// A worker has a verdict.
    Judged {
        worker: usize,
        environment: usize,
        job: Job,
        /// The attempt's number, from 1.
        attempt: u32,
        verdict: Verdict,
        took: Duration,
        /// True if the scenario is retried, so that this verdict does not count.
        retried: bool,
        /// True if the guest can't be used for another scenario.
        lost: bool,
    },
    /// A worker has shut its guest down.
    ShutDown { worker: usize, environment: usize, shutdown: ShutdownReport, took: Duration },
}

/// Runs all scenarios; passes each event to `on_event` in the calling thread.
pub fn run(
    testbed: &Testbed,
    scenarios: &[Scenario],
    timings: &Timings,
    policy: Policy,
    terminal: &Terminal,
    mut on_event: impl FnMut(Event),
) {
    let jobs = jobs(testbed, scenarios, timings);
    let workers = testbed.jobs.min(jobs.len());
    let executor = Executor {
        schedule: Mutex::new(Schedule::new(jobs, &testbed.limits(), testbed.fresh)),
        changed: Condvar::new(),
        testbed,
        scenarios,
        policy,
        terminal,
    };
    let (events, receiver): (Sender<Event>, Receiver<Event>) = channel();
    thread::scope(|scope| {
        let executor = &executor;
        for worker in 0..workers {
            let events = events.clone();
            scope.spawn(move || executor.run_worker(worker, &events));
        }
        scope.spawn(move || executor.prepare(&events));
        receiver.into_iter().for_each(&mut on_event);
    });
}

fn jobs(testbed: &Testbed, scenarios: &[Scenario], timings: &Timings) -> Vec<Job> {
    let columns = testbed.columns.iter().enumerate();
    columns
        .flat_map(|(column, it)| {
            let environment = it.environments.first().map(|environment| &testbed.specs[*environment]);
            scenarios.iter().enumerate().map(move |(scenario, one)| Job {
                column,
                scenario,
                environments: it.environments_for(one).to_vec(),
                needs: one.requirements(),
                seconds: environment.map_or(0.0, |spec| timings.of(spec, &one.name)),
            })
        })
        .collect()
}

struct Executor<'a> {
    schedule: Mutex<Schedule>,
    changed: Condvar,
    testbed: &'a Testbed,
    scenarios: &'a [Scenario],
    policy: Policy,
    terminal: &'a Terminal,
}

impl Executor<'_> {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        lock(&self.schedule)
    }

    /// Prepares environments while a job needs one. Those whose kernels are built come first.
    fn prepare(&self, events: &Sender<Event>) {
        loop {
            let wanted = self.schedule().wanted();
            let built = |environment: &&usize| self.testbed.is_built(**environment);
            let Some(environment) = wanted.iter().find(built).or(wanted.first()).copied() else { return };
            self.schedule().set_preparing(environment);
            let event = match self.testbed.environment(environment, self.terminal) {
                Ok(prepared) => {
                    self.schedule().ready(environment, prepared.features.clone());
                    Event::Ready { environment }
                }
                // The result is no longer needed.
                Err(_) if self.terminal.is_cancelled() => return,
                Err(error) => {
                    let stranded = self.schedule().lost(environment);
                    Event::Lost { environment, why: format!("{error:#}"), stranded }
                }
            };
            // The receiver is gone if the run was given up.
            let _ = events.send(event);
            self.changed.notify_all();
        }
    }

    fn run_worker(&self, number: usize, events: &Sender<Event>) {
        let mut worker = Worker::default();
        let order = if number.is_multiple_of(2) { PickOrder::Long } else { PickOrder::Short };
        let mut at = None;
        loop {
            let (next, waiting) = self.next(at, order);
            let to = match &next {
                Next::Run(_, environment) => Some(*environment),
                Next::Wait | Next::Done => None,
            };
            if let Some(environment) = at.filter(|_| at != to) {
                self.shut_down(&mut worker, number, environment, events);
            }
            at = to;
            match next {
                Next::Run(job, environment) => {
                    self.run_scenario(&mut worker, number, environment, &job, waiting, events);
                }
                Next::Wait => self.wait(),
                Next::Done => return,
            }
        }
    }

    fn next(&self, at: Option<usize>, order: PickOrder) -> (Next, Option<f64>) {
        let mut schedule = self.schedule();
        (schedule.next(at, order), schedule.seconds_left())
    }

    /// Waits until an environment is ready or lost. The timeout covers a change since the worker's
    /// last check.
    fn wait(&self) {
        let schedule = self.schedule();
        let _ = self.changed.wait_timeout(schedule, Duration::from_millis(50));
    }

    /// Starts no further jobs, and cancels kernel builds for those that remain.
    fn stop(&self) {
        self.schedule().stop();
        self.terminal.cancel();
        self.changed.notify_all();
    }

    /// Runs a scenario with the retries that the policy allows, each in another guest.
    fn run_scenario(
        &self,
        worker: &mut Worker,
        number: usize,
        environment: usize,
        job: &Job,
        waiting: Option<f64>,
        events: &Sender<Event>,
    ) {
        for attempt in 1.. {
            let _ = events.send(Event::Started {
                worker: number,
                environment,
                job: job.clone(),
                attempt,
                waiting,
            });
            let started = Instant::now();
            let verdict = match self.testbed.environment(environment, self.terminal) {
                Ok(environment) => worker.run(environment, &self.scenarios[job.scenario]),
                Err(error) => Verdict::Broken(format!("{error:#}").into()),
            };
            let (took, lost) = (started.elapsed(), worker.guest.is_none());
            let retried = self.policy.retries_after(attempt, &verdict);
            if !retried && self.policy.stops_after(&verdict) {
                self.stop();
            }
            let job = job.clone();
            let _ = events.send(Event::Judged {
                worker: number,
                environment,
                job,
                attempt,
                verdict,
                took,
                retried,
                lost,
            });
            if retried || self.testbed.fresh {
                self.shut_down(worker, number, environment, events);
            }
            if !retried {
                return;
            }
        }
    }

    fn shut_down(&self, worker: &mut Worker, number: usize, environment: usize, events: &Sender<Event>) {
        let started = Instant::now();
        let shutdown = match self.testbed.environment(environment, self.terminal) {
            Ok(environment) => worker.shut_down(environment),
            Err(_) => ShutdownReport::default(),
        };
        let _ =
            events.send(Event::ShutDown { worker: number, environment, shutdown, took: started.elapsed() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_verdict_is_retried_the_given_number_of_times() {
        let policy = Policy { fail_fast: true, retries: 2 };
        let bad = Verdict::Hung(Default::default());
        let again: Vec<bool> = (1..=3).map(|attempt| policy.retries_after(attempt, &bad)).collect();
        assert_eq!(again, [true, true, false]);
        for good in [Verdict::Passed, Verdict::Skipped(String::new())] {
            assert!(!policy.retries_after(1, &good) && !policy.stops_after(&good));
        }
        assert!(policy.stops_after(&bad) && !Policy::default().stops_after(&bad));
        assert!(!Policy::default().retries_after(1, &bad));
    }
}
