//! Background steps: workers forked from a process that run the same operation at once.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};

use nix::unistd::{ForkResult, getpid, getppid};
use scenarios::plan::{Group, Op, Payload};
use scenarios::wire::EventKind;

use super::{Cause, ChildRole, PlanProcess};
use crate::ipc::{Report, Task};
use crate::sys::process::{exit_now, fork};
use crate::sys::{prefault, procfs};

impl PlanProcess<'_> {
    /// Forks the workers, starts them together when all are ready, and leaves them running.
    pub(super) fn spawn_workers(&mut self, step: usize, count: u32, task: &Task) {
        // Two pipes, since one socket for both directions would wake every waiting worker with each message.
        let (gate, ready) = match io::pipe().and_then(|gate| Ok((gate, io::pipe()?))) {
            Ok(pipes) => pipes,
            Err(why) => return self.report_failure(format!("can't create a pipe for workers: {why}")),
        };
        let reports_result = task.op.core().group() != Group::Process;
        for worker in 0..count {
            let forked = fork();
            prefault::copy_shared_pages();
            match forked {
                Ok(ForkResult::Child) => {
                    drop((gate.1, ready.0));
                    let cause = Cause::worker(step, worker);
                    self.run_worker(gate.0, ready.1, cause, task)
                }
                Ok(ForkResult::Parent { child }) => {
                    let role = ChildRole::Worker { step, worker, reports_result };
                    self.children.insert(child.as_raw(), role, true);
                }
                Err(errno) => return self.report_failure(format!("worker {worker}: fork: {errno}")),
            }
        }
        drop(ready.1);
        self.report_workers(step, ready.0);
        drop(gate);
        self.send_report(Report::WorkersReleased(step));
    }

    /// Reports the workers in order, once all are ready. A worker that was killed before is left out.
    fn report_workers(&self, step: usize, ready: PipeReader) {
        let ready = BufReader::new(ready)
            .lines()
            .map_while(Result::ok)
            .map_while(|line| serde_json::from_str(&line).ok());
        let pids: BTreeMap<u32, Vec<i32>> = ready.collect();
        for (worker, pids) in pids {
            self.report_event(Cause::worker(step, worker), EventKind::Begun { pids });
        }
    }

    /// Runs a worker. The gate opens when the parent closes its end.
    fn run_worker(&mut self, mut gate: PipeReader, mut ready: PipeWriter, cause: Cause, task: &Task) -> ! {
        self.children = Default::default();
        let pids = self.worker_pids();
        // One write, so that the messages of two workers do not mix.
        let _ = serde_json::to_string(&(cause.worker, pids))
            .map(|message| ready.write_all(format!("{message}\n").as_bytes()));
        drop(ready);
        let _ = gate.read(&mut [0]);
        let op = substitute_number(task.op.clone(), "{worker}", cause.worker);
        let upcall = self.upcall_of(&op);
        let done = self.timed(|process| process.run_op(&op, &task.pids, cause));
        if cause.worker == Some(0) {
            self.lend_key(task, &done);
        }
        self.report_event(Cause { upcall, ..cause }, EventKind::Done(done));
        exit_now(0)
    }

    /// The pids of a worker. In the initial pid namespace, where its parent is visible, one system call returns them;
    /// /proc/self/status is slow.
    fn worker_pids(&self) -> Vec<i32> {
        if self.context.depth == 0 && getppid().as_raw() != 0 {
            return vec![getpid().as_raw()];
        }
        procfs::pids(&self.context.proc, "self").unwrap_or_default()
    }
}

/// Replaces `placeholder` by the number, if there is one.
pub(super) fn substitute_number(mut op: Op, placeholder: &str, number: Option<u32>) -> Op {
    let Some(number) = number else { return op };
    let put = |text: &mut String| *text = text.replace(placeholder, &number.to_string());
    match &mut op {
        Op::Request { description, callout, .. } => {
            put(description);
            callout.as_mut().into_iter().for_each(put);
        }
        Op::Search { description, .. } => put(description),
        Op::Add { description, payload, .. } => {
            put(description);
            put_in_payload(payload, put);
        }
        Op::Update { payload, .. } | Op::Instantiate { payload, .. } => put_in_payload(payload, put),
        _ => {}
    }
    op
}

fn put_in_payload(payload: &mut Payload, put: impl Fn(&mut String)) {
    if let Payload::Text(text) = payload {
        put(text);
    }
}
