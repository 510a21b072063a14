//! A process of a plan: runs one operation at a time for PID 1, and serves upcalls in between if it is a
//! keyagent.

mod background;
mod credentials;
mod exec;
mod keyagent;
mod loopback;
mod ops;
mod own_files;
mod program;
mod spawn;
mod thread;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use keyring::{KeyId, KeySerial, WatchQueue};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use scenarios::plan::{Op, Process, Program, Role, Special};
use scenarios::wire::{Done, Ending, Event, EventKind, Identity, Outcome, Value};
use serde::{Deserialize, Serialize};

use crate::children::Children;
use crate::ipc::{Command, CommandReceiver, Report, ReportSender, SpawnRequest, Task};
use crate::sys::signals::{SignalFd, Signals};
use crate::sys::{errno, process::exit_now, procfs};

pub(crate) use exec::{EXEC_NAME, resume, setuid_copy};
use keyagent::AgentState;
pub(crate) use keyagent::resolve_refs;
pub(crate) use program::MAX_PRINTED;
pub(crate) use spawn::{Forked, spawn};

/// Facts about the running plan that its processes share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunContext {
    /// CLOCK_MONOTONIC at the plan's start, in microseconds.
    pub(crate) begun_us: u64,
    /// Serials of keys that existed before the plan.
    pub(crate) preexisting: BTreeSet<i32>,
    /// The keyring that holds the lending keyrings.
    pub(crate) lending: KeySerial,
}

impl RunContext {
    /// Microseconds since the plan's start.
    pub(crate) fn now_us(&self) -> u64 {
        monotonic_us().saturating_sub(self.begun_us)
    }
}

pub(crate) fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Into::into);
    now.as_micros() as u64
}

/// State that a process inherits from its parent over fork(2).
pub(crate) struct ProcessContext {
    pub(crate) run: RunContext,
    /// The session keyring; `None` if the process has none, since asking the kernel would install the user's.
    pub(crate) session: Option<KeySerial>,
    pub(crate) reporter: ReportSender,
    /// Receiving ends of the processes' command sockets, by name.
    pub(crate) receivers: HashMap<String, CommandReceiver>,
    /// Files for the output of the programs, by process.
    pub(crate) outputs: HashMap<String, File>,
    /// The initial /proc, which shows pids of the initial namespace to every process.
    pub(crate) proc: File,
    /// Number of pid namespaces above the process's own.
    pub(crate) depth: usize,
}

/// The cause that an event is reported with.
#[derive(Clone, Copy, Debug, Default)]
struct Cause {
    step: Option<usize>,
    worker: Option<u32>,
    upcall: Option<i32>,
}

impl Cause {
    fn worker(step: usize, worker: u32) -> Self {
        Self { step: Some(step), worker: Some(worker), upcall: None }
    }
}

#[derive(Clone)]
enum ChildRole {
    Worker {
        step: usize,
        worker: u32,
        /// Reports its result before it exits with 0.
        reports_result: bool,
    },
    Process(String),
}

pub(crate) struct PlanProcess<'a> {
    name: String,
    context: &'a mut ProcessContext,
    commands: CommandReceiver,
    agent: Option<AgentState>,
    watch: Option<WatchQueue>,
    children: Children<ChildRole>,
    /// Pidfds of processes whose namespaces the next child joins.
    targets: Vec<File>,
    signals: SignalFd,
    child_signals: SignalFd,
}

