//! Carries out operations: each makes its call and says what the kernel answered.

use std::ffi::CString;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use scenarios::op::Params;
use scenarios::plan::{Caller, KeyRef, Op, Payload, Registration, Special as ShortName};
use scenarios::wire::{Described, Outcome, Value, What};

use super::person::Person;
use super::{Actor, Cause, birth, thread};
use crate::keyring::{self, Errno, KeySerial};
use crate::post::errno_name;
use crate::signals::{self, Alarm};
use crate::watch_queue::WatchQueue;
use crate::{procfs, tracing};

/// What the kernel said to a call.
pub(super) fn outcome<T>(answer: Result<T, Errno>, value: impl FnOnce(T) -> Value) -> Outcome {
    match answer {
        Ok(given) => Outcome::Ok(value(given)),
        Err(errno) => Outcome::Error(errno_name(errno)),
    }
}

fn done(answer: Result<(), Errno>) -> Outcome {
    outcome(answer, |()| Value::None)
}

fn serial(answer: Result<KeySerial, Errno>) -> Outcome {
    outcome(answer, |key| Value::Serial(key.0))
}

/// Something that an operation names is not there, or is not a thing at all.
pub(super) struct Missing(String);

type Tried = Result<Outcome, Missing>;

impl Actor<'_> {
    /// Carries out an operation. `pids` are of those that a signal goes to.
    pub(super) fn perform(&mut self, op: &Op, pids: &[i32], cause: Cause) -> Outcome {
        match self.try_to(op, pids, cause) {
            Ok(outcome) => outcome,
            Err(Missing(what)) => Outcome::Skipped(what),
        }
    }

    fn try_to(&mut self, op: &Op, pids: &[i32], cause: Cause) -> Tried {
        match op {
            Op::JoinSession { .. }
            | Op::Keyring { .. }
            | Op::Clear { .. }
            | Op::Link { .. }
            | Op::Unlink { .. }
            | Op::Move { .. }
            | Op::Restrict { .. } => self.on_keyring(op, cause),
            Op::Assume { .. } | Op::Instantiate { .. } | Op::Negate { .. } | Op::Reject { .. } => {
                self.with_authority(op, cause)
            }
            Op::Answer { .. } | Op::Deny { .. } => Ok(self.meet(op, cause)),
            Op::Signal { .. } | Op::Forge { .. } | Op::TakeSignals {} => self.on_signals(op, pids, cause),
            Op::Exit { .. }
            | Op::Exec { .. }
            | Op::LeaveLeader {}
            | Op::Become { .. }
            | Op::SetDumpable { .. }
            | Op::Run { .. } => Ok(self.on_itself(op, cause)),
            Op::ProcKeys { .. } | Op::KeyUsers { .. } | Op::Trace {} => Ok(self.look_on(op)),
            Op::Start {} | Op::Reap {} | Op::Wait { .. } | Op::Await { .. } => {
                Err(Missing("this is for PID 1 to do".to_owned()))
            }
            _ => self.on_key(op, cause),
        }
    }

    fn on_keyring(&mut self, op: &Op, cause: Cause) -> Tried {
        let key = |key| self.key(key, cause);
        Ok(match op {
            Op::JoinSession { name } => {
                let name = name.as_deref().map(text).transpose()?;
                let joined = keyring::join_session_keyring(name.as_deref());
                self.heritage.session = joined.ok().or(self.heritage.session);
                serial(joined)
            }
            Op::Keyring { key: which, create } => serial(keyring::get_keyring_id(key(which)?, *create)),
            Op::Clear { key: which } => done(keyring::clear(key(which)?)),
            Op::Link { key: which, into } => done(keyring::link(key(which)?, key(into)?)),
            Op::Unlink { key: which, from } => done(keyring::unlink(key(which)?, key(from)?)),
            Op::Move { key: which, from, into } => {
                done(keyring::move_link(key(which)?, key(from)?, key(into)?, false))
            }
            Op::Restrict { key: which } => done(keyring::restrict(key(which)?, None, None)),
            _ => return Err(Missing("not about a keyring".to_owned())),
        })
    }

    fn on_key(&mut self, op: &Op, cause: Cause) -> Tried {
        let key = |key| self.key(key, cause);
        Ok(match op {
            Op::Add { kind, description, payload, into } => add(kind, description, payload, key(into)?)?,
            Op::Register { kind, with, into, by } => register(kind, &registration(with), key(into)?, *by)?,
            Op::Request { kind, description, callout, into, alarm_ms } => {
                let (kind, description) = (text(kind)?, text(description)?);
                let callout = callout.as_deref().map(text).transpose()?;
                let into = self.destination(into.as_ref(), cause)?;
                let alarm = alarm_ms.map(|delay| Alarm::after(Duration::from_millis(delay))).transpose();
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
                None => return Err(Missing("a key can't be updated from null".to_owned())),
            },
            Op::Setperm { key: which, perm } => done(keyring::set_permissions(key(which)?, *perm)),
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
            _ => return Err(Missing("not about a key".to_owned())),
        })
    }

    fn with_authority(&mut self, op: &Op, cause: Cause) -> Tried {
        let (target, answer) = match op {
            Op::Assume { key } => {
                let key = key.as_ref().map_or(Ok(KeySerial::NONE), |key| self.key(key, cause))?;
                return Ok(outcome(keyring::assume_authority(key), |authkey| match authkey {
                    KeySerial::NONE => Value::None,
                    authkey => Value::Serial(authkey.0),
                }));
            }
            Op::Instantiate { key, payload, into } => {
                let (key, into) = (self.key(key, cause)?, self.destination(into.as_ref(), cause)?);
                let payload = bytes(payload)?.ok_or_else(|| Missing("no payload at null".to_owned()))?;
                (key, keyring::instantiate(key, &payload, into))
            }
            Op::Negate { key, seconds, into } => {
                let (key, into) = (self.key(key, cause)?, self.destination(into.as_ref(), cause)?);
                (key, keyring::negate(key, *seconds, into))
            }
            Op::Reject { key, seconds, error, into } => {
                let (key, into) = (self.key(key, cause)?, self.destination(into.as_ref(), cause)?);
                let error =
                    scenarios::errno::number(error).ok_or_else(|| Missing(format!("no errno {error}")))?;
                (key, keyring::reject(key, *seconds, Errno::from_raw(error), into))
            }
            _ => return Err(Missing("not about authority".to_owned())),
        };
        if let (Ok(()), Some(agent)) = (answer, &mut self.agent) {
            agent.let_go(target.0);
        }
        Ok(done(answer))
    }

    fn on_signals(&mut self, op: &Op, pids: &[i32], cause: Cause) -> Tried {
        Ok(match op {
            Op::Signal { signal, .. } => {
                let signal = signal_number(signal)?;
                done(pids.iter().try_for_each(|pid| signals::send(*pid, signal)))
            }
            Op::Forge { by, signal, code, value, .. } => {
                let signal = signal_number(signal)?;
                let value = self.destination(value.as_ref(), cause)?.0;
                done(pids.iter().try_for_each(|pid| signals::forge(*by, *pid, signal, *code, value)))
            }
            _ => {
                let taken = std::iter::from_fn(|| self.signals.take()).collect();
                Outcome::Ok(Value::Signals(taken))
            }
        })
    }

    fn on_itself(&mut self, op: &Op, cause: Cause) -> Outcome {
        match op {
            Op::Exit { code } => {
                let done = self.at_once(Outcome::Ok(Value::None));
                let op = op.clone();
                self.tell(
                    cause,
                    if cause.step.is_some() { What::Done(done) } else { What::Called { op, done } },
                );
                birth::quit(*code)
            }
            Op::Exec { setuid } => done(Err(self.execute(*setuid, cause))),
            Op::LeaveLeader {} => done(Err(self.leave_leader(cause))),
            Op::Become { uid, gid, capabilities } => {
                let person = Person { uid: *uid, gid: *gid, capabilities: capabilities.as_deref() };
                done(person.assume())
            }
            Op::SetDumpable { dumpable } => done(prctl::set_dumpable(*dumpable)),
            Op::Run { command } => run(command),
            _ => Outcome::Skipped("not about the process itself".to_owned()),
        }
    }

    fn look_on(&self, op: &Op) -> Outcome {
        let answer = match op {
            Op::ProcKeys { kind } => procfs::keys().map(|keys| {
                let before = &self.heritage.setting.before;
                let wanted =
                    keys.into_iter().filter(|key| kind.as_ref().is_none_or(|kind| *kind == key.kind));
                Value::ProcKeys(wanted.filter(|key| !before.contains(&key.serial)).collect())
            }),
            Op::Trace {} => tracing::records().map(Value::Trace),
            Op::KeyUsers { uid } => procfs::key_users().and_then(|users| {
                let line = users.into_iter().find(|user| user.uid == *uid);
                line.map(Value::KeyUser).ok_or_else(|| std::io::Error::from(Errno::ENOENT))
            }),
            _ => return Outcome::Skipped("not about looking on".to_owned()),
        };
        outcome(answer.map_err(|why| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw)), |value| value)
    }

    /// The serial that a name stands for, here and now.
    pub(super) fn key(&self, key: &KeyRef, cause: Cause) -> Result<KeySerial, Missing> {
        let missing = || Missing(key.to_string());
        match key {
            KeyRef::Special(ShortName::Session) if self.heritage.session.is_none() => {
                // The kernel installs the user's session keyring upon this.
                Ok(KeySerial(ShortName::Session.id()))
            }
            KeyRef::Special(special) => Ok(KeySerial(special.id())),
            KeyRef::Serial(serial) => Ok(KeySerial(*serial)),
            KeyRef::Target => self.target(cause).map(KeySerial).ok_or_else(missing),
            KeyRef::Authkey => self.target(cause).and_then(|target| self.authkey(target)).ok_or_else(missing),
            KeyRef::Variable(_) | KeyRef::Of(..) => Err(missing()),
        }
    }

    fn destination(&self, key: Option<&KeyRef>, cause: Cause) -> Result<KeySerial, Missing> {
        key.map_or(Ok(KeySerial::NONE), |key| self.key(key, cause))
    }

    fn watch_queue(&mut self) -> Result<&mut WatchQueue, Errno> {
        let queue = match self.watch.take() {
            Some(queue) => queue,
            None => WatchQueue::new()?,
        };
        Ok(self.watch.insert(queue))
    }
}

