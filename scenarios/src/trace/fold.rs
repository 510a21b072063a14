//! Ordinary answers to upcalls, folded into a few words.
//!
//! An answer takes several calls. If each has the result that follows from the request, the trace has the answer only. If any
//! has another result, the trace has all calls of the answer.

use super::line::{ANSWERS, REJECTS};
use super::{names::Names, op, upcalls::Asked};
use crate::{
    plan::{KeyRef, Op, Payload, Special},
    wire::{Described, Event, Outcome, Value},
};

/// A completion of an upcall by the first calls of a list.
pub(super) struct Fold {
    pub(super) calls: usize,
    pub(super) target: i32,
    pub(super) how: Completion,
}

/// A result for the requester.
pub(super) enum Completion {
    /// A key with this payload.
    Answer(String),
    /// This error, with a timeout in seconds.
    Rejection(String, u32),
}

impl Completion {
    /// As in `answers k with "c"`.
    pub(super) fn sentence(&self, key: &str) -> String {
        match self {
            Self::Answer(payload) => format!("answers {key} with {payload:?}"),
            Self::Rejection(error, seconds) => {
                format!("rejects {key} with {error}{}", op::lasting(*seconds))
            }
        }
    }

    /// The clause that follows an upcall, as in `answers with "c"`.
    pub(super) fn clause(&self) -> String {
        match self {
            Self::Answer(payload) => format!("{ANSWERS}{payload:?}"),
            Self::Rejection(error, seconds) => format!("{REJECTS}{error}{}", op::lasting(*seconds)),
        }
    }
}

/// An upcall, as described by its request and its signal.
pub(super) struct Upcall<'u> {
    pub(super) asked: &'u Asked,
    /// The requester's user id in the agent's signal.
    pub(super) uid: u32,
    /// Replaces a worker's own texts by those of the scenario.
    pub(super) generalise: &'u dyn Fn(&str) -> String,
}

/// Returns the ordinary completion that these calls begin with, or `None` if any of its results is not ordinary.
pub(super) fn ordinary(events: &[&Event], upcall: &Upcall<'_>, names: &Names) -> Option<Fold> {
    let mut calls = events.iter().map_while(|event| event.call());
    let (Op::Assume { key: Some(KeyRef::Serial(target)) }, assumed) = calls.next()? else {
        return None;
    };
    let Outcome::Ok(Value::Serial(authkey)) = assumed else { return None };
    if *authkey == 0 || authkey == target || names.key(*authkey) != names.authkey_of(*target) {
        return None;
    }
    let (how, count) = match calls.next()? {
        (Op::Describe { key }, Outcome::Ok(Value::Described(described)))
            if is(key, *target) && upcall.describes(described) =>
        {
            upcall.reads(calls.next()?)?;
            (answer(calls.next()?, *target)?, 5)
        }
        call => (rejection(call, *target)?, 3),
    };
    let gives_up = matches!(calls.next()?, (Op::Assume { key: None }, Outcome::Ok(Value::None)));
    gives_up.then_some(Fold { calls: count, target: *target, how })
}

impl Upcall<'_> {
    /// Returns true if a key has the attributes that request_key(2) gives it for this request.
    fn describes(&self, found: &Described) -> bool {
        found.kind == self.asked.kind
            && self.is(&found.description, &self.asked.description)
            && (found.uid, found.gid) == (self.uid, self.uid)
            && usual_permissions(&found.kind) == Some(found.perm)
    }

    fn reads(&self, call: (&Op, &Outcome)) -> Option<()> {
        let callout = KeyRef::Special(Special::RequestKeyAuth);
        match call {
            (Op::Read { key }, Outcome::Ok(Value::Text(found)))
                if *key == callout && self.is(found, &self.asked.callout) =>
            {
                Some(())
            }
            _ => None,
        }
    }

    fn is(&self, found: &str, asked: &str) -> bool {
        (self.generalise)(&format!("{found:?}")) == format!("{asked:?}")
    }
}

/// Permissions of a key under construction. They depend on the operations of its type.
fn usual_permissions(kind: &str) -> Option<u32> {
    match kind {
        "user" => Some(0x3f01_0000),
        // Reading is not supported.
        "logon" => Some(0x3d01_0000),
        // Updates are not supported.
        "dns_resolver" => Some(0x3b01_0000),
        _ => None,
    }
}

fn answer(call: (&Op, &Outcome), target: i32) -> Option<Completion> {
    match call {
        (Op::Instantiate { key, payload: Payload::Text(payload), into: None }, Outcome::Ok(Value::None))
            if is(key, target) =>
        {
            Some(Completion::Answer(payload.clone()))
        }
        _ => None,
    }
}

fn rejection(call: (&Op, &Outcome), target: i32) -> Option<Completion> {
    match call {
        (Op::Reject { key, seconds, error, into: None }, Outcome::Ok(Value::None)) if is(key, target) => {
            Some(Completion::Rejection(error.clone(), *seconds))
        }
        _ => None,
    }
}

fn is(key: &KeyRef, target: i32) -> bool {
    *key == KeyRef::Serial(target)
}
