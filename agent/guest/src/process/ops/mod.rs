//! Operations: each makes its system calls and returns the kernel's result.

mod authority;
mod inspect;
mod key;
mod keyring;
mod namespace;
mod nested;
mod process;
mod signal;
mod suspend;
mod system;

use std::ffi::CString;
use std::io;

use ::keyring::{KeyId, KeySerial};
use scenarios::plan::{Group, KeyRef, Op, Payload};
use scenarios::wire::{Outcome, Value};

use super::{Cause, PlanProcess};
use crate::sys::errno;

pub(super) fn outcome<T, E: Into<io::Error>>(
    answer: Result<T, E>,
    value: impl FnOnce(T) -> Value,
) -> Outcome {
    match answer {
        Ok(given) => Outcome::Ok(value(given)),
        Err(errno) => Outcome::Error(errno::name(errno)),
    }
}

fn done(answer: Result<(), impl Into<io::Error>>) -> Outcome {
    outcome(answer, |()| Value::None)
}

fn serial(answer: Result<KeySerial, impl Into<io::Error>>) -> Outcome {
    outcome(answer, |key| Value::Serial(key.get()))
}

/// Reason for skipping an operation: it names something that is missing or invalid.
pub(super) struct Skip(String);

type OpResult = Result<Outcome, Skip>;

impl PlanProcess<'_> {
    /// Runs an operation. `pids` are those of its receivers.
    pub(super) fn run_op(&mut self, op: &Op, pids: &[i32], cause: Cause) -> Outcome {
        match self.try_op(op, pids, cause) {
            Ok(outcome) => outcome,
            Err(Skip(what)) => Outcome::Skipped(what),
        }
    }

    fn try_op(&mut self, op: &Op, pids: &[i32], cause: Cause) -> OpResult {
        match op.group() {
            Group::Keyring => self.keyring_op(op, cause),
            Group::Key => self.key_op(op, cause),
            Group::Authority => self.authority_op(op, cause),
            Group::Upcall => Ok(self.complete_upcall(op, cause)),
            Group::Signal => self.signal_op(op, pids, cause),
            Group::Process => Ok(self.process_op(op, cause)),
            Group::Namespace => Ok(self.namespace_op(op, pids)),
            Group::System => system::system_op(op),
            Group::Inspect => Ok(self.inspect_op(op)),
            Group::Suspend => Ok(self.suspend_op(op, pids)),
            Group::Nested => self.nested_op(op, pids, cause),
            Group::Control => Err(Skip("only PID 1 can do this".to_owned())),
        }
    }

    /// The serial that a key reference has now.
    pub(super) fn key(&self, key: &KeyRef, cause: Cause) -> Result<KeyId, Skip> {
        let missing = || Skip(key.to_string());
        match key {
            KeyRef::Special(special) => Ok(KeyId::from_raw(special.id())),
            KeyRef::Serial(serial) => Ok(KeyId::from_raw(*serial)),
            KeyRef::Target => self.target(cause).map(KeyId::from_raw).ok_or_else(missing),
            KeyRef::Authkey => {
                let authkey = self.target(cause).and_then(|target| self.authkey(target));
                authkey.map(KeyId::from).ok_or_else(missing)
            }
            KeyRef::Variable(_) | KeyRef::Of(..) => Err(missing()),
        }
    }

    fn destination(&self, key: Option<&KeyRef>, cause: Cause) -> Result<Option<KeyId>, Skip> {
        key.map(|key| self.key(key, cause)).transpose()
    }
}

/// The outcome of an operation in the module of another group.
fn misplaced(op: &Op) -> Outcome {
    Outcome::Skipped(format!("the agent has no code for {op:?}"))
}

fn text(text: &str) -> Result<CString, Skip> {
    CString::new(text).map_err(|_| Skip(format!("{text:?} contains a NUL")))
}

/// A payload's bytes; `None` for a null pointer. An empty payload has an address.
fn bytes(payload: &Payload) -> Result<Option<Vec<u8>>, Skip> {
    Ok(match payload {
        Payload::Text(text) => Some(text.clone().into_bytes()),
        Payload::Hex { hex } => Some(digits(hex)?),
        Payload::Padded { hex, length } => {
            let mut bytes = digits(hex)?;
            bytes.resize(*length as usize, 0);
            Some(bytes)
        }
        Payload::Fill { fill } => Some(vec![b'x'; *fill as usize]),
        Payload::Null { .. } => None,
    })
}

fn digits(hex: &str) -> Result<Vec<u8>, Skip> {
    unhex(hex).ok_or_else(|| Skip(format!("{hex:?} is not hexadecimal")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_or_invalid_digits_are_refused() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        assert_eq!(unhex("00f"), None);
        assert_eq!(unhex("zz"), None);
    }
}