/// Runs this process until it exits by command, or until PID 1 is gone.
pub(crate) fn run_process(process: &Process, context: &mut ProcessContext, session: Option<KeySerial>) -> ! {
    context.session = session;
    let Some(commands) = context.receivers.remove(&process.name) else { exit_now(1) };
    let agent = match &process.role {
        Role::Keyagent(agent) => Some(AgentState::new(agent.clone())),
        Role::Requester | Role::Observer | Role::Program(_) => None,
    };
    let role = &process.role;
    let mut process = match PlanProcess::new(process.name.clone(), context, commands, agent) {
        Ok(process) => process,
        Err(_) => exit_now(1),
    };
    if let Err(why) = process.report_start() {
        process.report_failure(why);
    }
    if let Role::Program(program) = role {
        process.execute(program)
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

    /// Becomes a program.
    fn execute(&self, program: &Program) -> ! {
        let failure = match self.context.outputs.get(&self.name) {
            Some(output) => program::execute(program, output),
            // Its parent is the program of an `exec` step.
            None => "the process that has forked it has lost the file for its output".to_owned(),
        };
        self.report_failure(failure);
        exit_now(1)
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
        self.report_event(Cause::default(), EventKind::Started(identity));
        if let Some(agent) = &mut self.agent {
            agent.open_watch(&mut self.watch);
        }
        Ok(())
    }

    /// The existing keyrings. Only those are looked up that the kernel does not create on look-up.
    fn keyrings(&self) -> BTreeMap<String, i32> {
        let asked = [Special::Thread, Special::Process].into_iter().filter_map(|special| {
            let serial = keyring::get_keyring_id(KeyId::from_raw(special.id()), false).ok()?;
            Some((special.name().to_owned(), serial.get()))
        });
        let session = self.context.session.map(|serial| (Special::Session.name().to_owned(), serial.get()));
        asked.chain(session).collect()
    }

    /// Handles commands before upcalls: commands have an order, upcalls can wait.
    fn event_loop(&mut self) -> ! {
        loop {
            let Ok(ready) = self.wait_ready() else { exit_now(1) };
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

    fn wait_ready(&self) -> Result<Ready, Errno> {
        let source = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut sources = vec![source(self.commands.0.as_fd()), source(self.child_signals.as_fd())];
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
                    agent.serials.insert(key, serial);
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
        let upcall = self.upcall_of(&op);
        self.wait_for_start(task.at_us);
        let done = self.timed(|process| process.run_op(&op, &task.pids, cause));
        self.lend_key(&task, &done);
        self.report_result(Cause { upcall, ..cause }, task.op, done);
    }

    /// Waits for the start of a race. Spins at the end, since wake-up latency differs between processes.
    fn wait_for_start(&self, at_us: Option<u64>) {
        const SPIN_US: u64 = 300;
        let left = |at_us: u64| at_us.saturating_sub(self.context.run.now_us());
        let Some(at_us) = at_us else { return };
        std::thread::sleep(Duration::from_micros(left(at_us).saturating_sub(SPIN_US)));
        while left(at_us) > 0 {
            std::hint::spin_loop();
        }
    }

    fn timed(&mut self, act: impl FnOnce(&mut Self) -> Outcome) -> Done {
        let begun_us = self.context.run.now_us();
        let outcome = act(self);
        Done { outcome, begun_us, elapsed_us: self.context.run.now_us() - begun_us }
    }

    /// A result whose duration is zero or unknown.
    fn untimed(&self, outcome: Outcome) -> Done {
        Done { outcome, begun_us: self.context.run.now_us(), elapsed_us: 0 }
    }

    /// Links a new key into its lending keyring while its permissions still allow it.
    fn lend_key(&self, task: &Task, done: &Done) {
        if let (Some(lender), Outcome::Ok(Value::Serial(serial))) = (task.lend, &done.outcome)
            && let Err(errno) = keyring::link(KeyId::from_raw(*serial), KeyId::from_raw(lender))
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

    /// Reports the children that have exited, except workers that have reported their result.
    fn reap_children(&mut self) {
        for (child, ending) in self.children.poll_exits() {
            let (process, cause) = match child {
                ChildRole::Process(name) => (name, Cause::default()),
                ChildRole::Worker { reports_result: true, .. } if ending == Ending::Exited(0) => continue,
                ChildRole::Worker { step, worker, .. } => (self.name.clone(), Cause::worker(step, worker)),
            };
            self.report_event_of(process, cause, EventKind::Ended(ending));
        }
    }

    /// Reports the result of a step, or of an operation of the set-up or a reaction.
    fn report_result(&self, cause: Cause, op: Op, done: Done) {
        self.report_event(
            cause,
            if cause.step.is_some() { EventKind::Done(done) } else { EventKind::Called { op, done } },
        );
    }

    fn report_event(&self, cause: Cause, kind: EventKind) {
        self.report_event_of(self.name.clone(), cause, kind);
    }

    fn report_event_of(&self, process: String, cause: Cause, kind: EventKind) {
        let Cause { step, worker, upcall } = cause;
        let at_us = match &kind {
            EventKind::Done(done) | EventKind::Called { done, .. } => done.begun_us + done.elapsed_us,
            _ => self.context.run.now_us(),
        };
        // Of the calls PID 1 needs only those of a set-up.
        let for_host_only = matches!(kind, EventKind::Called { .. }) && (step.is_some() || upcall.is_some());
        let event = Event { process, step, worker, upcall, at_us, kind };
        let reporter = &self.context.reporter;
        self.exit_unless_sent(if for_host_only {
            reporter.send_to_host(&event)
        } else {
            reporter.send(&Report::Event(event))
        });
    }

    fn report_failure(&self, why: impl ToString) {
        self.send_report(Report::Failed(format!("{}: {}", self.name, why.to_string())));
    }

    fn send_report(&self, report: Report) {
        self.exit_unless_sent(self.context.reporter.send(&report));
    }

    /// Without PID 1 the process is useless.
    fn exit_unless_sent(&self, sent: std::io::Result<()>) {
        if sent.is_err() {
            exit_now(1);
        }
    }
}

/// Event sources, in the order of their priority.
enum Ready {
    Command,
    ChildExit,
    Upcall,
}
