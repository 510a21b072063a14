//! Serials of the keys that steps refer to. They give a key one name, independent of the reference.

use crate::{
    plan::{KeyRef, Plan},
    wire::{Event, EventKind, outcomes_of_setup},
};

/// Replaces the references in a plan's steps by serials, as far as the events show them.
pub(super) fn resolved(plan: &Plan, events: &[Event]) -> Plan {
    let mut resolved = plan.clone();
    for (index, step) in resolved.steps.iter_mut().enumerate() {
        for key in step.op.keys_mut() {
            let serial = match key {
                KeyRef::Target => upcall_of(index, events),
                KeyRef::Variable(name) => variable(plan, events, index, name),
                _ => None,
            };
            if let Some(serial) = serial {
                *key = KeyRef::Serial(serial);
            }
        }
    }
    resolved
}

pub(super) fn upcall_of(step: usize, events: &[Event]) -> Option<i32> {
    events.iter().filter(|event| event.step == Some(step)).find_map(|event| event.upcall)
}

/// Returns the serial of a variable at the time of a step.
fn variable(plan: &Plan, events: &[Event], step: usize, name: &str) -> Option<i32> {
    let saved = plan.steps[..step].iter().rposition(|step| step.save.as_deref() == Some(name));
    saved
        .and_then(|saved| serial_of_step(saved, events))
        .or_else(|| of_setup(plan, events, name))
        .or_else(|| last_target(events, step, name.strip_suffix(".target")?))
}

fn serial_of_step(step: usize, events: &[Event]) -> Option<i32> {
    let of_step = events.iter().filter(|event| event.step == Some(step));
    of_step.filter_map(Event::done).find_map(|done| done.outcome.serial())
}

/// Returns the serial that the set-up of a process stores in a variable.
pub(crate) fn of_setup(plan: &Plan, events: &[Event], name: &str) -> Option<i32> {
    plan.processes.iter().find_map(|process| {
        let place = process.setup.iter().position(|setup| setup.save.as_deref() == Some(name))?;
        outcomes_of_setup(&process.name, events).nth(place)?.serial()
    })
}

/// Returns the target of the last upcall that an agent received before a step.
fn last_target(events: &[Event], step: usize, agent: &str) -> Option<i32> {
    let begun = events.iter().position(|event| event.step == Some(step))?;
    let upcalls = events[..begun].iter().rev().filter(|event| event.process == agent);
    let mut targets = upcalls.filter_map(|event| match &event.kind {
        EventKind::UpcallSignal(_) => event.upcall,
        _ => None,
    });
    targets.next()
}
