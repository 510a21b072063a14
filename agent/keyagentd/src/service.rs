//! The service: agents, their requests, and the helpers that answer them.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, fs, io};

use keyagent::{Agent, Builder, Delivery, Errno, KeySerial, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, getpid, waitpid};

use super::answers::{Answers, CREATE, Handler, NEGATE};
use super::args::ServiceOptions;
use super::child::{self, User};
use super::failure::{Code, Failure, Result};
use super::helper::{Answering, End, Helper, Starting};
use super::helpers_user::helpers_user;
use super::keyrings::Predecessors;
use super::log;
use super::record::Record;

/// The time from a change of the rules until they are read, in which there may be others.
const SETTLE: Duration = Duration::from_millis(100);

/// How often helpers and their requests are looked at: the kernel ends requests at their deadline, which is counted from
/// when they were made, and in other cases; and a helper may have printed more than is logged.
const RECHECK: Duration = Duration::from_millis(200);

/// How often requests are looked for that the kernel can't announce, as this user's processes have used up
/// `RLIMIT_SIGPENDING`.
const RESCAN: Duration = Duration::from_secs(1);

/// How long a helper may go on after its request has ended: it may have answered, and have something left to do.
const LINGER: Duration = Duration::from_secs(1);

/// How long requests are rejected when the program ends. The kernel ends those that are left.
const MAX_REJECTING: Duration = Duration::from_secs(1);

/// Requests of each type that are taken before helpers, deadlines and signals have their turn. Those that end without a
/// helper would otherwise keep all others waiting.
const BATCH: usize = 16;

/// The time in which the kernel hands over a request that nothing keeps in the queue.
const HANDOVER: Duration = Duration::from_secs(2);

/// The kernel's time for a request, unless its sysctl says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Agents with what answers their requests.
#[derive(Debug)]
pub(crate) struct Service {
    answers: Answers,
    agents: Vec<Agent>,
    jobs: Vec<Job>,
    window: usize,
    timeout: Duration,
    lifetimes: BTreeMap<String, Duration>,
    user: Option<User>,
    reload_at: Option<Instant>,
    recheck_at: Instant,
    rescan_at: Instant,
    /// When there was a request last, as far as that is known.
    busy_at: Instant,
    /// Whether there was a request since then.
    is_busy: bool,
    /// Whether this is process 1 of its pid namespace.
    is_init: bool,
}

/// A request with the helper that runs for it.
#[derive(Debug)]
struct Job {
    /// `None` once the helper was killed.
    request: Option<Request>,
    /// Whether the request has ended while the helper runs.
    has_ended: bool,
    stage: Stage,
    /// Where the helper is, for the log.
    program: PathBuf,
    answering: Answering,
    kind: String,
    deadline: Instant,
    record: Record,
}

/// What has become of a helper.
#[derive(Debug)]
enum Stage {
    Starting(Starting),
    Running(Helper),
}

/// What a wait has ended for.
struct Ready {
    /// For each job whether something has happened to it.
    jobs: Vec<bool>,
    rules: bool,
    others: bool,
}

impl Service {
    /// Loads what answers requests. Nothing is registered yet.
    pub(crate) fn new(options: &ServiceOptions) -> Result<Self> {
        if options.types.is_empty() {
            return Err(Failure::new(
                Code::Usage,
                "can't serve anything: name the types of keys, as in --types user",
            ));
        }
        let twice = options.types.iter().enumerate().find(|(at, kind)| options.types[..*at].contains(kind));
        if let Some((_, kind)) = twice {
            return Err(Failure::new(Code::Usage, format!("can't serve a type twice: name {kind:?} once")));
        }
        if let Some(lifetime) = options.lifetime.iter().find(|it| !options.types.contains(&it.kind)) {
            let kind = &lifetime.kind;
            let message = format!("can't set a lifetime for keys of type {kind:?}: add it to --types");
            return Err(Failure::new(Code::Usage, message));
        }
        let lifetimes =
            options.lifetime.iter().map(|lifetime| (lifetime.kind.clone(), lifetime.time)).collect();
        Ok(Self {
            answers: Answers::new(options)?,
            agents: Vec::new(),
            jobs: Vec::new(),
            window: options.window as usize,
            timeout: options.timeout.unwrap_or_else(kernel_timeout),
            lifetimes,
            user: options.user.as_deref().map(helpers_user).transpose()?,
            reload_at: None,
            recheck_at: Instant::now(),
            rescan_at: Instant::now(),
            busy_at: Instant::now(),
            is_busy: false,
            is_init: getpid().is_init(),
        })
    }

