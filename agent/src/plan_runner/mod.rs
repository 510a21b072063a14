//! Carries out a plan: starts its processes, tells them their steps, passes on what they report, and cleans up.

mod block;
mod condition;
mod leak_check;
pub(crate) mod lending;
mod quiesce;
mod reports;
mod setuid;
mod state;
mod steps;
mod sysctl;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use scenarios::plan::{Condition, ConductOp, KeyRef, LookOp, Op, Plan, Process, Start};
use scenarios::wire::{Broken, Done, Ending, Event, Finished, GuestMessage, How, What};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use crate::channel::{Channel, ChannelError};
use crate::children::Children;
use crate::ipc::{self, Command, ReportReceiver, ReportSender, SpawnRequest};
use crate::keyring::{self, KeySerial};
use crate::process::{self, Forked, ProcessContext, RunContext};
use crate::sys::kmsg::{self, LogReader};
use crate::sys::process::pidfd_open;
use crate::sys::procfs;
use crate::sys::signals::{self, SignalFd};
use crate::sys::tracefs::Recording;

use leak_check::{KeySnapshot, QuotaSnapshot};
use state::{Job, Lifecycle, Member, PidPath};

/// What PID 1 keeps from plan to plan.
pub(crate) struct GuestContext {
    pub(crate) channel: Channel,
    pub(crate) reports: ReportReceiver,
    pub(crate) child_signals: SignalFd,
    /// What the keyrings are in through which processes get keys that they hold.
    pub(crate) lending: KeySerial,
}

/// Why a plan stopped before its end.
enum PlanError {
    Deadline,
    Broken(String),
    /// There is nobody to tell.
    Channel(ChannelError),
}

impl PlanError {
    fn broken(what: &str, why: impl ToString) -> Self {
        Self::Broken(format!("{what}: {}", why.to_string()))
    }
}

impl From<ChannelError> for PlanError {
    fn from(why: ChannelError) -> Self {
        Self::Channel(why)
    }
}

/// Carries out a plan and tells the host how it ended.
///
/// # Errors
/// Only if the host can't be told.
pub(crate) fn carry_out(stage: &mut GuestContext, plan: &Plan) -> Result<(), ChannelError> {
    let message = match run(stage, plan) {
        Ok(finished) => GuestMessage::Finished(finished),
        Err(PlanError::Channel(why)) => return Err(why),
        Err(PlanError::Broken(why)) => broken(plan, why),
        Err(PlanError::Deadline) => broken(plan, "the deadline passed before the first step".to_owned()),
    };
    stage.channel.send(&message)
}

fn broken(plan: &Plan, why: String) -> GuestMessage {
    kmsg::log(kmsg::Level::Error, &format!("{}: {why}", plan.name));
    GuestMessage::Broken(Broken { plan: Some(plan.name.clone()), why })
}

fn run(stage: &mut GuestContext, plan: &Plan) -> Result<Finished, PlanError> {
    kmsg::mark_plan_start(&plan.name);
    let accounts = QuotaSnapshot::take().map_err(|why| PlanError::broken("/proc/key-users", why))?;
    let lenders = lending::lenders(stage.lending, plan)?;
    let before = KeySnapshot::take().map_err(|why| PlanError::broken("/proc/keys", why))?;
    let mut log = LogReader::new().map_err(|why| PlanError::broken("/dev/kmsg", why))?;
    let restore = sysctl::set(&plan.sysctl).map_err(PlanError::Broken)?;
    let copies = setuid::copies_for(plan).map_err(PlanError::Broken)?;
    let recording = recording_for(plan)?;
    let lending = stage.lending;

    let mut runner = PlanRunner::new(stage, plan, lenders, &before)?;
    let ended = runner.run_steps();
    let alive = runner.kill_all()?;
    drop(runner);
    let how = ended?;

    drop((restore, copies, recording));
    if !alive.is_empty() {
        let how = How::Unkillable { who: alive };
        return Ok(Finished {
            plan: plan.name.clone(),
            how,
            left: Vec::new(),
            taint: taint(),
            log: log.warnings(),
        });
    }
    keyring::clear(lending).map_err(|errno| PlanError::broken("the lending keyring", errno))?;
    let left =
        leak_check::find_leaks(&before, &accounts).map_err(|why| PlanError::broken("/proc/keys", why))?;
    Ok(Finished { plan: plan.name.clone(), how, left, taint: taint(), log: log.warnings() })
}

