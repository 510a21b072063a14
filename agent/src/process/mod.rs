//! A process of a plan: does one operation at a time, as told, and serves upcalls in between if it is a keyagent.

mod background;
mod credentials;
mod exec;
mod keyagent;
mod loopback;
mod ops;
mod spawn;
mod thread;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use scenarios::plan::{Process, Role, Special as ShortName};
use scenarios::wire::{Done, Event, Identity, Outcome, Value, What};
use serde::{Deserialize, Serialize};

use crate::children::Children;
use crate::ipc::{Command, CommandReceiver, Report, ReportSender, SpawnRequest, Task};
use crate::keyring::watch_queue::WatchQueue;
use crate::keyring::{self, KeySerial};
use crate::sys::errno;
use crate::sys::process::exit_now;
use crate::sys::procfs;
use crate::sys::signals::{SignalFd, Signals};

pub(crate) use exec::setuid_copy;
pub(crate) use exec::{EXECUTED_AS, resume};
use keyagent::AgentState;
pub(crate) use spawn::{Forked, spawn};

/// What all processes of a plan have in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunContext {
    /// Monotonic time at which the plan was begun, in microseconds.
    pub(crate) begun_us: u64,
    /// Serials of the keys that were there before.
    pub(crate) preexisting: BTreeSet<i32>,
    /// The keyring of keyrings through which processes get the keys that they hold; everybody may use them.
    pub(crate) lending: i32,
}

impl RunContext {
    /// Microseconds since the plan was begun.
    pub(crate) fn now_us(&self) -> u64 {
        monotonic_us().saturating_sub(self.begun_us)
    }

    fn lending(&self) -> KeySerial {
        KeySerial(self.lending)
    }
}

/// CLOCK_MONOTONIC in microseconds.
pub(crate) fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Into::into);
    now.as_micros() as u64
}

/// What a process gets from the one that forks it.
pub(crate) struct ProcessContext {
    pub(crate) run: RunContext,
    /// None: asking for it would install the user's.
    pub(crate) session: Option<KeySerial>,
    pub(crate) reporter: ReportSender,
    /// The processes' ends of PID 1's lines to them, by name.
    pub(crate) receivers: HashMap<String, CommandReceiver>,
    /// The guest's initial /proc, which shows pids of the initial namespace wherever it is used.
    pub(crate) proc: File,
    /// How many pid namespaces are above one's own.
    pub(crate) depth: usize,
}

/// What an event is reported with: what caused it.
#[derive(Clone, Copy, Debug, Default)]
struct Cause {
    step: Option<usize>,
    worker: Option<u32>,
    upcall: Option<i32>,
}

/// What a child process stands for.
#[derive(Clone)]
enum ChildRole {
    Worker { step: usize, worker: u32 },
    Process(String),
}

/// The process.
pub(crate) struct PlanProcess<'a> {
    name: String,
    context: &'a mut ProcessContext,
    commands: CommandReceiver,
    agent: Option<AgentState>,
    watch: Option<WatchQueue>,
    children: Children<ChildRole>,
    /// Pidfds of the processes that the next child joins.
    targets: Vec<File>,
    signals: SignalFd,
    child_signals: SignalFd,
}

/// Lives as this process until told to exit, or until PID 1 is gone.
pub(crate) fn run_process(process: &Process, context: &mut ProcessContext, session: Option<KeySerial>) -> ! {
    context.session = session;
    let Some(commands) = context.receivers.remove(&process.name) else { exit_now(1) };
    let agent = match &process.role {
        Role::Keyagent(agent) => Some(AgentState::new(agent.clone())),
        Role::Requester | Role::Observer => None,
    };
    let mut process = match PlanProcess::new(process.name.clone(), context, commands, agent) {
        Ok(process) => process,
        Err(_) => exit_now(1),
    };
    if let Err(why) = process.report_start() {
        process.report_failure(why);
    }
    process.event_loop()
}

