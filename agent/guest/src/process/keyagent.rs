//! Keyagent: receives upcalls and runs the plan's reactions to them.
//!
//! The signal only announces an upcall. The authority over a target comes from its authkey, which the kernel
//! links into the process keyring before it sends the signal.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};

use keyring::{KeySerial, Notification, SpecialKey, WatchQueue};
use scenarios::plan::{Group, Hears, KeyRef, Keyagent, Op, Payload};
use scenarios::wire::{EventKind, Outcome, UpcallSignal, Value};

use super::{Cause, PlanProcess};
use crate::ipc;

/// Capacity of the watch queue. The kernel's minimum, one page, so that scenarios can make it overflow.
pub(super) const WATCH_QUEUE_SIZE: u32 = 32;

pub(super) struct AgentState {
    plan: Keyagent,
    upcalls: usize,
    /// Targets that are not completed, the oldest first.
    pending: VecDeque<i32>,
    /// Targets received by notification. Each scan finds them again until their authkeys are gone.
    seen: BTreeSet<i32>,
    pub(super) serials: HashMap<KeyRef, i32>,
}

impl AgentState {
    pub(super) fn new(plan: Keyagent) -> Self {
        let (pending, seen, serials) = Default::default();
        Self { plan, upcalls: 0, pending, seen, serials }
    }

    /// Opens the watch on the process keyring, which must exist before the keyagent registers.
    pub(super) fn open_watch(&mut self, watch: &mut Option<WatchQueue>) {
        if self.plan.hears != Hears::Watch {
            return;
        }
        let process = SpecialKey::Process;
        let watching = keyring::get_keyring_id(process, true).and_then(|_| WatchQueue::new(WATCH_QUEUE_SIZE));
        *watch = watching.and_then(|queue| queue.watch(process).map(|()| queue)).ok();
    }

    pub(super) fn forget(&mut self, target: i32) {
        self.pending.retain(|pending| *pending != target);
    }

    /// The reaction to the next upcall, its references resolved. The last reaction serves all further
    /// upcalls.
    fn next_reaction(&mut self) -> Vec<Result<Op, KeyRef>> {
        let last = self.plan.reactions.len().saturating_sub(1);
        let reaction = self.plan.reactions.get(self.upcalls.min(last)).cloned().unwrap_or_default();
        self.upcalls += 1;
        reaction.into_iter().map(|mut op| resolve_refs(&mut op, &self.serials).map(|()| op)).collect()
    }
}

/// Replaces an operation's references to other keys by their serials.
///
/// # Errors
/// The first reference that has no serial.
pub(crate) fn resolve_refs(op: &mut Op, serials: &HashMap<KeyRef, i32>) -> Result<(), KeyRef> {
    for key in op.keys_mut() {
        if matches!(key, KeyRef::Variable(_) | KeyRef::Of(..)) {
            *key = KeyRef::Serial(*serials.get(key).ok_or_else(|| key.clone())?);
        }
    }
    Ok(())
}