/// Tracing costs something, so only a plan that reads the trace has it.
fn recording_for(plan: &Plan) -> Result<Option<Recording>, PlanError> {
    let reads = |op: &Op| {
        matches!(
            op,
            Op::Look(LookOp::Trace { .. }) | Op::Conduct(ConductOp::Wait { until: Condition::Traced(_), .. })
        )
    };
    let wanted = plan.steps.iter().any(|step| reads(&step.op));
    wanted.then(Recording::start).transpose().map_err(|why| PlanError::broken("tracing", why))
}

fn epoll(stage: &GuestContext) -> std::io::Result<Epoll> {
    let epoll = Epoll::new()?;
    for fd in [stage.reports.socket().as_raw_fd(), stage.child_signals.as_fd().as_raw_fd()] {
        epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(EventSet::IN, 0))?;
    }
    Ok(epoll)
}

fn taint() -> u64 {
    let mask = procfs::read("/proc/sys/kernel/tainted").unwrap_or_default();
    mask.trim().parse().unwrap_or_default()
}

/// A plan being carried out.
struct PlanRunner<'a> {
    stage: &'a mut GuestContext,
    plan: &'a Plan,
    deadline: Instant,
    context: ProcessContext,
    members: BTreeMap<String, Member>,
    jobs: Vec<Job>,
    /// Wakes when there is a report, or a child has ended.
    epoll: Epoll,
    /// Where processes get the keys that they hold, by variable.
    lenders: HashMap<String, KeySerial>,
    /// What names of keys stand for.
    serials_by_ref: HashMap<KeyRef, i32>,
    /// PID 1's children, and those that will be if their parents end.
    children: Children<Child>,
    /// What the process that PID 1 waits for has answered.
    answer: Option<Done>,
    pending: Option<PendingTask>,
    /// The steps of a race that have not ended.
    racing: BTreeSet<usize>,
    /// The step that was begun last.
    current: Option<usize>,
}

/// Whose end PID 1 may see.
#[derive(Clone)]
enum Child {
    Process(String),
    Worker { step: usize, worker: u32 },
}

/// An operation that PID 1 has told a process to do, and waits for.
struct PendingTask {
    process: String,
    step: Option<usize>,
    op: Op,
}

/// How waiting ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Met,
    TimedOut,
}

impl<'a> PlanRunner<'a> {
    fn new(
        stage: &'a mut GuestContext,
        plan: &'a Plan,
        lenders: HashMap<String, KeySerial>,
        before: &KeySnapshot,
    ) -> Result<Self, PlanError> {
        let reporter = ReportSender::connect(ipc::REPORT_SOCKET.as_ref())
            .map_err(|why| PlanError::broken(ipc::REPORT_SOCKET, why))?;
        let proc = std::fs::File::open("/proc").map_err(|why| PlanError::broken("/proc", why))?;
        let epoll = epoll(stage).map_err(|why| PlanError::broken("epoll", why))?;
        let mut lines = HashMap::new();
        let mut members = BTreeMap::new();
        for process in &plan.processes {
            let (commands, receiver) =
                ipc::command_channel().map_err(|why| PlanError::broken("socket", why))?;
            lines.insert(process.name.clone(), receiver);
            let member = Member {
                plan: process.clone(),
                commands,
                lifecycle: Lifecycle::NotStarted,
                pid_path: PidPath::default(),
                upcalls: 0,
                quiesced: false,
            };
            members.insert(process.name.clone(), member);
        }
        let run = RunContext {
            begun_us: process::monotonic_us(),
            before: before.serials(),
            lending: stage.lending.0,
        };
        Ok(Self {
            stage,
            plan,
            deadline: Instant::now() + Duration::from_millis(plan.deadline_ms),
            context: ProcessContext { run, session: None, reporter, lines, proc, depth: 0 },
            members,
            jobs: Vec::new(),
            epoll,
            lenders,
            serials_by_ref: HashMap::new(),
            children: Children::default(),
            answer: None,
            pending: None,
            racing: BTreeSet::new(),
            current: None,
        })
    }