fn text(text: &str) -> Result<CString, Missing> {
    CString::new(text).map_err(|_| Missing(format!("{text:?} holds a NUL")))
}

fn signal_number(name: &str) -> Result<i32, Missing> {
    signals::number(name).ok_or_else(|| Missing(format!("no signal {name}")))
}

fn add(kind: &str, description: &str, payload: &Payload, into: KeySerial) -> Tried {
    let (kind, description) = (text(kind)?, text(description)?);
    if let Payload::Null { null } = payload {
        return Ok(serial(keyring::add_key_null(&kind, &description, *null as usize, into)));
    }
    Ok(serial(keyring::add_key(&kind, Some(&description), bytes(payload)?.as_deref(), into)))
}

fn register(kind: &str, payload: &Payload, into: KeySerial, by: Caller) -> Tried {
    let description = text(kind)?;
    match by {
        Caller::Itself => add("keyagent", kind, payload, into),
        Caller::Thread => thread::run(|| add("keyagent", kind, payload, into)),
        Caller::Compat => {
            let given = match payload {
                Payload::Null { null } => Err(*null),
                _ => Ok(bytes(payload)?.unwrap_or_default()),
            };
            let given = given.as_deref().map_err(|length| *length);
            Ok(serial(keyring::add_key_compat(c"keyagent", &description, given, into)))
        }
    }
}