impl<'a> PlanProcess<'a> {
    fn new(
        name: String,
        context: &'a mut ProcessContext,
        commands: CommandReceiver,
        agent: Option<AgentState>,
    ) -> Result<Self, Errno> {
        Signals::REAL_TIME.with(Signals::CHILD).block()?;
        let _ = nix::sys::prctl::set_name(&std::ffi::CString::new(name.as_str()).unwrap_or_default());
        Ok(Self {
            name,
            context,
            commands,
            agent,
            watch: None,
            children: Children::default(),
            targets: Vec::new(),
            signals: SignalFd::new(Signals::REAL_TIME)?,
            child_signals: SignalFd::new(Signals::CHILD)?,
        })
    }

    fn report_start(&mut self) -> std::io::Result<()> {
        let pids = procfs::pids(&self.context.proc, "self")?;
        self.context.depth = pids.len().saturating_sub(1);
        let identity = Identity {
            pids,
            uid: nix::unistd::getuid().as_raw(),
            gid: nix::unistd::getgid().as_raw(),
            keyrings: self.keyrings(),
        };
        self.report_event(Cause::default(), What::Started(identity));
        if let Some(agent) = &mut self.agent {
            agent.open_watch(&mut self.watch);
        }
        Ok(())
    }

    /// The keyrings that there are. Asking for the user's would create them, and for a session keyring install one.
    fn keyrings(&self) -> BTreeMap<String, i32> {
        let asked = [ShortName::Thread, ShortName::Process].into_iter().filter_map(|special| {
            let serial = keyring::get_keyring_id(KeySerial(special.id()), false).ok()?;
            Some((special.name().to_owned(), serial.0))
        });
        let session = self.context.session.map(|serial| (ShortName::Session.name().to_owned(), serial.0));
        asked.chain(session).collect()
    }

    /// Waits for whatever comes first, commands before upcalls: who rings may have to wait, who commands is in order.
    fn event_loop(&mut self) -> ! {
        loop {
            let Ok(ready) = self.wait() else { exit_now(1) };
            match ready {
                Ready::Command => match self.commands.receive() {
                    Ok((command, fd)) => self.handle(command, fd),
                    Err(_) => exit_now(1),
                },
                Ready::ChildExit => {
                    while self.child_signals.take().is_some() {}
                    self.reap_children();
                }
                Ready::Upcall => {
                    self.serve_upcall();
                }
            }
        }
    }

    fn wait(&self) -> Result<Ready, Errno> {
        let source = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut sources = vec![source(self.commands.socket().as_fd()), source(self.child_signals.as_fd())];
        sources.extend(self.upcall_fd().map(source));
        loop {
            match poll(&mut sources, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                polled => break polled.map(drop)?,
            };
        }
        let is_ready = |at: usize| sources.get(at).and_then(PollFd::any).unwrap_or(false);
        Ok(if is_ready(0) {
            Ready::Command
        } else if is_ready(1) {
            Ready::ChildExit
        } else {
            Ready::Upcall
        })
    }

    fn handle(&mut self, command: Command, fd: Option<File>) {
        match command {
            Command::Run(task) => self.run_task(task),
            Command::SetKey(key, serial) => {
                if let Some(agent) = &mut self.agent {
                    agent.know(key, serial);
                }
            }
            Command::Quiesce => {
                while self.serve_upcall() {}
                self.send_report(Report::Quiesced(self.name.clone()));
            }
            Command::JoinTarget => self.targets.extend(fd),
            Command::Spawn(request) => self.spawn_child(&request),
            Command::Reap(name) => {
                let is_it = |child: &ChildRole| matches!(child, ChildRole::Process(other) if *other == name);
                let outcome = ops::outcome(self.children.reap(is_it), |()| Value::None);
                let done = self.untimed(outcome);
                self.send_report(Report::ChildReaped(name, done));
            }
        }
    }