    fn run_steps(&mut self) -> Result<How, PlanError> {
        for process in self.plan.processes.iter().filter(|process| process.start == Start::First) {
            self.start(process)?;
        }
        let mut next = 0;
        while next < self.plan.steps.len() {
            let block = self.plan.blocks.iter().find(|block| block.first == next);
            let taken = match block {
                Some(block) => self.run_block(block),
                None => self.run_step(next, None),
            };
            match taken {
                Err(PlanError::Deadline) => return Ok(self.at_deadline(self.current)),
                taken => taken?,
            }
            next += block.map_or(1, |block| block.count);
        }
        match self.finish() {
            Err(PlanError::Deadline) => Ok(self.at_deadline(None)),
            finished => finished.map(|()| How::Complete),
        }
    }

    /// Waits for all background steps, and for keyagents to serve what they have been called for.
    fn finish(&mut self) -> Result<(), PlanError> {
        self.wait_until(|runner| runner.jobs.iter().all(Job::is_finished), None, None)?;
        self.quiesce()
    }

    fn at_deadline(&self, current: Option<usize>) -> How {
        let jobs = self.jobs.iter().filter(|job| !job.is_finished()).map(|job| job.step);
        let mut waiting: Vec<usize> = jobs.chain(current).collect();
        waiting.sort_unstable();
        waiting.dedup();
        How::Deadline { waiting }
    }

    /// Starts a process, and has it do its set-up.
    fn start(&mut self, process: &Process) -> Result<(), PlanError> {
        let targets = process.join.iter().map(|join| self.pidfd(&join.process));
        let targets = targets.collect::<Result<Vec<_>, PlanError>>()?;
        // A key that never came to be is not held: that it failed to come stands in the trace.
        let holds =
            process.holds.iter().filter_map(|name| self.serials_by_ref.get(&KeyRef::Variable(name.clone())));
        let former = process.pid_of.as_ref().and_then(|name| self.members.get(name));
        let parent = process.parent.as_ref().and_then(|name| self.members.get(name));
        let looker = parent.map(|parent| parent.pid_path.clone()).unwrap_or_default();
        let pid = former.map(|former| looker.pid_of(&former.pid_path));
        let request = SpawnRequest { process: process.clone(), holds: holds.copied().collect(), pid };
        match &process.parent {
            None => self.spawn(&request, &targets)?,
            Some(parent) => {
                for target in &targets {
                    self.send_command(parent, &Command::JoinTarget, Some(target))?;
                }
                self.send_command(parent, &Command::Spawn(Box::new(request)), None)?;
            }
        }
        let name = &process.name;
        self.wait_until(|runner| runner.lifecycle(name) != Lifecycle::NotStarted, None, None)?;
        self.release_lent_keys(process);
        for setup in &process.setup {
            self.run_setup(name, setup)?;
        }
        Ok(())
    }

    fn spawn(&mut self, request: &SpawnRequest, targets: &[std::fs::File]) -> Result<(), PlanError> {
        let process = &request.process;
        match process::spawn(request, targets, &self.context).map_err(PlanError::Broken)? {
            Forked::Parent(pid) => {
                self.children.insert(pid, Child::Process(process.name.clone()), process.reaped);
                Ok(())
            }
            Forked::Child(session) => process::run_process(process, &mut self.context, session),
        }
    }

    /// Empties the lending keyrings that no process yet to start needs, so that they keep no key alive.
    fn release_lent_keys(&self, process: &Process) {
        let unborn = || self.members.values().filter(|member| member.lifecycle == Lifecycle::NotStarted);
        for name in
            process.holds.iter().filter(|name| !unborn().any(|member| member.plan.holds.contains(name)))
        {
            if let Some(lender) = self.lenders.get(name) {
                let _ = keyring::clear(*lender);
            }
        }
    }

    fn pidfd(&self, name: &str) -> Result<std::fs::File, PlanError> {
        let pid = self.members.get(name).and_then(|member| member.pid_path.pid());
        let pid = pid.ok_or_else(|| PlanError::broken(name, "has not started, and can't be joined"))?;
        pidfd_open(pid).map(Into::into).map_err(|why| PlanError::broken(name, why))
    }

    fn lifecycle(&self, name: &str) -> Lifecycle {
        self.members.get(name).map_or(Lifecycle::Exited, |member| member.lifecycle)
    }

