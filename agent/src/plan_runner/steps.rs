//! The steps of a plan, one by one.

use std::time::{Duration, Instant};

use scenarios::plan::{Condition, ConductOp, KeyRef, Op, Setup, Step};
use scenarios::wire::{Done, Outcome, What};

use super::state::{Job, Life, Place};
use super::{Awaited, Conductor, Stop, Waited, Ward};
use crate::ipc::{Command, Task};
use crate::sys::errno;

/// How often a condition that nobody reports is looked at.
const TICK: Duration = Duration::from_millis(1);

impl Conductor<'_> {
    /// An operation of a process's set-up.
    pub(super) fn set_up(&mut self, name: &str, setup: &Setup) -> Result<(), Stop> {
        let task = match self.task(name, None, &setup.op, setup.save.as_ref()) {
            Ok(task) => task,
            Err(missing) => {
                let begun_us = self.heritage.setting.now_us();
                let done = Done { outcome: Outcome::Skipped(missing), begun_us, elapsed_us: 0 };
                return self.report(name, None, None, What::Called { op: setup.op.clone(), done });
            }
        };
        let done = self.have_done(name, task)?;
        match (&setup.save, done.map(|done| done.outcome)) {
            (Some(name), Some(Outcome::Ok(scenarios::wire::Value::Serial(serial)))) => {
                self.learn(KeyRef::Variable(name.clone()), serial)
            }
            _ => Ok(()),
        }
    }

    /// Takes a step: to its end, or, in the background, until it has begun.
    pub(super) fn take_step(&mut self, index: usize, round: Option<u32>) -> Result<(), Stop> {
        let plan = self.plan;
        let Some(step) = plan.steps.get(index) else { return Ok(()) };
        self.current = Some(index);
        let begun_us = self.heritage.setting.now_us();
        let name = step.process.as_str();
        let outcome = match &step.op {
            Op::Conduct(ConductOp::Start {}) => {
                self.start_by_step(name)?;
                Outcome::Ok(scenarios::wire::Value::None)
            }
            Op::Conduct(ConductOp::Reap {}) => self.reap(name)?,
            Op::Conduct(ConductOp::Wait { until, within_ms }) => self.wait(name, until, *within_ms)?,
            Op::Conduct(ConductOp::Await { job, within_ms }) => self.wait_for_job(job, *within_ms)?,
            op => match self.task(name, Some(index), op, step.save.as_ref()) {
                Err(missing) => Outcome::Skipped(missing),
                Ok(_) if self.life(name) != Life::Alive => Outcome::Skipped(format!("{name} does not live")),
                Ok(task) => return self.have_process_do(name, index, step, Task { round, ..task }),
            },
        };
        let done = Done { outcome, begun_us, elapsed_us: self.heritage.setting.now_us() - begun_us };
        self.report(name, Some(index), round, What::Done(done))
    }

    fn have_process_do(&mut self, name: &str, index: usize, step: &Step, mut task: Task) -> Result<(), Stop> {
        self.settle_before(&task.op)?;
        let Some(job) = &step.background else {
            let exits = task.op.ends_its_process();
            self.have_done(name, task)?;
            if exits {
                self.pump(|conductor| conductor.life(name) == Life::Ended, None, None)?;
            }
            return Ok(());
        };
        task.workers = Some(step.count);
        self.jobs.push(Job::new(job.clone(), index, name.to_owned(), step.count));
        self.tell(name, &Command::Do(task), None)?;
        let begun = |conductor: &mut Self| {
            let released = conductor.jobs.iter().all(|job| job.released || job.is_finished());
            released || conductor.life(name) == Life::Ended
        };
        self.pump(begun, None, None)?;
        if self.life(name) == Life::Ended {
            self.note_never_begun(index);
        }
        Ok(())
    }

    /// A process that ended while it forked its workers has fewer of them.
    fn note_never_begun(&mut self, step: usize) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.step == step && !job.released) {
            job.count = job.workers.len() as u32;
        }
    }

    /// Tells a process and waits for its answer. None: it ended instead.
    fn have_done(&mut self, name: &str, task: Task) -> Result<Option<Done>, Stop> {
        self.answer = None;
        self.awaited = Some(Awaited { process: name.to_owned(), step: task.step, op: task.op.clone() });
        self.tell(name, &Command::Do(task), None)?;
        self.pump(|conductor| conductor.answer.is_some() || conductor.life(name) == Life::Ended, None, None)?;
        self.awaited = None;
        Ok(self.answer.take())
    }

    /// An operation with its variables replaced, or the name that stands for nothing yet.
    pub(super) fn task(
        &self,
        name: &str,
        step: Option<usize>,
        op: &Op,
        save: Option<&String>,
    ) -> Result<Task, String> {
        let mut op = op.clone();
        self.replace_names(&mut op)?;
        let pids = op.receiver().map(|to| self.pids(name, to)).transpose()?.unwrap_or_default();
        let lend = save.and_then(|name| self.lenders.get(name)).map(|lender| lender.0);
        Ok(Task { step, op, pids, workers: None, round: None, at_us: None, lend })
    }

    fn replace_names(&self, op: &mut Op) -> Result<(), String> {
        for key in op.keys_mut() {
            if matches!(key, KeyRef::Variable(_) | KeyRef::Of(..)) {
                *key = KeyRef::Serial(*self.table.get(key).ok_or_else(|| key.to_string())?);
            }
        }
        Ok(())
    }

    /// The pids of a process, or of a background step's workers, as the process `by` sees them.
    fn pids(&self, by: &str, of: &str) -> Result<Vec<i32>, String> {
        let looker = self.members.get(by).map(|member| member.place.clone()).unwrap_or_default();
        let targets: Vec<&Place> = match self.jobs.iter().find(|job| job.name == of) {
            Some(job) => job.workers.values().collect(),
            None => self.members.get(of).map(|member| &member.place).into_iter().collect(),
        };
        if targets.iter().all(|place| place.pids.is_empty()) {
            return Err(format!("{of} has no pid"));
        }
        Ok(targets.into_iter().map(|place| looker.pid_of(place)).collect())
    }

    fn start_by_step(&mut self, name: &str) -> Result<(), Stop> {
        let process = self.plan.processes.iter().find(|process| process.name == name);
        self.start(process.ok_or_else(|| Stop::broken(name, "no such process"))?)
    }

    fn reap(&mut self, name: &str) -> Result<Outcome, Stop> {
        let parent = self.members.get(name).and_then(|member| member.plan.parent.clone());
        if let Some(parent) = parent.filter(|parent| self.life(parent) == Life::Alive) {
            self.answer = None;
            self.tell(&parent, &Command::Reap(name.to_owned()), None)?;
            self.pump(|conductor| conductor.answer.is_some(), None, None)?;
            return Ok(self.answer.take().map_or(Outcome::TimedOut, |done| done.outcome));
        }
        let is_it = |ward: &Ward| matches!(ward, Ward::Process(other) if other == name);
        Ok(match self.children.reap(is_it) {
            Ok(()) => Outcome::Ok(scenarios::wire::Value::None),
            Err(errno) => Outcome::Error(errno::name(errno)),
        })
    }

    fn wait(&mut self, name: &str, until: &Condition, within_ms: u64) -> Result<Outcome, Stop> {
        let mut op = Op::Conduct(ConductOp::Wait { until: until.clone(), within_ms });
        // A key that never came to be is gone.
        let _ = self.replace_names(&mut op);
        let Op::Conduct(ConductOp::Wait { until, .. }) = op else { return Ok(Outcome::TimedOut) };
        let tick = Self::is_silent(&until).then_some(TICK);
        let limit = Instant::now() + Duration::from_millis(within_ms);
        self.pump(|conductor| conductor.is_so(name, &until), Some(limit), tick).map(waited)
    }

    fn wait_for_job(&mut self, name: &str, within_ms: u64) -> Result<Outcome, Stop> {
        let limit = Instant::now() + Duration::from_millis(within_ms);
        let finished =
            |conductor: &mut Self| conductor.jobs.iter().filter(|job| job.name == name).all(Job::is_finished);
        self.pump(finished, Some(limit), None).map(waited)
    }
}

fn waited(waited: Waited) -> Outcome {
    match waited {
        Waited::SoItIs => Outcome::Ok(scenarios::wire::Value::None),
        Waited::TimedOut => Outcome::TimedOut,
    }
}
