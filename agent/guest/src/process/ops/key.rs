//! Operations on keys.

use std::ffi::CStr;
use std::time::Duration;

use nix::errno::Errno;
use scenarios::op::Params;
use scenarios::plan::{Caller, Op, Payload, Registration};
use scenarios::wire::{Described, Outcome, Value};

use super::{OpResult, Skip, bytes, done, hex, misplaced, outcome, serial, text};
use crate::keyring::watch_queue::WatchQueue;
use crate::keyring::{self, KeySerial};
use crate::process::{Cause, PlanProcess, thread};
use crate::sys::signals::Alarm;

impl PlanProcess<'_> {
    pub(super) fn key_op(&mut self, op: &Op, cause: Cause) -> OpResult {
        let key = |key| self.key(key, cause);
        Ok(match op {
            Op::Add { kind, description, payload, into } => {
                add(keyring::add_key, kind, description, payload, key(into)?)?
            }
            Op::Register { kind, with, into, by } => register(kind, &registration(with), key(into)?, *by)?,
            Op::Request { kind, description, callout, into, alarm_ms, restart } => {
                let (kind, description) = (text(kind)?, text(description)?);
                let callout = callout.as_deref().map(text).transpose()?;
                let into = self.destination(into.as_ref(), cause)?;
                let alarm =
                    alarm_ms.map(|delay| Alarm::after(Duration::from_millis(delay), *restart)).transpose();
                let found = alarm
                    .and_then(|_alarm| keyring::request_key(&kind, &description, callout.as_deref(), into));
                serial(found)
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
            Op::Setperm { key: which, perm } => done(keyring::set_permissions(key(which)?, perm.mask())),
            Op::Chown { key: which, uid, gid } => done(keyring::chown(key(which)?, *uid, *gid)),
            Op::SetTimeout { key: which, seconds } => done(keyring::set_timeout(key(which)?, *seconds)),
            Op::Revoke { key: which } => done(keyring::revoke(key(which)?)),
            Op::Invalidate { key: which } => done(keyring::invalidate(key(which)?)),
            Op::GetSecurity { key: which } => outcome(keyring::security_label(key(which)?), Value::Text),
            Op::Watch { key: which } => {
                let which = key(which)?;
                done(self.watch_queue().and_then(|queue| queue.watch(which)))
            }
            Op::Notifications {} => outcome(self.watch_queue().map(WatchQueue::take), Value::Notifications),
            Op::Capabilities {} => outcome(keyring::capabilities(), |bits| Value::Hex(hex(&bits))),
            _ => misplaced(op),
        })
    }

    fn watch_queue(&mut self) -> Result<&mut WatchQueue, Errno> {
        let queue = match self.watch.take() {
            Some(queue) => queue,
            None => WatchQueue::new()?,
        };
        Ok(self.watch.insert(queue))
    }
}

/// The system call interface of add_key(2).
type AddKey = fn(&CStr, &CStr, keyring::Payload<'_>, KeySerial) -> Result<KeySerial, Errno>;

fn add(call: AddKey, kind: &str, description: &str, payload: &Payload, into: KeySerial) -> OpResult {
    let (kind, description) = (text(kind)?, text(description)?);
    let given = match payload {
        Payload::Null { null } => Err(*null),
        _ => Ok(bytes(payload)?.unwrap_or_default()),
    };
    Ok(serial(call(&kind, &description, given.as_deref().map_err(|length| *length), into)))
}

fn register(kind: &str, payload: &Payload, into: KeySerial, by: Caller) -> OpResult {
    let register = |call: AddKey| add(call, "keyagent", kind, payload, into);
    match by {
        Caller::Itself => register(keyring::add_key),
        Caller::Thread => thread::run_in_thread(|| register(keyring::add_key)),
        Caller::Compat => register(keyring::add_key_compat),
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

fn describe(key: KeySerial) -> Outcome {
    let described = keyring::describe(key).and_then(|text| parse_description(&text).ok_or(Errno::EBADMSG));
    outcome(described, Value::Described)
}

/// Parses `type;uid;gid;perm;description`.
fn parse_description(text: &str) -> Option<Described> {
    let mut fields = text.splitn(5, ';');
    Some(Described {
        kind: fields.next()?.to_owned(),
        // The kernel prints an id without a mapping as -1.
        uid: fields.next()?.parse::<i64>().ok()? as u32,
        gid: fields.next()?.parse::<i64>().ok()? as u32,
        perm: u32::from_str_radix(fields.next()?, 16).ok()?,
        description: fields.next()?.to_owned(),
    })
}

fn read(key: KeySerial) -> Outcome {
    let is_keyring = keyring::describe(key).is_ok_and(|description| description.starts_with("keyring;"));
    if is_keyring {
        let serials = |keys: Vec<KeySerial>| keys.into_iter().map(|key| key.0).collect();
        return outcome(keyring::members(key), |keys| Value::Keyring(serials(keys)));
    }
    outcome(keyring::read(key), |payload| match String::from_utf8(payload) {
        Ok(text) if !text.chars().any(char::is_control) => Value::Text(text),
        Ok(text) => Value::Hex(hex(text.as_bytes())),
        Err(error) => Value::Hex(hex(error.as_bytes())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_may_contain_semicolons() {
        let described = parse_description("user;0;-1;3f010000;a;b").unwrap();
        assert_eq!((described.gid, described.perm), (u32::MAX, 0x3f01_0000));
        assert_eq!(described.description, "a;b");
    }
}