    /// Registers agents in a keyring: all of them, or none.
    pub(crate) fn register(&mut self, types: &[String], fallback: bool, keyring: KeySerial) -> Result<()> {
        let mut types = types.to_vec();
        types.sort();
        types.dedup();
        let builder = |kind: &String| {
            let builder = Agent::builder(kind).timeout(self.timeout).window(self.window as u32);
            builder.fallback(fallback).keyring(keyring).delivery(delivery()).current_thread()
        };
        let builders: Vec<_> = types.iter().map(builder).collect();
        builders.iter().try_for_each(Builder::check)?;
        let predecessors = Predecessors::of(keyring);
        for builder in builders {
            let registered = builder.register().inspect_err(|_| {
                predecessors.restore();
                self.agents.clear();
            });
            self.agents.push(registered?);
        }
        Ok(())
    }

    pub(crate) fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Ends new requests of all agents.
    pub(crate) fn retire(&mut self) {
        self.busy_at = Instant::now();
        for agent in &self.agents {
            if let Err(why) = agent.retire() {
                log::warning(&format!("can't end new requests for keys of type {}: {why}", agent.kind()));
            }
        }
    }

    /// The longest time that a request takes.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits until something has happened or the time has passed, and does what there is to do. `others` end the
    /// wait, too: returns whether one of them is ready.
    pub(crate) fn turn(&mut self, others: &[BorrowedFd<'_>], limit: Option<Duration>) -> Result<bool> {
        let limit = if self.take_requests() { Some(Duration::ZERO) } else { limit };
        let ready = self.wait(others, limit)?;
        let is_recheck = !self.jobs.is_empty() && self.recheck_at <= Instant::now();
        let mut at = 0;
        for (job, is_ready) in std::mem::take(&mut self.jobs).into_iter().zip(ready.jobs) {
            let job = if is_ready || is_recheck { self.advance(job) } else { Some(job) };
            if let Some(mut job) = job {
                job.check_deadline();
                self.busy_at = Instant::now();
                self.jobs.insert(at, job);
                at += 1;
            }
        }
        if is_recheck {
            self.jobs.iter_mut().for_each(Job::check_request);
            self.recheck_at = Instant::now() + RECHECK;
        }
        self.rescan();
        if ready.rules && self.answers.have_changed() {
            // Further changes do not put it off: they could go on and on.
            self.reload_at.get_or_insert(Instant::now() + SETTLE);
        }
        if self.reload_at.is_some_and(|at| at <= Instant::now()) {
            self.reload();
        }
        Ok(ready.others)
    }

    /// Does what there is to do for a helper. Returns the job unless the helper has ended.
    fn advance(&mut self, mut job: Job) -> Option<Job> {
        match &mut job.stage {
            Stage::Starting(starting) => match starting.advance() {
                None => {
                    // At its deadline, its pid may not have been known.
                    if job.request.is_none() {
                        starting.kill();
                    }
                    Some(job)
                }
                Some(Ok(helper)) => {
                    if job.request.is_none() {
                        helper.kill();
                    }
                    job.stage = Stage::Running(helper);
                    Some(job)
                }
                Some(Err(why)) => {
                    self.conclude_unstarted(job, &why);
                    None
                }
            },
            Stage::Running(helper) => match helper.advance() {
                None => Some(job),
                Some(end) => {
                    self.conclude(job, end);
                    None
                }
            },
        }
    }

    /// Looks for requests that nothing has announced, if it is time to.
    fn rescan(&mut self) {
        if self.rescan_at > Instant::now() {
            return;
        }
        self.rescan_at = Instant::now() + RESCAN;
        for agent in &self.agents {
            if let Err(why) = agent.rescan() {
                log::warning(&format!("can't look for requests for keys of type {}: {why}", agent.kind()));
            }
        }
    }

    /// Loads the rules again.
    pub(crate) fn reload(&mut self) {
        self.reload_at = None;
        self.answers.reload();
    }

    /// Whether nothing is pending, with helpers or in the kernel.
    pub(crate) fn is_idle(&mut self) -> bool {
        if std::mem::take(&mut self.is_busy) {
            self.busy_at = Instant::now();
        }
        let is_quiet = || self.busy_at.elapsed() > HANDOVER;
        self.jobs.is_empty() && self.pending().map_or_else(is_quiet, |pending| pending == 0)
    }

    /// `None` if it is unknown: without /proc, and when the keys of retired agents were collected.
    fn pending(&self) -> Option<u32> {
        self.agents.iter().map(Agent::pending).sum()
    }

    /// As process 1, waits for children that are not this program's own: orphans. `own` is a child that is no helper.
    pub(crate) fn reap_orphans(&mut self, own: Option<Pid>) {
        if !self.is_init {
            return;
        }
        // One of its own that has ended is waited for elsewhere, and hides the others until then.
        while let Some(pid) = child::ended_child().filter(|pid| Some(*pid) != own && !self.has_helper(*pid)) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }

    /// Whether a helper has this pid.
    fn has_helper(&mut self, pid: Pid) -> bool {
        self.jobs.iter_mut().any(|job| match &mut job.stage {
            Stage::Starting(starting) => starting.pid() == Some(pid),
            Stage::Running(helper) => helper.pid() == pid,
        })
    }

    /// Polls, and returns what has happened.
    fn wait(&self, others: &[BorrowedFd<'_>], limit: Option<Duration>) -> Result<Ready> {
        let mut fds = Vec::new();
        let mut ends = Vec::new();
        for job in &self.jobs {
            match &job.stage {
                Stage::Starting(starting) => starting.poll_fds(&mut fds),
                Stage::Running(helper) => helper.poll_fds(&mut fds),
            }
            ends.push(fds.len());
        }
        let agents = self.agents.iter().filter(|agent| self.has_room(agent)).map(AsFd::as_fd);
        let rest = self.answers.watch_fd().into_iter().chain(others.iter().copied()).chain(agents);
        fds.extend(rest.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let jobs = self.jobs.iter().filter(|job| job.request.is_some());
        let next = jobs.map(|job| job.deadline.min(self.recheck_at));
        let next = next.chain(self.reload_at).chain([self.rescan_at]).min();
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        let limit = next.into_iter().chain(limit).min();
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(why) => return Err(Failure::os("wait for requests")(why)),
        }
        let mut start = 0;
        let mut is_ready = |end: usize| {
            let part = &fds[std::mem::replace(&mut start, end)..end];
            part.iter().any(|fd| !fd.revents().is_empty())
        };
        let jobs_end = ends.last().copied().unwrap_or_default();
        let rules_end = jobs_end + usize::from(self.answers.watch_fd().is_some());
        Ok(Ready {
            jobs: ends.into_iter().map(&mut is_ready).collect(),
            rules: is_ready(rules_end),
            others: is_ready(rules_end + others.len()),
        })
    }

    /// Whether another helper may run for the agent's type. A helper counts until it has ended, not only until it
    /// has answered.
    fn has_room(&self, agent: &Agent) -> bool {
        self.jobs.iter().filter(|job| job.kind == agent.kind()).count() < self.window
    }

    /// Takes requests of all types in turn. Returns whether some may be left that there is room for.
    fn take_requests(&mut self) -> bool {
        // Helpers are started while an agent is borrowed.
        let agents = std::mem::take(&mut self.agents);
        let may_be_more =
            (0..BATCH).all(|_| agents.iter().filter(|agent| self.take_request(agent)).count() > 0);
        self.agents = agents;
        may_be_more
    }

    /// Takes a request of one agent. Returns false if there is none, or no room for one.
    fn take_request(&mut self, agent: &Agent) -> bool {
        if !self.has_room(agent) {
            return false;
        }
        match agent.try_serve(|request| self.start(request)) {
            Ok(has_served) => has_served,
            Err(why) => {
                log::error(&format!("can't take a request for a key of type {}: {why}", agent.kind()));
                // Others may have arrived with it.
                true
            }
        }
    }

    fn start(&mut self, request: Request) {
        let record = Record::new(&request);
        match self.answers.handler(CREATE, &request) {
            None => {
                // The requester need not wait for the rest.
                drop(request);
                record.warn("no rule matches");
            }
            Some(handler) => {
                if let Some(lifetime) = self.lifetimes.get(request.kind()) {
                    let _ = request.set_timeout(*lifetime);
                }
                // The kernel's deadline is counted from when the request was made.
                let deadline = Instant::now() + self.timeout * 9 / 10;
                self.start_helper(CREATE, &handler, request, record, deadline);
            }
        }
        self.is_busy = true;
    }

    fn start_helper(
        &mut self,
        operation: &'static str,
        handler: &Handler,
        request: Request,
        mut record: Record,
        deadline: Instant,
    ) {
        record.start(handler.origin(), Instant::now());
        let started = request.delegate().map_err(|why| why.to_string()).and_then(|delegation| {
            let program = handler.program(operation, &request, delegation.session_keyring());
            let program = program.map_err(|why| why.to_string())?;
            let (path, answering) = (program.path.clone(), program.answering);
            let starting = Starting::new(program, &delegation, request.callout(), self.user);
            Ok((starting.map_err(|why| unstarted(&path, &why))?, path, answering))
        });
        match started {
            Ok((starting, program, answering)) => {
                let (kind, stage) = (request.kind().to_owned(), Stage::Starting(starting));
                let request = Some(request);
                let has_ended = false;
                self.jobs.push(Job { request, has_ended, stage, program, answering, kind, deadline, record });
            }
            Err(why) => {
                record.warn(&why);
                let is_pipe = matches!(handler, Handler::Rule(rule) if rule.action.is_pipe);
                if is_pipe && operation == CREATE {
                    self.negate(request, record, deadline);
                }
            }
        }
    }

    /// Completes the request of a helper that has not executed its program.
    fn conclude_unstarted(&mut self, job: Job, why: &io::Error) {
        let Job { request, program, answering, deadline, record, .. } = job;
        let Some(request) = request else { return };
        record.warn(&unstarted(&program, why));
        if answering == Answering::ByPipe {
            self.negate(request, record, deadline);
        }
    }

    /// Completes the request of a helper that has ended.
    fn conclude(&mut self, job: Job, end: End) {
        let Job { request, answering, deadline, record, .. } = job;
        let Some(request) = request else { return };
        if !request.is_pending() {
            return record.done("answered by the helper, or ended by its deadline");
        }
        if end.is_too_long {
            return record
                .warn("the helper has printed more than a payload may have, which is 1048575 bytes");
        }
        let status = match end.status {
            Ok(status) => status,
            Err(why) => return record.warn(&format!("can't wait for the helper: {why}")),
        };
        match (answering, status.code()) {
            (Answering::Itself, _) => {
                record.warn(&format!("the helper has ended without an answer ({status})"));
            }
            (Answering::ByPipe | Answering::ByExitCode, Some(0)) => match request.instantiate(&end.output) {
                Ok(()) => record.done("instantiated"),
                Err(why) => {
                    record.warn(&format!("can't instantiate the key with the helper's output: {why}"))
                }
            },
            (Answering::ByPipe, _) => {
                record.warn(&format!("the helper has failed ({status})"));
                self.negate(request, record, deadline);
            }
            (Answering::ByExitCode, code) => match code.and_then(rejection) {
                Some(errno) => {
                    let rejected = request.reject(errno, Duration::ZERO);
                    record.done(&format!(
                        "rejected with {errno}{}",
                        if rejected.is_ok() { "" } else { ", too late" }
                    ));
                }
                None => record.warn(&format!("the helper has failed ({status})")),
            },
        }
    }

    /// Rejects requests that have arrived. Returns false if others are pending.
    fn reject_new(&self) -> bool {
        for agent in &self.agents {
            for _ in 0..BATCH {
                // A request that is dropped is rejected.
                let Ok(Some(_)) = agent.try_next_request() else { break };
            }
        }
        self.pending().is_none_or(|pending| pending == 0)
    }

    /// Leaves a request to the rule for negating keys, as request-key(8) does when a pipe has failed.
    fn negate(&mut self, request: Request, record: Record, deadline: Instant) {
        if let Some(handler) = self.answers.handler(NEGATE, &request)
            && matches!(&handler, Handler::Rule(rule) if !rule.action.is_pipe)
        {
            self.start_helper(NEGATE, &handler, request, record, deadline);
        }
    }
}

impl Drop for Service {
    /// Rejects all requests, at once.
    ///
    /// The agents' keys are left as they are, and belong to an agent that is gone when the process exits. An agent
    /// that is dropped would take its key out of the keyring, and /sbin/request-key would answer from then on.
    fn drop(&mut self) {
        // No helper can answer any more.
        self.jobs.iter_mut().for_each(Job::kill);
        self.jobs.clear();
        let start = Instant::now();
        // Requests that are made all the time must not keep the program from its end.
        while !self.reject_new() && start.elapsed() < MAX_REJECTING {
            thread::sleep(Duration::from_millis(1));
        }
        std::mem::forget(std::mem::take(&mut self.agents));
    }
}

impl Job {
    fn kill(&mut self) {
        match &mut self.stage {
            Stage::Starting(starting) => starting.kill(),
            Stage::Running(helper) => helper.kill(),
        }
    }

    /// Limits the time of a helper whose request has ended, as it keeps others from being started.
    fn check_request(&mut self) {
        if !self.has_ended && self.request.as_ref().is_some_and(|request| !request.is_pending()) {
            self.has_ended = true;
            self.deadline = self.deadline.min(Instant::now() + LINGER);
        }
    }

    /// Kills a helper that takes too long, and rejects its request.
    fn check_deadline(&mut self) {
        if self.deadline > Instant::now() {
            return;
        }
        let Some(request) = self.request.take() else { return };
        self.kill();
        if self.has_ended {
            self.record.done("answered or ended before; the helper was still running and was killed");
            return;
        }
        self.record.warn("the helper has not ended in time and was killed");
        // The request may have been answered, or have ended by the kernel's deadline.
        let _ = request.reject(Errno::TIMEDOUT, Duration::ZERO);
    }
}

/// The error for an exit code of `--exec`. `None` for a failure.
fn rejection(code: i32) -> Option<Errno> {
    Some(match code {
        // There is no such key.
        1 => Errno::NOKEY,
        // EX_DATAERR
        65 => Errno::INVAL,
        // EX_TEMPFAIL
        75 => Errno::AGAIN,
        // EX_NOPERM
        77 => Errno::ACCESS,
        _ => return None,
    })
}

/// Why a helper was not started.
fn unstarted(program: &Path, why: &dyn fmt::Display) -> String {
    format!("can't start the helper {}: {why}", program.display())
}

/// A signal names its request, and reaches one agent alone; notifications reach all agents of the process. Without /proc,
/// nothing tells whether the signal is blocked everywhere.
fn delivery() -> Delivery {
    if Path::new("/proc/self/task").exists() { Delivery::Signal } else { Delivery::WatchQueue }
}

/// How long a request may take if the daemon does not say it.
fn kernel_timeout() -> Duration {
    let milliseconds = fs::read_to_string("/proc/sys/kernel/keys/keyagent_timeout_ms");
    let milliseconds = milliseconds.ok().and_then(|text| text.trim().parse().ok()).filter(|time| *time > 0);
    milliseconds.map_or(DEFAULT_TIMEOUT, Duration::from_millis)
}
