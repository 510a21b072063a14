//! English text of a single event, with serials and pids as the guest reported them.

use super::{op, outcome::ended};
use crate::{
    plan::{KeyRef, Op, Plan},
    trace::names::Names,
    wire::{Done, Event, EventKind, Outcome, Value},
};

/// Describes an event, as in `box takes step 2: requests user "k" with callout "c" → ENOKEY (51 µs)`.
pub fn describe_event(plan: &Plan, event: &Event) -> String {
    let worker = event.worker.map(|worker| format!("[{worker}]")).unwrap_or_default();
    let step = event.step.map(|step| format!(" takes step {}:", step + 1)).unwrap_or_default();
    format!("{}{worker}{step} {}", event.process, describe_kind(plan, event))
}

fn describe_kind(plan: &Plan, event: &Event) -> String {
    match &event.kind {
        EventKind::Started(identity) => {
            let pids: Vec<String> = identity.pids.iter().map(i32::to_string).collect();
            format!("starts: pid {}, uid {}", pids.join(" inside "), identity.uid)
        }
        EventKind::Begun { pids } => {
            let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
            format!("{}, begun in the background as pid {}", of_step(plan, event), pids.join(" inside "))
        }
        EventKind::Done(done) => format!("{}{}", of_step(plan, event), result(done)),
        EventKind::Called { op, done } => format!("{}{}", describe_op(op), result(done)),
        EventKind::UpcallSignal(siginfo) => {
            format!(
                "receives signal {} for {} from pid {}, uid {}",
                siginfo.signal, siginfo.value, siginfo.pid, siginfo.uid
            )
        }
        EventKind::Ended(ending) => ended(*ending),
    }
}

fn of_step(plan: &Plan, event: &Event) -> String {
    event.step.and_then(|step| plan.steps.get(step)).map(|step| describe_op(&step.op)).unwrap_or_default()
}

/// Describes an operation with bare serials.
fn describe_op(op: &Op) -> String {
    let mut op = op.clone();
    for key in op.keys_mut() {
        if let KeyRef::Serial(serial @ 1..) = key {
            *key = KeyRef::Variable(serial.to_string());
        }
    }
    op::of(&op, &Names::default())
}

fn result(done: &Done) -> String {
    let outcome = match &done.outcome {
        Outcome::Ok(Value::None) => "done".to_owned(),
        Outcome::Ok(Value::Serial(serial)) => serial.to_string(),
        Outcome::Ok(Value::Number(number)) => number.to_string(),
        Outcome::Ok(Value::Text(text)) => format!("{text:?}"),
        Outcome::Ok(other) => serde_json::to_string(other).unwrap_or_default(),
        Outcome::Error(errno) => errno.clone(),
        Outcome::Skipped(why) => format!("skipped: {why}"),
        Outcome::TimedOut => "timed out".to_owned(),
    };
    format!(" → {outcome} ({} µs)", done.elapsed_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_with_the_serials_that_the_guest_saw() {
        let plan = r#"{"protocol":0,"name":"f/n","deadline_ms":1,"processes":[],"steps":[
            {"process":"box","op":{"revoke":{"key":"k"}}}]}"#;
        let plan: Plan = serde_json::from_str(plan).unwrap();
        let described = |event: &str| describe_event(&plan, &serde_json::from_str(event).unwrap());
        let done = r#""begun_us":1,"elapsed_us":12"#;
        assert_eq!(
            described(&format!(
                r#"{{"process":"box","step":0,"at_us":3,"kind":{{"done":{{"outcome":{{"error":"EACCES"}},{done}}}}}}}"#
            )),
            "box takes step 1: revokes k → EACCES (12 µs)"
        );
        assert_eq!(
            described(&format!(
                r##"{{"process":"agent","upcall":7,"at_us":3,"kind":{{"called":{{"op":{{"revoke":{{"key":"#715"}}}},
                "outcome":{{"ok":"none"}},{done}}}}}}}"##
            )),
            "agent revokes 715 → done (12 µs)"
        );
    }
}
