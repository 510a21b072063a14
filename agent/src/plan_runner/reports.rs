//! What PID 1 makes of reports, and of its children's ends.

use scenarios::plan::{KeyRef, KeyringOp, Op, Role};
use scenarios::wire::{Done, Ending, Event, GuestMessage, Identity, Outcome, Value, What};

use super::state::{Life, Place};
use super::{Conductor, Stop, Ward};
use crate::ipc::{Command, Report, is_upcall};
use crate::sys::procfs;

impl Conductor<'_> {
    /// Takes note of all that has happened since.
    ///
    /// What a process said comes before its end: ends are collected first, and noted when all that was said is.
    pub(super) fn take_note(&mut self) -> Result<(), Stop> {
        while self.stage.child_signals.take().is_some() {}
        let ended = self.children.ended();
        while let Some(report) = self.stage.reports.take().map_err(|why| Stop::broken("a report", why))? {
            match report {
                Report::Event(event) => self.note(event)?,
                Report::Released(step) => {
                    self.jobs.iter_mut().filter(|job| job.step == step).for_each(|job| {
                        job.released = true;
                    })
                }
                Report::Settled(name) => {
                    self.members.entry(name).and_modify(|member| member.settled = true);
                }
                Report::Reaped(_, done) => self.answer = Some(done),
                Report::Broken(why) => return Err(Stop::Broken(why)),
            }
        }
        for (ward, ending) in ended {
            match ward {
                Ward::Process(name) => self.note_end(name, ending)?,
                Ward::Worker { step, worker } => self.note_worker_end(step, worker, ending)?,
            }
        }
        Ok(self.stage.channel.flush()?)
    }

    fn note(&mut self, mut event: Event) -> Result<(), Stop> {
        if !self.members.contains_key(&event.process) {
            event.at_us = self.heritage.setting.now_us();
        }
        match (&event.what, event.step, event.worker) {
            (What::Ended(ending), Some(step), Some(worker)) => {
                return self.note_worker_end(step, worker, *ending);
            }
            (What::Ended(ending), ..) => return self.note_end(event.process, *ending),
            (What::Started(identity), ..) => self.note_start(&event.process, identity)?,
            (What::Begun { pids }, Some(step), Some(worker)) => self.note_begin(step, worker, pids),
            (What::Done(done), Some(step), Some(worker)) if self.jobs.iter().any(|job| job.step == step) => {
                self.note_worker_done(step, worker, done)?;
            }
            (What::Done(done), step, _) => self.note_answer(&event.process, step, None, done)?,
            (What::Called { op, done }, None, _) if event.upcall.is_none() => {
                self.note_answer(&event.process, None, Some(op), done)?;
            }
            (what, ..) if is_upcall(what) => self.note_upcall(&event.process, event.upcall)?,
            _ => {}
        }
        Ok(self.stage.channel.put_down(&GuestMessage::Event(event))?)
    }

    fn note_upcall(&mut self, agent: &str, target: Option<i32>) -> Result<(), Stop> {
        if let Some(member) = self.members.get_mut(agent) {
            member.upcalls += 1;
        }
        match target {
            Some(target) => self.learn(KeyRef::Variable(format!("{agent}.target")), target),
            None => Ok(()),
        }
    }

    fn note_start(&mut self, name: &str, identity: &Identity) -> Result<(), Stop> {
        let namespaces = self.pid_namespaces(name);
        let Some(member) = self.members.get_mut(name) else { return Ok(()) };
        member.life = Life::Alive;
        member.place = Place { pids: identity.pids.clone(), namespaces };
        if let (Some(_), Some(pid)) = (&member.plan.parent, member.place.pid()) {
            // Becomes PID 1's child when its parent ends.
            self.children.insert(pid, Ward::Process(name.to_owned()), member.plan.reaped);
        }
        for (keyring, serial) in &identity.keyrings {
            if let Ok(key) = format!("{name}:{keyring}").parse() {
                self.learn(key, *serial)?;
            }
        }
        Ok(())
    }

    /// The pid namespaces that a process is in: its parent's or those it joins, and its own.
    fn pid_namespaces(&self, name: &str) -> Vec<String> {
        use scenarios::plan::Namespace::Pid;
        let Some(member) = self.members.get(name) else { return Vec::new() };
        let joined = member.plan.join.iter().rev().find(|join| join.namespaces.contains(&Pid));
        let above = joined.map(|join| &join.process).or(member.plan.parent.as_ref());
        let mut namespaces =
            above.and_then(|above| self.members.get(above)).map(|above| above.place.namespaces.clone());
        if member.plan.unshare.contains(&Pid) {
            namespaces.get_or_insert_default().push(name.to_owned());
        }
        namespaces.unwrap_or_default()
    }

    fn note_begin(&mut self, step: usize, worker: u32, pids: &[i32]) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.step == step) else { return };
        let namespaces = self.members.get(&job.process).map(|member| member.place.namespaces.clone());
        let place = Place { pids: pids.to_vec(), namespaces: namespaces.unwrap_or_default() };
        if let Some(pid) = place.pid() {
            self.children.insert(pid, Ward::Worker { step, worker }, true);
        }
        job.workers.insert(worker, place);
    }

    fn note_worker_done(&mut self, step: usize, worker: u32, done: &Done) -> Result<(), Stop> {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.step == step) {
            job.finished.insert(worker);
        }
        if worker == 0 {
            self.save(step, done)?;
        }
        Ok(())
    }

    pub(super) fn note_worker_end(&mut self, step: usize, worker: u32, ending: Ending) -> Result<(), Stop> {
        let Some(job) = self.jobs.iter_mut().find(|job| job.step == step) else { return Ok(()) };
        if !job.finished.insert(worker) {
            return Ok(());
        }
        let process = job.process.clone();
        self.report(&process, Some(step), Some(worker), What::Ended(ending))
    }

    fn note_answer(
        &mut self,
        process: &str,
        step: Option<usize>,
        set_up: Option<&Op>,
        done: &Done,
    ) -> Result<(), Stop> {
        if let Some(step) = step.filter(|step| self.racing.remove(step)) {
            return self.save(step, done);
        }
        let asked = self.awaited.as_ref().filter(|awaited| {
            awaited.process == process && awaited.step == step && set_up.is_none_or(|op| *op == awaited.op)
        });
        let Some(asked) = asked else { return Ok(()) };
        let op = asked.op.clone();
        self.answer = Some(done.clone());
        if let Some(step) = step {
            self.save(step, done)?;
        }
        let Outcome::Ok(Value::Serial(serial)) = done.outcome else { return Ok(()) };
        let own = match op {
            Op::Keyring(KeyringOp::JoinSession { .. }) => scenarios::plan::Special::Session,
            Op::Keyring(KeyringOp::Keyring { key: KeyRef::Special(special), .. }) => special,
            _ => return Ok(()),
        };
        self.learn(KeyRef::Of(process.to_owned(), own), serial)
    }

    fn save(&mut self, step: usize, done: &Done) -> Result<(), Stop> {
        let name = self.plan.steps.get(step).and_then(|step| step.save.clone());
        match (name, &done.outcome) {
            (Some(name), Outcome::Ok(Value::Serial(serial))) => self.learn(KeyRef::Variable(name), *serial),
            _ => Ok(()),
        }
    }

    /// Gets to know what a name stands for, and tells the keyagents whose reactions use it.
    pub(super) fn learn(&mut self, key: KeyRef, serial: i32) -> Result<(), Stop> {
        for member in self.members.values().filter(|member| member.life != Life::Ended) {
            let Role::Keyagent(agent) = &member.plan.role else { continue };
            let mut ops = agent.reactions.iter().flatten().cloned();
            if ops.any(|mut op| op.keys_mut().contains(&&mut key.clone())) {
                let command = Command::Know(key.clone(), serial);
                member.commander.tell(&command, None).map_err(|why| Stop::broken(&member.plan.name, why))?;
            }
        }
        self.table.insert(key, serial);
        Ok(())
    }

    fn note_end(&mut self, name: String, ending: Ending) -> Result<(), Stop> {
        let Some(member) = self.members.get_mut(&name).filter(|member| member.life != Life::Ended) else {
            return Ok(());
        };
        member.life = Life::Ended;
        self.report(&name, None, None, What::Ended(ending))?;
        self.note_those_gone_with(&name)
    }

    /// The kernel ends and reaps all that is in the pid namespace of a process that was its init, and workers with it.
    fn note_those_gone_with(&mut self, name: &str) -> Result<(), Stop> {
        let gone = |place: &Place| {
            place.namespaces.iter().any(|namespace| namespace == name)
                && place.pid().is_none_or(|pid| procfs::state(pid).is_none())
        };
        let workers = self
            .jobs
            .iter()
            .flat_map(|job| job.workers.iter().map(move |(worker, place)| (job, worker, place)));
        let workers: Vec<_> =
            workers.filter(|(.., place)| gone(place)).map(|(job, worker, _)| (job.step, *worker)).collect();
        let members =
            self.members.values().filter(|member| member.life == Life::Alive && gone(&member.place));
        let members: Vec<_> = members.map(|member| member.plan.name.clone()).collect();
        for (step, worker) in workers {
            self.note_worker_end(step, worker, Ending::Killed(libc::SIGKILL))?;
        }
        for member in members {
            self.note_end(member, Ending::Killed(libc::SIGKILL))?;
        }
        Ok(())
    }
}
