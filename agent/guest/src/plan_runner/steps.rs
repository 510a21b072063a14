//! Runs single steps.

use std::time::{Duration, Instant};

use scenarios::plan::{Condition, KeyRef, Op, Role, Setup, Step};
use scenarios::wire::{Done, Ending, EventKind, Outcome, Value};

use super::state::{Job, Lifecycle, PidPath};
use super::{Child, PendingTask, PlanError, PlanRunner, Result};
use crate::ipc::{Command, Task};
use crate::process::resolve_refs;
use crate::sys::errno;

/// Polling interval of conditions that no report announces.
const TICK: Duration = Duration::from_millis(1);

impl PlanRunner<'_> {
    pub(super) fn run_setup(&mut self, name: &str, setup: &Setup) -> Result<()> {
        let task = match self.resolve_task(name, None, &setup.op, setup.save.as_ref()) {
            Ok(task) => task,
            Err(missing) => {
                let done = self.skipped(missing);
                return self.report_event(name, None, None, EventKind::Called { op: setup.op.clone(), done });
            }
        };
        let done = self.run_task(name, task)?;
        match (&setup.save, done.map(|done| done.outcome)) {
            (Some(name), Some(Outcome::Ok(Value::Serial(serial)))) => {
                self.bind_key(KeyRef::Variable(name.clone()), serial)
            }
            _ => Ok(()),
        }
    }

    /// Runs a step to its end, or to its start if it is a background step.
    pub(super) fn run_step(&mut self, index: usize, round: Option<u32>) -> Result<()> {
        let plan = self.plan;
        let Some(step) = plan.steps.get(index) else { return Ok(()) };
        self.current_step = Some(index);
        let begun_us = self.context.run.now_us();
        let name = step.process.as_str();
        let outcome = match &step.op {
            Op::Start {} => {
                self.start_named(name)?;
                Outcome::Ok(Value::None)
            }
            Op::Reap {} => self.reap(name)?,
            Op::Wait { until, within_ms } => self.wait(name, until, *within_ms)?,
            Op::Await { job, within_ms } => self.wait_for_job(job, *within_ms)?,
            op => match self.resolve_task(name, Some(index), op, step.save.as_ref()) {
                Err(missing) => Outcome::Skipped(missing),
                Ok(_) if self.lifecycle(name) != Lifecycle::Running => {
                    Outcome::Skipped(format!("{name} is not running"))
                }
                Ok(task) => return self.run_process_step(name, index, step, Task { round, ..task }),
            },
        };
        let done = Done { outcome, begun_us, elapsed_us: self.context.run.now_us() - begun_us };
        self.report_event(name, Some(index), round, EventKind::Done(done))
    }

    fn run_process_step(&mut self, name: &str, index: usize, step: &Step, mut task: Task) -> Result<()> {
        self.quiesce_before(&task.op)?;
        let Some(job) = &step.background else {
            let exits = task.op.ends_its_process();
            self.run_task(name, task)?;
            if exits {
                self.wait_for(|runner| runner.lifecycle(name) == Lifecycle::Exited)?;
            }
            return Ok(());
        };
        task.workers = Some(step.count);
        self.jobs.push(Job::new(job.clone(), index, name.to_owned(), step.count));
        self.send_command(name, &Command::Run(task), None)?;
        self.wait_for(|runner| {
            let released = runner.jobs.iter().all(|job| job.released || job.is_finished());
            released || runner.lifecycle(name) == Lifecycle::Exited
        })?;
        if self.lifecycle(name) == Lifecycle::Exited {
            self.drop_unstarted_workers(index);
        }
        Ok(())
    }

    /// Corrects the number of workers of a process that exited while it forked them.
    fn drop_unstarted_workers(&mut self, step: usize) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.step == step && !job.released) {
            job.count = job.workers.len() as u32;
        }
    }

    /// Runs an operation in a process; `None` if the process exits instead.
    fn run_task(&mut self, name: &str, task: Task) -> Result<Option<Done>> {
        self.result = None;
        self.pending = Some(PendingTask { process: name.to_owned(), step: task.step, op: task.op.clone() });
        self.send_command(name, &Command::Run(task), None)?;
        self.wait_for(|runner| runner.result.is_some() || runner.lifecycle(name) == Lifecycle::Exited)?;
        self.pending = None;
        Ok(self.result.take())
    }

    /// Resolves an operation's key references and receivers.
    ///
    /// # Errors
    /// The name that has no value yet.
    pub(super) fn resolve_task(
        &self,
        name: &str,
        step: Option<usize>,
        op: &Op,
        save: Option<&String>,
    ) -> Result<Task, String> {
        let mut op = op.clone();
        resolve_refs(&mut op, &self.serials).map_err(|missing| missing.to_string())?;
        let pids = op.receiver().map(|to| self.pids(name, to)).transpose()?.unwrap_or_default();
        let lend = save.and_then(|name| self.lenders.get(name)).map(|lender| lender.get());
        Ok(Task { step, op, pids, workers: None, round: None, at_us: None, lend })
    }

    /// The pids of a process or of a background step's workers, as seen by the process `by`.
    fn pids(&self, by: &str, of: &str) -> Result<Vec<i32>, String> {
        let viewer = self.processes.get(by).map(|process| process.pid_path.clone()).unwrap_or_default();
        let targets: Vec<&PidPath> = match self.jobs.iter().find(|job| job.name == of) {
            Some(job) => job.workers.values().collect(),
            None => self.processes.get(of).map(|process| &process.pid_path).into_iter().collect(),
        };
        if targets.iter().all(|path| path.pids.is_empty()) {
            return Err(format!("{of} has no pid"));
        }
        Ok(targets.into_iter().map(|path| viewer.pid_of(path)).collect())
    }

    fn start_named(&mut self, name: &str) -> Result<()> {
        let process = self.plan.processes.iter().find(|process| process.name == name);
        self.start_process(process.ok_or_else(|| PlanError::broken(name, "no such process"))?)
    }

    fn reap(&mut self, name: &str) -> Result<Outcome> {
        let parent = self.processes.get(name).and_then(|process| process.plan.parent.clone());
        if let Some(parent) = parent.filter(|parent| self.lifecycle(parent) == Lifecycle::Running) {
            self.result = None;
            self.send_command(&parent, &Command::Reap(name.to_owned()), None)?;
            self.wait_for(|runner| runner.result.is_some())?;
            return Ok(self.result.take().map_or(Outcome::TimedOut, |done| done.outcome));
        }
        let is_it = |child: &Child| matches!(child, Child::Process(other) if other == name);
        Ok(match self.children.reap(is_it) {
            Ok(()) => Outcome::Ok(Value::None),
            Err(errno) => Outcome::Error(errno::name(errno)),
        })
    }

    fn wait(&mut self, name: &str, until: &Condition, within_ms: u64) -> Result<Outcome> {
        let mut op = Op::Wait { until: until.clone(), within_ms };
        // A reference without a serial stays: the key was never created.
        let _ = resolve_refs(&mut op, &self.serials);
        let Op::Wait { until, .. } = op else { return Ok(Outcome::TimedOut) };
        let is_announced = matches!(until, Condition::Upcalls(_) | Condition::Ended);
        let tick = (!is_announced).then_some(TICK);
        let limit = Instant::now() + Duration::from_millis(within_ms);
        // A program that has ended prints nothing more.
        let awaits_output = matches!(until, Condition::Prints(_));
        let is_over = |runner: &Self| awaits_output && runner.lifecycle(name) == Lifecycle::Exited;
        let waited =
            self.wait_until(|runner| runner.is_met(name, &until) || is_over(runner), Some(limit), tick)?;
        Ok(match waited {
            Outcome::Ok(_) if awaits_output && !self.is_met(name, &until) => {
                Outcome::Skipped(format!("{name} has ended without printing it"))
            }
            Outcome::Ok(_) if until == Condition::Ended => self.exit_code(name),
            waited => waited,
        })
    }

    /// The result of a wait for the end of a process: of a program, its exit code.
    fn exit_code(&self, name: &str) -> Outcome {
        let process = self.processes.get(name);
        let ending = process.filter(|it| matches!(it.plan.role, Role::Program(_))).and_then(|it| it.ending);
        Outcome::Ok(match ending {
            None => Value::None,
            Some(Ending::Exited(code)) => Value::ExitCode(code),
            Some(Ending::Killed(signal)) => Value::ExitCode(128 + signal),
        })
    }

    fn wait_for_job(&mut self, name: &str, within_ms: u64) -> Result<Outcome> {
        let limit = Instant::now() + Duration::from_millis(within_ms);
        let finished =
            |runner: &mut Self| runner.jobs.iter().filter(|job| job.name == name).all(Job::is_finished);
        self.wait_until(finished, Some(limit), None)
    }
}
