//! Plan runner: starts a plan's processes, sends them their steps, forwards their reports, and cleans up.

mod block;
mod condition;
mod leak_check;
pub(crate) mod lending;
mod outputs;
mod quiesce;
mod reports;
mod setuid;
mod shutdown;
mod state;
mod steps;
mod sysctl;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use keyring::KeySerial;
use scenarios::plan::{Condition, KeyRef, Op, Plan, Process, Start};
use scenarios::wire::{Broken, Completion, Done, Event, EventKind, Finished, GuestMessage, Outcome, Value};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use crate::channel::{Channel, ChannelError};
use crate::children::Children;
use crate::ipc::{self, Command, ReportReceiver, ReportSender, SpawnRequest};
use crate::process::{self, Forked, ProcessContext, RunContext};
use crate::sys::kmsg::{self, LogReader};
use crate::sys::{process::pidfd_open, procfs, signals::SignalFd, tracefs::Recording};

use leak_check::{KeySnapshot, QuotaSnapshot};
use state::{Job, Lifecycle, ProcessState};

/// PID 1's resources that outlive a plan.
pub(crate) struct GuestContext {
    pub(crate) reports: ReportReceiver,
    pub(crate) child_signals: SignalFd,
    /// The keyring that holds the lending keyrings.
    pub(crate) lending: KeySerial,
}

type Result<T, E = PlanError> = std::result::Result<T, E>;

/// Reason for a plan's stop before its end.
enum PlanError {
    Deadline,
    Broken(String),
    Channel(ChannelError),
}

impl PlanError {
    fn broken(what: &str, why: impl ToString) -> Self {
        Self::Broken(format!("{what}: {}", why.to_string()))
    }

    fn during<E: ToString>(what: &str) -> impl Fn(E) -> Self + use<'_, E> {
        move |why| Self::broken(what, why)
    }
}

impl From<ChannelError> for PlanError {
    fn from(why: ChannelError) -> Self {
        Self::Channel(why)
    }
}

pub(crate) fn run(channel: &mut Channel, guest: &mut GuestContext, plan: &Plan) -> Result<(), ChannelError> {
    let message = match run_plan(channel, guest, plan) {
        Ok(finished) => GuestMessage::Finished(finished),
        Err(PlanError::Channel(why)) => return Err(why),
        Err(PlanError::Broken(why)) => broken(plan, why),
        Err(PlanError::Deadline) => broken(plan, "the deadline passed before the first step".to_owned()),
    };
    channel.send(&message)
}

fn broken(plan: &Plan, why: String) -> GuestMessage {
    kmsg::log(kmsg::Level::Error, &format!("{}: {why}", plan.name));
    GuestMessage::Broken(Broken { plan: Some(plan.name.clone()), why })
}

fn run_plan(channel: &mut Channel, guest: &mut GuestContext, plan: &Plan) -> Result<Finished> {
    kmsg::mark_plan_start(&plan.name);
    let quota = QuotaSnapshot::take().map_err(PlanError::during("/proc/key-users"))?;
    let lenders = lending::lenders(guest.lending, plan)?;
    let keys = KeySnapshot::take().map_err(PlanError::during("/proc/keys"))?;
    let mut log = LogReader::new().map_err(PlanError::during("/dev/kmsg"))?;
    let restore = sysctl::set(&plan.sysctl).map_err(PlanError::Broken)?;
    let copies = setuid::copies_for(plan).map_err(PlanError::Broken)?;
    let recording = recording_for(plan)?;
    let lending = guest.lending;

    let mut runner = PlanRunner::new(channel, guest, plan, lenders, &keys)?;
    let ended = runner.run_steps();
    let survivors = runner.kill_all()?;
    let printed = outputs::printed(plan, &runner.context.outputs);
    drop(runner);
    let completion = ended?;

    drop((restore, copies, recording));
    let (completion, left) = if survivors.is_empty() {
        keyring::clear(lending).map_err(PlanError::during("the lending keyring"))?;
        let left = leak_check::find_leaks(&keys, &quota);
        (completion, left.map_err(PlanError::during("/proc/keys"))?)
    } else {
        (Completion::Unkillable { who: survivors }, Vec::new())
    };
    Ok(Finished { plan: plan.name.clone(), completion, left, taint: taint(), log: log.warnings(), printed })
}

/// Starts recording tracepoints if the plan reads the trace; other plans avoid the overhead.
fn recording_for(plan: &Plan) -> Result<Option<Recording>> {
    let reads = |op: &Op| matches!(op, Op::Trace { .. } | Op::Wait { until: Condition::Traced(_), .. });
    let wanted = plan.steps.iter().any(|step| reads(&step.op));
    wanted.then(Recording::start).transpose().map_err(PlanError::during("tracing"))
}

