//! Stable names for serials and pids.

use std::collections::BTreeMap;

use super::upcalls::Upcalls;
use crate::{
    plan::{KeyRef, Op, Order, Plan},
    wire::{Event, EventKind, Identity, Outcome, Value, outcomes_of_setup},
};

/// Names of serials and pids in a trace.
#[derive(Debug, Default)]
pub(super) struct Names {
    keys: BTreeMap<i32, String>,
    /// Depth of each process in the tree of pid namespaces.
    levels: BTreeMap<String, usize>,
    /// Processes by level and pid, their workers included.
    pids: BTreeMap<(usize, i32), String>,
}

impl Names {
    pub(super) fn of(plan: &Plan, events: &[Event], upcalls: &Upcalls) -> Self {
        let mut names = Self::default();
        names.name_processes(events);
        names.name_setup(plan, events);
        for (index, step) in plan.steps.iter().enumerate().filter(|(_, step)| step.save.is_some()) {
            names.name_keys(step.save.as_deref(), keys_of_step(plan, index, events, upcalls));
        }
        names.name_keyrings(plan, events);
        for index in 0..plan.steps.len() {
            // A raced step may or may not make a key: it must not take a number from those that
            // always come.
            let raced = plan.block_of(index).is_some_and(|block| block.order == Order::Raced);
            let step = &plan.steps[index];
            let wanted = own_keyring(&step.process, &step.op)
                .or_else(|| raced.then(|| format!("key-of-step-{}", index + 1)));
            names.name_keys(wanted.as_deref(), keys_of_step(plan, index, events, upcalls));
            let inner =
                upcalls.of_step(Some(index)).filter(|upcall| upcall.depth > 0).map(|upcall| upcall.target);
            names.name_keys(None, inner.collect());
        }
        names.name_authkeys(plan, events);
        names
    }

    /// Returns the name of a serial. All serials without a name share one.
    pub(super) fn key(&self, serial: i32) -> &str {
        self.keys.get(&serial).map_or("some key", String::as_str)
    }

    pub(super) fn authkey_of(&self, target: i32) -> String {
        format!("authkey of {}", self.key(target))
    }

    /// Returns the name of the process with this pid in the pid namespace of `seen_by`.
    pub(super) fn process(&self, pid: i32, seen_by: &str) -> &str {
        let level = self.levels.get(seen_by).copied().unwrap_or(0);
        match pid {
            0 => "a process out of its sight",
            _ => self.pids.get(&(level, pid)).map_or("an unknown process", String::as_str),
        }
    }

    fn name_processes(&mut self, events: &[Event]) {
        for event in events {
            let pids = match &event.kind {
                EventKind::Started(Identity { pids, .. }) => {
                    self.levels.insert(event.process.clone(), pids.len().saturating_sub(1));
                    pids
                }
                EventKind::Begun { pids } => pids,
                _ => continue,
            };
            self.pids
                .extend(pids.iter().enumerate().map(|(level, pid)| ((level, *pid), event.process.clone())));
        }
    }

    /// Names the keys of set-ups. Set-up reports its operations in order, which is the order of the
    /// variables.
    fn name_setup(&mut self, plan: &Plan, events: &[Event]) {
        for process in &plan.processes {
            let outcomes = outcomes_of_setup(&process.name, events);
            for (setup, outcome) in process.setup.iter().zip(outcomes) {
                let wanted = setup.save.clone().or_else(|| own_keyring(&process.name, &setup.op));
                self.name_keys(wanted.as_deref(), outcome.serial().into_iter().collect());
            }
        }
    }

    /// Names the serials that have no name yet. All keys of one step share its name, since a race
    /// distributes them to the workers.
    fn name_keys(&mut self, wanted: Option<&str>, mut serials: Vec<i32>) {
        serials.retain(|serial| !self.keys.contains_key(serial));
        if serials.is_empty() {
            return;
        }
        let taken = |name: &str| self.keys.values().any(|taken| taken == name);
        let numbered = |stem: &str, first: usize| {
            (first..).map(|number| format!("{stem}-{number}")).find(|name| !taken(name)).unwrap_or_default()
        };
        let name = match wanted {
            Some(name) if !taken(name) => name.to_owned(),
            Some(name) => numbered(name, 2),
            None => numbered("key", 1),
        };
        self.keys.extend(serials.into_iter().map(|serial| (serial, name.clone())));
    }

