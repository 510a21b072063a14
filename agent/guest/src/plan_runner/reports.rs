//! Handles reports from processes, and exits of PID 1's children.

use scenarios::plan::{KeyRef, Op, Role};
use scenarios::wire::{Done, Ending, Event, EventKind, GuestMessage, Identity, Outcome, Value};

use super::state::{Lifecycle, PidPath};
use super::{Child, PlanError, PlanRunner, Result};
use crate::ipc::{Command, Report, is_upcall};
use crate::sys::procfs;

impl PlanRunner<'_> {
    /// Handles everything that is pending.
    ///
    /// A process's reports precede its exit. Exits are therefore collected first and handled last.
    pub(super) fn process_reports(&mut self) -> Result<()> {
        let signalled = self.guest.child_signals.take().is_some();
        // A child may have become a zombie before it was registered.
        let poll = signalled || self.children.leaves_zombies;
        let ended = if poll { self.children.poll_exits() } else { Vec::new() };
        while let Some(report) = self.guest.reports.take().map_err(PlanError::during("a report"))? {
            match report {
                Report::Event(event) => self.handle_event(event)?,
                Report::ForwardOnly(event) => self.channel.queue_event(&event)?,
                Report::WorkersReleased(step) => {
                    self.jobs.iter_mut().filter(|job| job.step == step).for_each(|job| {
                        job.released = true;
                    })
                }
                Report::Quiesced(name) => {
                    self.processes.entry(name).and_modify(|process| process.quiesced = true);
                }
                Report::ChildReaped(_, done) => self.result = Some(done),
                Report::Failed(why) => return Err(PlanError::Broken(why)),
            }
        }
        for (child, ending) in ended {
            match child {
                Child::Process(name) => self.record_exit(name, ending)?,
                Child::Worker { step, worker } => self.record_worker_exit(step, worker, ending)?,
            }
        }
        Ok(self.channel.flush()?)
    }

    fn handle_event(&mut self, mut event: Event) -> Result<()> {
        if !self.processes.contains_key(&event.process) {
            event.at_us = self.context.run.now_us();
        }
        match (&event.kind, event.step, event.worker) {
            (EventKind::Ended(ending), Some(step), Some(worker)) => {
                return self.record_worker_exit(step, worker, *ending);
            }
            (EventKind::Ended(ending), ..) => return self.record_exit(event.process, *ending),
            (EventKind::Started(identity), ..) => self.record_start(&event.process, identity)?,
            (EventKind::Begun { pids }, Some(step), Some(worker)) => {
                self.record_worker_start(step, worker, pids)
            }
            (EventKind::Done(done), Some(step), Some(worker))
                if self.jobs.iter().any(|job| job.step == step) =>
            {
                self.record_worker_done(step, worker, done)?;
            }
            (EventKind::Done(done), step, _) => self.record_result(&event.process, step, None, done)?,
            (EventKind::Called { op, done }, None, _) if event.upcall.is_none() => {
                self.record_result(&event.process, None, Some(op), done)?;
            }
            (kind, ..) if is_upcall(kind) => self.count_upcall(&event.process, event.upcall)?,
            _ => {}
        }
        Ok(self.channel.queue(&GuestMessage::Event(event))?)
    }

    fn count_upcall(&mut self, agent: &str, target: Option<i32>) -> Result<()> {
        if let Some(process) = self.processes.get_mut(agent) {
            process.upcalls += 1;
        }
        match target {
            Some(target) => self.bind_key(KeyRef::Variable(format!("{agent}.target")), target),
            None => Ok(()),
        }
    }

    fn record_start(&mut self, name: &str, identity: &Identity) -> Result<()> {
        let namespaces = self.pid_namespaces(name);
        let Some(process) = self.processes.get_mut(name) else { return Ok(()) };
        process.lifecycle = Lifecycle::Running;
        process.pid_path = PidPath { pids: identity.pids.clone(), namespaces };
        if let (Some(_), Some(pid)) = (&process.plan.parent, process.pid_path.pid()) {
            // PID 1 becomes its parent when the parent exits.
            self.children.insert(pid, Child::Process(name.to_owned()), process.plan.reaped);
        }
        for (keyring, serial) in &identity.keyrings {
            if let Ok(key) = format!("{name}:{keyring}").parse() {
                self.bind_key(key, *serial)?;
            }
        }
        Ok(())
    }

    /// The pid namespaces that a process is in: those of its parent or of a process that it joins, and its
    /// own.
    fn pid_namespaces(&self, name: &str) -> Vec<String> {
        use scenarios::plan::Namespace::Pid;
        let Some(process) = self.processes.get(name) else { return Vec::new() };
        let joined = process.plan.join.iter().rev().find(|join| join.namespaces.contains(&Pid));
        let above = joined.map(|join| &join.process).or(process.plan.parent.as_ref());
        let mut namespaces =
            above.and_then(|above| self.processes.get(above)).map(|above| above.pid_path.namespaces.clone());
        if process.plan.unshare.contains(&Pid) {
            namespaces.get_or_insert_default().push(name.to_owned());
        }
        namespaces.unwrap_or_default()
    }

    fn record_worker_start(&mut self, step: usize, worker: u32, pids: &[i32]) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.step == step) else { return };
        let namespaces = self.processes.get(&job.process).map(|process| process.pid_path.namespaces.clone());
        let path = PidPath { pids: pids.to_vec(), namespaces: namespaces.unwrap_or_default() };
        if let Some(pid) = path.pid() {
            self.children.insert(pid, Child::Worker { step, worker }, true);
        }
        job.workers.insert(worker, path);
    }

    fn record_worker_done(&mut self, step: usize, worker: u32, done: &Done) -> Result<()> {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.step == step) {
            job.finished.insert(worker);
        }
        if worker == 0 {
            self.save(step, done)?;
        }
        Ok(())
    }

    pub(super) fn record_worker_exit(&mut self, step: usize, worker: u32, ending: Ending) -> Result<()> {
        let Some(job) = self.jobs.iter_mut().find(|job| job.step == step) else { return Ok(()) };
        if !job.finished.insert(worker) {
            return Ok(());
        }
        let process = job.process.clone();
        self.report_event(&process, Some(step), Some(worker), EventKind::Ended(ending))
    }

    fn record_result(
        &mut self,
        process: &str,
        step: Option<usize>,
        set_up: Option<&Op>,
        done: &Done,
    ) -> Result<()> {
        if let Some(step) = step.filter(|step| self.racing.remove(step)) {
            return self.save(step, done);
        }
        let asked = self.pending.as_ref().filter(|pending| {
            pending.process == process && pending.step == step && set_up.is_none_or(|op| *op == pending.op)
        });
        let Some(asked) = asked else { return Ok(()) };
        let op = asked.op.clone();
        self.result = Some(done.clone());
        if let Some(step) = step {
            self.save(step, done)?;
        }
        let Outcome::Ok(Value::Serial(serial)) = done.outcome else { return Ok(()) };
        let own = match op {
            Op::JoinSession { .. } => scenarios::plan::Special::Session,
            Op::Keyring { key: KeyRef::Special(special), .. } => special,
            _ => return Ok(()),
        };
        self.bind_key(KeyRef::Of(process.to_owned(), own), serial)
    }

    fn save(&mut self, step: usize, done: &Done) -> Result<()> {
        let name = self.plan.steps.get(step).and_then(|step| step.save.clone());
        match (name, &done.outcome) {
            (Some(name), Outcome::Ok(Value::Serial(serial))) => {
                self.bind_key(KeyRef::Variable(name), *serial)
            }
            _ => Ok(()),
        }
    }

    /// Binds a key reference to a serial, and sends it to the keyagents whose reactions use it.
    pub(super) fn bind_key(&mut self, key: KeyRef, serial: i32) -> Result<()> {
        for process in self.processes.values().filter(|process| process.lifecycle != Lifecycle::Exited) {
            let Role::Keyagent(agent) = &process.plan.role else { continue };
            let mut ops = agent.reactions.iter().flatten().cloned();
            if ops.any(|mut op| op.keys_mut().contains(&&mut key.clone())) {
                let command = Command::SetKey(key.clone(), serial);
                process.commands.send(&command, None).map_err(PlanError::during(&process.plan.name))?;
            }
        }
        self.serials.insert(key, serial);
        Ok(())
    }

    fn record_exit(&mut self, name: String, ending: Ending) -> Result<()> {
        let Some(process) =
            self.processes.get_mut(&name).filter(|process| process.lifecycle != Lifecycle::Exited)
        else {
            return Ok(());
        };
        process.lifecycle = Lifecycle::Exited;
        process.ending = Some(ending);
        self.report_event(&name, None, None, EventKind::Ended(ending))?;
        self.record_pidns_exits(&name)
    }

    /// Records the exits that come with that of a pid namespace's init, since the kernel kills and reaps its
    /// members.
    fn record_pidns_exits(&mut self, name: &str) -> Result<()> {
        let has_exited = |path: &PidPath| {
            path.namespaces.iter().any(|namespace| namespace == name)
                && path.pid().is_none_or(|pid| procfs::state(pid).is_none())
        };
        let workers = self
            .jobs
            .iter()
            .flat_map(|job| job.workers.iter().map(move |(worker, path)| (job, worker, path)));
        let workers: Vec<_> = workers
            .filter(|(.., path)| has_exited(path))
            .map(|(job, worker, _)| (job.step, *worker))
            .collect();
        let processes = self
            .processes
            .values()
            .filter(|process| process.lifecycle == Lifecycle::Running && has_exited(&process.pid_path));
        let processes: Vec<_> = processes.map(|process| process.plan.name.clone()).collect();
        for (step, worker) in workers {
            self.record_worker_exit(step, worker, Ending::Killed(libc::SIGKILL))?;
        }
        for process in processes {
            self.record_exit(process, Ending::Killed(libc::SIGKILL))?;
        }
        Ok(())
    }
}