    fn send_command(
        &self,
        name: &str,
        command: &Command,
        fd: Option<&std::fs::File>,
    ) -> Result<(), PlanError> {
        let member = self.members.get(name).ok_or_else(|| PlanError::broken(name, "no such process"))?;
        member.commands.send(command, fd.map(AsFd::as_fd)).map_err(|why| PlanError::broken(name, why))
    }

    /// Takes note of what happens until something is so. With `tick` it is looked for again and again, else only when
    /// something has been reported.
    fn wait_until(
        &mut self,
        mut until: impl FnMut(&mut Self) -> bool,
        limit: Option<Instant>,
        tick: Option<Duration>,
    ) -> Result<Waited, PlanError> {
        loop {
            self.process_reports()?;
            if until(self) {
                return Ok(Waited::Met);
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Err(PlanError::Deadline);
            }
            if limit.is_some_and(|limit| now >= limit) {
                return Ok(Waited::TimedOut);
            }
            let next = limit.map_or(self.deadline, |limit| limit.min(self.deadline)) - now;
            let pause = tick.map_or(next, |tick| tick.min(next));
            // Rounded up: a pause of nothing would be spent spinning.
            let milliseconds = pause.as_millis().saturating_add(1).min(60_000) as i32;
            match self.epoll.wait(milliseconds, &mut [EpollEvent::default(); 2]) {
                Err(why) if why.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(PlanError::broken("epoll", why));
                }
                _ => {}
            }
        }
    }

    fn report_event(
        &mut self,
        process: &str,
        step: Option<usize>,
        worker: Option<u32>,
        what: What,
    ) -> Result<(), PlanError> {
        let at_us = self.context.run.now_us();
        let event = Event { process: process.to_owned(), step, worker, upcall: None, at_us, what };
        Ok(self.stage.channel.send(&GuestMessage::Event(event))?)
    }

    /// Kills everything but PID 1, reaps it, and reports the ends. What is still said is not heard. Gives those that do not end.
    fn kill_all(&mut self) -> Result<Vec<String>, PlanError> {
        const KILL_TIMEOUT: Duration = Duration::from_secs(10);
        let begun = Instant::now();
        let mut ended = HashMap::new();
        self.children.leave_no_zombies();
        while Children::<Child>::any_left() {
            // ESRCH: there is nobody left but PID 1 and the kernel's own threads.
            let _ = signals::send(-1, libc::SIGKILL);
            while matches!(self.stage.reports.take(), Ok(Some(_))) {}
            let ends = self.children.poll_exits();
            if ends.is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
            ended.extend(ends.into_iter().filter_map(|(child, ending)| match child {
                Child::Process(name) => Some((name, ending)),
                Child::Worker { .. } => None,
            }));
            if begun.elapsed() > KILL_TIMEOUT {
                self.report_exits(&ended)?;
                return Ok(self.surviving_processes());
            }
        }
        while self.stage.child_signals.take().is_some() {}
        while matches!(self.stage.reports.take(), Ok(Some(_))) {}
        self.report_exits(&ended)?;
        Ok(Vec::new())
    }

    /// In the plan's order, since all have ended at once. Who was not seen to end was in a pid namespace that ended.
    fn report_exits(&mut self, ended: &HashMap<String, Ending>) -> Result<(), PlanError> {
        for process in &self.plan.processes {
            if self.lifecycle(&process.name) == Lifecycle::Running {
                let ending = ended.get(&process.name).copied().unwrap_or(Ending::Killed(libc::SIGKILL));
                self.report_event(&process.name, None, None, What::Ended(ending))?;
            }
        }
        let workers = self.jobs.iter().flat_map(|job| job.workers.keys().map(|worker| (job.step, *worker)));
        let workers: Vec<_> = workers.collect();
        // Those that have finished are not reported again.
        workers.into_iter().try_for_each(|(step, worker)| {
            self.record_worker_exit(step, worker, Ending::Killed(libc::SIGKILL))
        })
    }

    fn surviving_processes(&self) -> Vec<String> {
        let lives = |place: &PidPath| place.pid().and_then(procfs::state).is_some_and(|state| state != 'Z');
        let members = self.members.values().filter(|member| lives(&member.pid_path));
        let jobs = self.jobs.iter().filter(|job| job.workers.values().any(lives));
        let names: Vec<String> =
            members.map(|member| &member.plan.name).chain(jobs.map(|job| &job.name)).cloned().collect();
        if names.is_empty() { vec!["some process".to_owned()] } else { names }
    }
}