fn epoll(guest: &GuestContext) -> io::Result<Epoll> {
    let epoll = Epoll::new()?;
    for fd in [guest.reports.socket.as_raw_fd(), guest.child_signals.as_fd().as_raw_fd()] {
        epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(EventSet::IN, 0))?;
    }
    Ok(epoll)
}

fn taint() -> u64 {
    let mask = procfs::read("/proc/sys/kernel/tainted").unwrap_or_default();
    mask.trim().parse().unwrap_or_default()
}

struct PlanRunner<'a> {
    channel: &'a mut Channel,
    guest: &'a mut GuestContext,
    plan: &'a Plan,
    deadline: Instant,
    context: ProcessContext,
    processes: BTreeMap<String, ProcessState>,
    jobs: Vec<Job>,
    /// Readable on a report and on a child's exit.
    epoll: Epoll,
    /// Lending keyrings, by the variable of the key that they lend.
    lenders: HashMap<String, KeySerial>,
    serials: HashMap<KeyRef, i32>,
    /// PID 1's children, and the processes that become its children when their parents exit.
    children: Children<Child>,
    /// The result of [`Self::pending`].
    result: Option<Done>,
    pending: Option<PendingTask>,
    /// The number of bytes of a program's output that a text does not begin in, by both.
    searched: HashMap<(String, String), u64>,
    /// Steps of a race without a result.
    racing: BTreeSet<usize>,
    /// The step begun last.
    current_step: Option<usize>,
}

/// A child whose exit PID 1 may report.
#[derive(Clone)]
enum Child {
    Process(String),
    Worker { step: usize, worker: u32 },
}

/// An operation that was sent to a process and whose result is awaited.
struct PendingTask {
    process: String,
    step: Option<usize>,
    op: Op,
}

impl<'a> PlanRunner<'a> {
    fn new(
        channel: &'a mut Channel,
        guest: &'a mut GuestContext,
        plan: &'a Plan,
        lenders: HashMap<String, KeySerial>,
        keys: &KeySnapshot,
    ) -> Result<Self> {
        let reporter = ReportSender::connect(ipc::REPORT_SOCKET.as_ref())
            .map_err(PlanError::during(ipc::REPORT_SOCKET))?;
        let proc = File::open("/proc").map_err(PlanError::during("/proc"))?;
        let epoll = epoll(guest).map_err(PlanError::during("epoll"))?;
        let outputs = outputs::open(plan).map_err(PlanError::during("the outputs of programs"))?;
        let mut receivers = HashMap::new();
        let mut processes = BTreeMap::new();
        for process in &plan.processes {
            let (commands, receiver) = ipc::command_channel().map_err(PlanError::during("socket"))?;
            receivers.insert(process.name.clone(), receiver);
            processes.insert(process.name.clone(), ProcessState::new(process.clone(), commands));
        }
        let run = RunContext {
            begun_us: process::monotonic_us(),
            preexisting: keys.serials(),
            lending: guest.lending,
        };
        Ok(Self {
            channel,
            guest,
            plan,
            deadline: Instant::now() + Duration::from_millis(plan.deadline_ms),
            context: ProcessContext { run, session: None, reporter, receivers, outputs, proc, depth: 0 },
            processes,
            jobs: Vec::new(),
            epoll,
            lenders,
            serials: HashMap::new(),
            children: Children::default(),
            result: None,
            pending: None,
            searched: HashMap::new(),
            racing: BTreeSet::new(),
            current_step: None,
        })
    }

    /// Starts the processes and runs all steps, to the last one or to the deadline.
    fn run_steps(&mut self) -> Result<Completion> {
        for process in self.plan.processes.iter().filter(|process| process.start == Start::First) {
            self.start_process(process)?;
        }
        let mut next = 0;
        while next < self.plan.steps.len() {
            let block = self.plan.blocks.iter().find(|block| block.first == next);
            let taken = match block {
                Some(block) => self.run_block(block),
                None => self.run_step(next, None),
            };
            match taken {
                Err(PlanError::Deadline) => return Ok(self.at_deadline(self.current_step)),
                taken => taken?,
            }
            next += block.map_or(1, |block| block.count);
        }
        match self.finish() {
            Err(PlanError::Deadline) => Ok(self.at_deadline(None)),
            finished => finished.map(|()| Completion::Complete),
        }
    }

    /// Waits for all background steps and pending upcalls.
    fn finish(&mut self) -> Result<()> {
        self.wait_for(|runner| runner.jobs.iter().all(Job::is_finished))?;
        self.quiesce()
    }

    fn at_deadline(&self, current: Option<usize>) -> Completion {
        let jobs = self.jobs.iter().filter(|job| !job.is_finished()).map(|job| job.step);
        let mut waiting: Vec<usize> = jobs.chain(current).collect();
        waiting.sort_unstable();
        waiting.dedup();
        Completion::Deadline { waiting }
    }

