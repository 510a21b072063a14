//! Operations on keys.

use std::ffi::CStr;
use std::time::Duration;

use keyring::{Change, KeyId, KeySerial, Permissions, WatchQueue};
use scenarios::op::Params;
use scenarios::plan::{Caller, Op, Payload, Registration};
use scenarios::wire::{Described, Notification, Outcome, Value};

use super::{OpResult, Skip, bytes, done, hex, misplaced, outcome, serial, text};
use crate::process::keyagent::WATCH_QUEUE_SIZE;
use crate::process::{Cause, PlanProcess, thread};
use crate::raw_add_key::{self, add_key, add_key_compat};
use crate::sys::signals::Alarm;

impl PlanProcess<'_> {
    pub(super) fn key_op(&mut self, op: &Op, cause: Cause) -> OpResult {
        let key = |key| self.key(key, cause);
        Ok(match op {
            Op::Add { kind, description, payload, into } => {
                add(add_key, kind, description, payload, key(into)?)?
            }
            Op::Register { kind, with, into, by } => register(kind, &registration(with), key(into)?, *by)?,
            Op::Request { kind, description, callout, into, alarm_ms, restart } => {
                let (kind, description) = (text(kind)?, text(description)?);
                let callout = callout.as_deref().map(text).transpose()?;
                let into = self.destination(into.as_ref(), cause)?;
                let alarm =
                    alarm_ms.map(|delay| Alarm::after(Duration::from_millis(delay), *restart)).transpose();
                match alarm {
                    Ok(_alarm) => serial(keyring::request_key(&kind, &description, callout.as_deref(), into)),
                    Err(errno) => outcome(Err(errno), |()| Value::None),
                }
            }
            Op::Search { key: which, kind, description, into } => {
                let into = self.destination(into.as_ref(), cause)?;
                serial(keyring::search(key(which)?, &text(kind)?, &text(description)?, into))
            }
            Op::Describe { key: which } => describe(key(which)?),
            Op::Read { key: which } => read(key(which)?),
            Op::Update { key: which, payload } => match bytes(payload)? {
                Some(bytes) => done(keyring::update(key(which)?, &bytes)),
                None => return Err(Skip("a key can't be updated from null".to_owned())),
            },
            Op::Setperm { key: which, perm } => {
                done(keyring::set_permissions(key(which)?, Permissions::from_mask(perm.mask())))
            }
            Op::Chown { key: which, uid, gid } => done(keyring::chown(key(which)?, *uid, *gid)),
            Op::SetTimeout { key: which, seconds } => done(keyring::set_timeout(key(which)?, *seconds)),
            Op::Revoke { key: which } => done(keyring::revoke(key(which)?)),
            Op::Invalidate { key: which } => done(keyring::invalidate(key(which)?)),
            Op::GetSecurity { key: which } => outcome(keyring::security_label(key(which)?), text_of),
            Op::Watch { key: which } => {
                let which = key(which)?;
                done(self.watch_queue().and_then(|queue| queue.watch(which)))
            }
            Op::Notifications {} => {
                let taken = self.watch_queue().and_then(|queue| queue.take());
                outcome(taken, |taken| {
                    Value::Notifications(taken.into_iter().filter_map(notification).collect())
                })
            }
            Op::Capabilities {} => {
                outcome(keyring::capabilities(), |bits| Value::Hex(hex(&bits.bits().to_le_bytes())))
            }
            _ => misplaced(op),
        })
    }

    fn watch_queue(&mut self) -> keyring::Result<&mut WatchQueue> {
        let queue = match self.watch.take() {
            Some(queue) => queue,
            None => WatchQueue::new(WATCH_QUEUE_SIZE)?,
        };
        Ok(self.watch.insert(queue))
    }
}

/// The system call interface of add_key(2).
type AddKey = fn(&CStr, &CStr, raw_add_key::Payload<'_>, KeyId) -> keyring::Result<KeySerial>;

fn add(call: AddKey, kind: &str, description: &str, payload: &Payload, into: KeyId) -> OpResult {
    let (kind, description) = (text(kind)?, text(description)?);
    let given = match payload {
        Payload::Null { null } => Err(*null),
        _ => Ok(bytes(payload)?.unwrap_or_default()),
    };
    Ok(serial(call(&kind, &description, given.as_deref().map_err(|length| *length), into)))
}

fn register(kind: &str, payload: &Payload, into: KeyId, by: Caller) -> OpResult {
    let register = |call: AddKey| add(call, "keyagent", kind, payload, into);
    match by {
        Caller::Itself => register(add_key),
        Caller::Thread => thread::run_in_thread(|| register(add_key)),
        Caller::Compat => register(add_key_compat),
    }
}

fn registration(with: &Registration) -> Payload {
    let words = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Payload::Hex { hex: hex(&bytes) }
    };
    match with {
        Registration::Signal { signal } => words(&[*signal]),
        Registration::Params { params: Params { signal, flags, timeout_ms, window } } => {
            words(&[*signal, *flags, *timeout_ms, *window])
        }
        Registration::Raw { raw } => raw.clone(),
    }
}

fn describe(key: KeyId) -> Outcome {
    outcome(keyring::describe(key), |key| {
        Value::Described(Described {
            kind: key.kind,
            uid: key.uid,
            gid: key.gid,
            perm: key.permissions.to_mask(),
            description: lossy(&key.description),
        })
    })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text_of(bytes: Vec<u8>) -> Value {
    Value::Text(lossy(&bytes))
}

/// A notification in a trace. Those about watched keys that no longer exist are left out.
fn notification(notification: keyring::Notification) -> Option<Notification> {
    let (subtype, key, aux) = match notification {
        keyring::Notification::Removed => return None,
        keyring::Notification::Lost => ("lost", 0, 0),
        keyring::Notification::Key { key, change } => {
            let (subtype, aux) = match change {
                Change::Instantiated(error) => ("instantiated", error),
                Change::Updated => ("updated", 0),
                Change::Linked(linked) => ("linked", linked.get()),
                Change::Unlinked(unlinked) => ("unlinked", unlinked.get()),
                Change::Cleared => ("cleared", 0),
                Change::Revoked => ("revoked", 0),
                Change::Invalidated => ("invalidated", 0),
                Change::Setattr => ("setattr", 0),
                Change::Other(_, aux) => ("unknown", aux.cast_signed()),
            };
            (subtype, key.get(), aux)
        }
    };
    Some(Notification { subtype: subtype.to_owned(), key, aux: aux.into() })
}

fn read(key: KeyId) -> Outcome {
    let is_keyring = keyring::describe(key).is_ok_and(|key| key.kind == "keyring");
    if is_keyring {
        let serials = |keys: Vec<KeySerial>| keys.into_iter().map(KeySerial::get).collect();
        return outcome(keyring::members(key), |keys| Value::Keyring(serials(keys)));
    }
    outcome(keyring::read(key), |payload| match String::from_utf8(payload) {
        Ok(text) if !text.chars().any(char::is_control) => Value::Text(text),
        Ok(text) => Value::Hex(hex(text.as_bytes())),
        Err(error) => Value::Hex(hex(error.as_bytes())),
    })
}