    /// Names keyrings without a name `box:@s`, after the first process that has them.
    fn name_keyrings(&mut self, plan: &Plan, events: &[Event]) {
        for process in &plan.processes {
            for event in events.iter().filter(|event| event.process == process.name) {
                if let EventKind::Started(identity) = &event.kind {
                    for (short, serial) in &identity.keyrings {
                        let name = || format!("{}:{short}", process.name);
                        self.keys.entry(*serial).or_insert_with(name);
                    }
                }
            }
        }
    }

    /// Names authkeys after their targets. Reactions come first, regardless of the order of
    /// reports, since they contain the target.
    fn name_authkeys(&mut self, plan: &Plan, events: &[Event]) {
        let (reactions, steps): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.upcall.is_some());
        for event in reactions.into_iter().chain(steps) {
            let (op, outcome) = match &event.kind {
                EventKind::Called { op, done } => (Some(op), &done.outcome),
                EventKind::Done(done) => {
                    (event.step.and_then(|step| plan.steps.get(step)).map(|step| &step.op), &done.outcome)
                }
                _ => continue,
            };
            // Besides keys with a name, a reaction can only refer to its authkey.
            if let (Some(op), Some(target)) = (op, event.upcall) {
                let name = self.authkey_of(target);
                let mut op = op.clone();
                let unnamed = op.keys_mut().into_iter().filter_map(|key| match key {
                    KeyRef::Serial(serial) if *serial > 0 => Some(*serial),
                    _ => None,
                });
                for serial in unnamed {
                    self.keys.entry(serial).or_insert_with(|| name.clone());
                }
            }
            for (authkey, target) in self.authkeys(op, outcome) {
                self.keys.entry(authkey).or_insert_with(|| format!("authkey of {target}"));
            }
        }
    }

    /// Returns the authkeys in an outcome, each with its target's name.
    fn authkeys(&self, op: Option<&Op>, outcome: &Outcome) -> Vec<(i32, String)> {
        match (op, outcome) {
            (Some(Op::Assume { key: Some(target) }), Outcome::Ok(Value::Serial(authkey))) => {
                let target = match target {
                    KeyRef::Serial(target) => self.key(*target).to_owned(),
                    KeyRef::Target => "the target".to_owned(),
                    named => named.to_string(),
                };
                vec![(*authkey, target)]
            }
            (_, Outcome::Ok(Value::ProcKeys(keys))) => {
                let authkeys = keys.iter().filter(|key| key.kind == ".request_key_auth");
                authkeys
                    .filter_map(|key| Some((key.serial, self.key(target_of(&key.summary)?).to_owned())))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Returns the name of a process's own keyring, as in `box:@u`, if the operation looks one up.
fn own_keyring(process: &str, op: &Op) -> Option<String> {
    match op {
        Op::Keyring { key: KeyRef::Special(special), .. } => Some(format!("{process}:{}", special.name())),
        _ => None,
    }
}

/// Returns the target in an authkey's line of /proc/keys, as in `key:1a2b3c4d pid:12 ci:5`.
fn target_of(summary: &str) -> Option<i32> {
    let digits = summary.split("key:").nth(1)?.split([' ', ',']).next()?;
    i32::from_str_radix(digits, 16).ok()
}

/// Returns the serials that a step gave, and the targets of its own upcalls.
fn keys_of_step(plan: &Plan, index: usize, events: &[Event], upcalls: &Upcalls) -> Vec<i32> {
    // Authkeys are named after their targets.
    let gives_authkey = matches!(plan.steps.get(index).map(|step| &step.op), Some(Op::Assume { .. }));
    let done = || events.iter().filter(|event| event.step == Some(index)).filter_map(Event::done);
    let results = done().filter(|_| !gives_authkey).filter_map(|done| done.outcome.serial());
    let rung = done().flat_map(|done| match &done.outcome {
        Outcome::Ok(Value::Signals(taken)) => taken.as_slice(),
        _ => &[],
    });
    let rung = rung.map(|siginfo| siginfo.value).filter(|serial| *serial > 0);
    let targets = upcalls.of_step(Some(index)).filter(|upcall| upcall.depth == 0).map(|upcall| upcall.target);
    results.chain(rung).chain(targets).collect()
}