    fn run_task(&mut self, task: Task) {
        let cause = Cause { step: task.step, worker: task.round, upcall: None };
        if let (Some(step), Some(count)) = (task.step, task.workers) {
            return self.spawn_workers(step, count, &task);
        }
        let op = background::substitute_number(task.op.clone(), "{round}", task.round);
        self.wait_for(task.at_us);
        let done = self.timed(|process| process.run_op(&op, &task.pids, cause));
        self.lend(&task, &done);
        match task.step {
            Some(_) => self.report_event(cause, What::Done(done)),
            None => self.report_event(cause, What::Called { op: task.op, done }),
        }
    }

    /// Waits for the moment at which a race begins. The last of it is spent awake: to be woken takes longer for some than for others.
    fn wait_for(&self, at_us: Option<u64>) {
        const AWAKE_US: u64 = 300;
        let left = |at_us: u64| at_us.saturating_sub(self.context.run.now_us());
        let Some(at_us) = at_us else { return };
        std::thread::sleep(Duration::from_micros(left(at_us).saturating_sub(AWAKE_US)));
        while left(at_us) > 0 {
            std::hint::spin_loop();
        }
    }

    fn timed(&mut self, act: impl FnOnce(&mut Self) -> Outcome) -> Done {
        let begun_us = self.context.run.now_us();
        let outcome = act(self);
        Done { outcome, begun_us, elapsed_us: self.context.run.now_us() - begun_us }
    }

    /// What takes no time, or can't tell how much it took.
    fn untimed(&self, outcome: Outcome) -> Done {
        Done { outcome, begun_us: self.context.run.now_us(), elapsed_us: 0 }
    }

    /// Puts a key where processes that are to hold it can get it, while its permissions are still what they are now.
    fn lend(&self, task: &Task, done: &Done) {
        if let (Some(lender), Outcome::Ok(Value::Serial(serial))) = (task.lend, &done.outcome)
            && let Err(errno) = keyring::link(KeySerial(*serial), KeySerial(lender))
        {
            self.report_failure(format!("can't lend key {serial}: {}", errno::name(errno)));
        }
    }

    fn spawn_child(&mut self, request: &SpawnRequest) {
        let targets = std::mem::take(&mut self.targets);
        match spawn(request, &targets, self.context) {
            Ok(Forked::Parent(pid)) => {
                let name = request.process.name.clone();
                self.children.insert(pid, ChildRole::Process(name), request.process.reaped);
            }
            Ok(Forked::Child(session)) => run_process(&request.process, self.context, session),
            Err(why) => self.report_failure(why),
        }
    }

    /// Reports the children that have ended. PID 1 knows which workers had done their part.
    fn reap_children(&mut self) {
        for (child, ending) in self.children.poll_exits() {
            let (process, cause) = match child {
                ChildRole::Process(name) => (name, Cause::default()),
                ChildRole::Worker { step, worker } => {
                    let cause = Cause { step: Some(step), worker: Some(worker), upcall: None };
                    (self.name.clone(), cause)
                }
            };
            self.report_event_of(process, cause, What::Ended(ending));
        }
    }

    fn report_event(&self, cause: Cause, what: What) {
        self.report_event_of(self.name.clone(), cause, what);
    }

    fn report_event_of(&self, process: String, cause: Cause, what: What) {
        let Cause { step, worker, upcall } = cause;
        let at_us = match &what {
            What::Done(done) | What::Called { done, .. } => done.begun_us + done.elapsed_us,
            _ => self.context.run.now_us(),
        };
        self.send_report(Report::Event(Event { process, step, worker, upcall, at_us, what }));
    }

    fn report_failure(&self, why: impl ToString) {
        self.send_report(Report::Failed(format!("{}: {}", self.name, why.to_string())));
    }

    /// When PID 1 has gone deaf there is nothing left to live for.
    fn send_report(&self, report: Report) {
        if self.context.reporter.send(&report).is_err() {
            exit_now(1);
        }
    }
}

/// What a process turns to next, in this order.
enum Ready {
    Command,
    ChildExit,
    Upcall,
}