    /// Starts a process and runs its set-up.
    fn start_process(&mut self, process: &Process) -> Result<()> {
        let targets = process.join.iter().map(|join| self.pidfd(&join.process));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        // A key that could not be created is not held: the trace shows the failure.
        let session_keys = process.session_keys.iter();
        let session_keys = session_keys.filter_map(|name| self.serials.get(&KeyRef::Variable(name.clone())));
        let reused = process.pid_of.as_ref().and_then(|name| self.processes.get(name));
        let parent = process.parent.as_ref().and_then(|name| self.processes.get(name));
        let viewer = parent.map(|parent| parent.pid_path.clone()).unwrap_or_default();
        let pid = reused.map(|reused| viewer.pid_of(&reused.pid_path));
        let request =
            SpawnRequest { process: process.clone(), session_keys: session_keys.copied().collect(), pid };
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
        self.wait_for(|runner| runner.lifecycle(name) != Lifecycle::NotStarted)?;
        self.release_lent_keys(process);
        for setup in &process.setup {
            self.run_setup(name, setup)?;
        }
        Ok(())
    }

    fn spawn(&mut self, request: &SpawnRequest, targets: &[File]) -> Result<()> {
        let process = &request.process;
        match process::spawn(request, targets, &self.context).map_err(PlanError::Broken)? {
            Forked::Parent(pid) => {
                self.children.insert(pid, Child::Process(process.name.clone()), process.reaped);
                Ok(())
            }
            Forked::Child(session) => process::run_process(process, &mut self.context, session),
        }
    }

    /// Clears the lending keyrings that no later process needs, since their links keep keys from collection.
    fn release_lent_keys(&self, process: &Process) {
        let is_needed = |name: &String| {
            let mut others = self.processes.values();
            others.any(|other| {
                other.lifecycle == Lifecycle::NotStarted && other.plan.session_keys.contains(name)
            })
        };
        for name in process.session_keys.iter().filter(|name| !is_needed(name)) {
            if let Some(lender) = self.lenders.get(name) {
                let _ = keyring::clear(*lender);
            }
        }
    }

    fn pidfd(&self, name: &str) -> Result<File> {
        let pid = self.processes.get(name).and_then(|process| process.pid_path.pid());
        let pid = pid.ok_or_else(|| PlanError::broken(name, "has not started, and can't be joined"))?;
        pidfd_open(pid).map(Into::into).map_err(PlanError::during(name))
    }

    fn lifecycle(&self, name: &str) -> Lifecycle {
        self.processes.get(name).map_or(Lifecycle::Exited, |process| process.lifecycle)
    }

    fn send_command(&self, name: &str, command: &Command, fd: Option<&File>) -> Result<()> {
        let process = self.processes.get(name).ok_or_else(|| PlanError::broken(name, "no such process"))?;
        process.commands.send(command, fd.map(AsFd::as_fd)).map_err(PlanError::during(name))
    }

    /// Processes reports until a condition is met.
    fn wait_for(&mut self, until: impl FnMut(&mut Self) -> bool) -> Result<()> {
        self.wait_until(until, None, None).map(drop)
    }

    /// As [`Self::wait_for`], until `limit`. `tick` polls the condition; without it only reports trigger a
    /// check.
    fn wait_until(
        &mut self,
        mut until: impl FnMut(&mut Self) -> bool,
        limit: Option<Instant>,
        tick: Option<Duration>,
    ) -> Result<Outcome> {
        loop {
            self.process_reports()?;
            if until(self) {
                return Ok(Outcome::Ok(Value::None));
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Err(PlanError::Deadline);
            }
            if limit.is_some_and(|limit| now >= limit) {
                return Ok(Outcome::TimedOut);
            }
            let next = limit.map_or(self.deadline, |limit| limit.min(self.deadline)) - now;
            let pause = tick.map_or(next, |tick| tick.min(next));
            // Rounded up: epoll takes whole milliseconds, and zero would spin.
            let milliseconds = pause.as_millis().saturating_add(1).min(60_000) as i32;
            match self.epoll.wait(milliseconds, &mut [EpollEvent::default(); 2]) {
                Err(why) if why.kind() != io::ErrorKind::Interrupted => {
                    return Err(PlanError::broken("epoll", why));
                }
                _ => {}
            }
        }
    }

    /// The result of an operation that names something that is missing.
    fn skipped(&self, missing: String) -> Done {
        Done { outcome: Outcome::Skipped(missing), begun_us: self.context.run.now_us(), elapsed_us: 0 }
    }

    fn report_event(
        &mut self,
        process: &str,
        step: Option<usize>,
        worker: Option<u32>,
        kind: EventKind,
    ) -> Result<()> {
        let at_us = self.context.run.now_us();
        let event = Event { process: process.to_owned(), step, worker, upcall: None, at_us, kind };
        Ok(self.channel.send(&GuestMessage::Event(event))?)
    }
}