impl PlanProcess<'_> {
    /// A descriptor that is readable when an upcall may be pending.
    pub(super) fn upcall_fd(&self) -> Option<BorrowedFd<'_>> {
        match self.agent.as_ref()?.plan.hears {
            Hears::Signal => Some(self.signals.as_fd()),
            Hears::Watch => self.watch.as_ref().map(|queue| queue.as_fd()),
            Hears::Nothing => None,
        }
    }

    /// Serves one signal, or all authkeys after a notification. Returns whether there were any.
    pub(super) fn serve_upcall(&mut self) -> bool {
        let signals = match self.agent.as_ref().map(|agent| agent.plan.hears) {
            Some(Hears::Signal) => self.signals.take().into_iter().collect(),
            Some(Hears::Watch) => self.new_authkeys(),
            Some(Hears::Nothing) | None => Vec::new(),
        };
        let any = !signals.is_empty();
        signals.into_iter().for_each(|signal| self.react(signal));
        any
    }

    /// Scans the whole process keyring, since notifications may be lost.
    fn new_authkeys(&mut self) -> Vec<UpcallSignal> {
        let Some(queue) = &mut self.watch else { return Vec::new() };
        let lost = queue.take().unwrap_or_default().contains(&Notification::Lost);
        let present: Vec<i32> = authkeys().into_iter().map(|(target, _)| target).collect();
        let Some(agent) = &mut self.agent else { return Vec::new() };
        agent.seen.retain(|target| present.contains(target));
        let new = present.into_iter().filter(|target| agent.seen.insert(*target));
        new.map(|value| UpcallSignal {
            signal: 0,
            code: i32::from(lost),
            pid: 0,
            uid: 0,
            value,
            nonzero_padding: Vec::new(),
        })
        .collect()
    }

    fn react(&mut self, signal: UpcallSignal) {
        let target = signal.value;
        let kind = EventKind::UpcallSignal(signal);
        let is_upcall = ipc::is_upcall(&kind);
        let cause = Cause { upcall: Some(target), ..Cause::default() };
        self.report_event(cause, kind);
        let Some(agent) = self.agent.as_mut().filter(|_| is_upcall) else { return };
        let reaction = agent.next_reaction();
        agent.pending.push_back(target);
        for op in reaction {
            match op {
                // These operations report their own calls.
                Ok(op) if op.group() == Group::Upcall => {
                    self.complete_upcall(&op, cause);
                }
                Ok(op) => {
                    let op = self.with_keys_of_upcall(op, cause);
                    self.call(op, cause);
                }
                Err(missing) => {
                    self.report_failure(format!("a reaction needs {missing}, which does not exist"))
                }
            }
        }
    }

    /// Resolves references to the target and its authkey, as far as they exist.
    fn with_keys_of_upcall(&self, mut op: Op, cause: Cause) -> Op {
        for key in op.keys_mut() {
            if matches!(key, KeyRef::Target | KeyRef::Authkey)
                && let Ok(serial) = self.key(key, cause)
            {
                *key = KeyRef::Serial(serial.as_raw());
            }
        }
        op
    }

    /// The target of the upcall being served; without one the oldest pending target.
    pub(super) fn target(&self, cause: Cause) -> Option<i32> {
        cause.upcall.or_else(|| self.agent.as_ref()?.pending.front().copied())
    }

    /// Returns the target of the upcall that a step's operation refers to.
    pub(super) fn upcall_of(&self, op: &Op) -> Option<i32> {
        let refers = |key: &mut KeyRef| matches!(key, KeyRef::Target | KeyRef::Authkey);
        let refers = op.group() == Group::Upcall || op.clone().keys_mut().into_iter().any(refers);
        if refers { self.target(Cause::default()) } else { None }
    }

    pub(super) fn authkey(&self, target: i32) -> Option<KeySerial> {
        authkeys().into_iter().find(|(of, _)| *of == target).map(|(_, authkey)| authkey)
    }

    /// Answers or rejects an upcall. Each call is reported, and the first failure ends the sequence.
    pub(super) fn complete_upcall(&mut self, how: &Op, cause: Cause) -> Outcome {
        let Some(target) = self.target(cause) else {
            return Outcome::Skipped("no upcall is pending".to_owned());
        };
        let outcome = self.complete_with_authority(how, target, cause);
        let completed = matches!(outcome, Outcome::Ok(_));
        // A step has served the upcall even if it came too late; a reaction may try again.
        if (completed || cause.step.is_some())
            && let Some(agent) = &mut self.agent
        {
            agent.forget(target);
        }
        outcome
    }

    fn complete_with_authority(&mut self, how: &Op, target: i32, cause: Cause) -> Outcome {
        let key = KeyRef::Serial(target);
        let assumed = self.call(Op::Assume { key: Some(key.clone()) }, cause);
        if !matches!(assumed, Outcome::Ok(_)) {
            return assumed;
        }
        let outcome = match how {
            Op::Answer { payload, into } => self.answer(key, payload, into.clone(), cause),
            Op::Deny { error, seconds, into } => {
                let (error, seconds, into) = (error.clone(), *seconds, into.clone());
                self.call(Op::Reject { key, seconds, error, into }, cause)
            }
            _ => Outcome::Skipped(format!("{how:?} does not complete an upcall")),
        };
        self.call(Op::Assume { key: None }, cause);
        outcome
    }

    fn answer(&mut self, key: KeyRef, template: &str, into: Option<KeyRef>, cause: Cause) -> Outcome {
        let described = self.call(Op::Describe { key: key.clone() }, cause);
        let Outcome::Ok(Value::Described(described)) = described else { return described };
        let callout = KeyRef::Special(scenarios::plan::Special::RequestKeyAuth);
        let callout = self.call(Op::Read { key: callout }, cause);
        let Outcome::Ok(Value::Text(callout)) = callout else { return callout };
        let payload = template
            .replace("{type}", &described.kind)
            .replace("{description}", &described.description)
            .replace("{hostname}", &nix::unistd::gethostname().unwrap_or_default().to_string_lossy())
            .replace("{uid}", &nix::unistd::getuid().to_string())
            .replace("{callout}", &callout);
        self.call(Op::Instantiate { key, payload: Payload::Text(payload), into }, cause)
    }

    /// Runs and reports one call of a reaction, or of an operation that takes several.
    fn call(&mut self, op: Op, cause: Cause) -> Outcome {
        let done = self.timed(|process| process.run_op(&op, &[], cause));
        let outcome = done.outcome.clone();
        self.report_event(cause, EventKind::Called { op, done });
        outcome
    }
}

/// The authkeys in the process keyring with their targets, in the order of the targets' serials.
fn authkeys() -> Vec<(i32, KeySerial)> {
    let members = keyring::members(SpecialKey::Process).unwrap_or_default();
    let mut found: Vec<_> = members
        .into_iter()
        .filter_map(|key| Some((keyring::describe(key).ok()?.target()?.get(), key)))
        .collect();
    found.sort_unstable();
    found
}