/// The bytes of a payload; none are at NULL. An empty one is passed as such, with an address.
fn bytes(payload: &Payload) -> Result<Option<Vec<u8>>, Missing> {
    Ok(match payload {
        Payload::Text(text) => Some(text.clone().into_bytes()),
        Payload::Hex { hex } => {
            Some(unhex(hex).ok_or_else(|| Missing(format!("{hex:?} is not hexadecimal")))?)
        }
        Payload::Fill { fill } => Some(vec![b'x'; *fill as usize]),
        Payload::Null { .. } => None,
    })
}

fn registration(with: &Registration) -> Payload {
    let words = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Payload::Hex { hex: hex(&bytes) }
    };
    match with {
        Registration::Signal { signal } => words(&[*signal]),
        Registration::Params { params: Params { signal, flags, timeout_ms, reserved } } => {
            words(&[*signal, *flags, *timeout_ms, *reserved])
        }
        Registration::Raw { raw } => raw.clone(),
    }
}

fn describe(key: KeySerial) -> Outcome {
    let described = keyring::describe(key).and_then(|text| parse_description(&text).ok_or(Errno::EBADMSG));
    outcome(described, Value::Described)
}

/// `type;uid;gid;perm;description`.
fn parse_description(text: &str) -> Option<Described> {
    let mut fields = text.splitn(5, ';');
    Some(Described {
        kind: fields.next()?.to_owned(),
        // An id that has no name here is printed as -1.
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// Runs a command; what it prints on both outputs comes back in one piece.
fn run(command: &[String]) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let Some((program, arguments)) = command.split_first() else {
        return Outcome::Skipped("no command".to_owned());
    };
    let ran = std::io::pipe().and_then(|(mut reader, writer)| {
        let mut child = Command::new(program)
            .args(arguments)
            .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        let mut output = String::new();
        let read = std::io::Read::read_to_string(&mut reader, &mut output);
        let status = child.wait()?;
        read.map(|_| (status, output))
    });
    match ran {
        Ok((status, output)) => {
            let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            let output = output.strip_suffix('\n').unwrap_or(&output).to_owned();
            Outcome::Ok(Value::Command { status, output })
        }
        Err(why) => Outcome::Error(errno_name(why.raw_os_error().map_or(Errno::EIO, Errno::from_raw))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_may_hold_semicolons() {
        let described = parse_description("user;0;-1;3f010000;a;b").unwrap();
        assert_eq!((described.gid, described.perm), (u32::MAX, 0x3f01_0000));
        assert_eq!(described.description, "a;b");
    }

    #[test]
    fn odd_digits_are_not_bytes() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        assert_eq!(unhex("00f"), None);
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn a_command_gives_its_output_and_its_status() {
        let command = ["sh", "-c", "echo out; echo err >&2; exit 3"].map(str::to_owned);
        let output = "out\nerr".to_owned();
        assert_eq!(run(&command), Outcome::Ok(Value::Command { status: 3, output }));
    }
}
