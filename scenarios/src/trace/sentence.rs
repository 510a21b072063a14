//! Operations in words.

use super::names::Names;
use crate::plan::{Caller, Condition, Forgery, KeyRef, Op, Payload, Registration};

/// What somebody does, as in `links k into @s`.
pub(super) fn of(op: &Op, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    let into =
        |into: &Option<KeyRef>| into.as_ref().map(|into| format!(", into {}", key(into))).unwrap_or_default();
    match op {
        Op::JoinSession { name: None } => "joins a new session".to_owned(),
        Op::JoinSession { name: Some(name) } => format!("joins session {name:?}"),
        Op::Keyring { key: k, create: true } => format!("makes sure of {}", key(k)),
        Op::Keyring { key: k, create: false } => format!("looks for {}", key(k)),
        Op::Clear { key: k } => format!("clears {}", key(k)),
        Op::Link { key: k, into } => format!("links {} into {}", key(k), key(into)),
        Op::Unlink { key: k, from } => format!("unlinks {} from {}", key(k), key(from)),
        Op::Move { key: k, from, into } => format!("moves {} from {} into {}", key(k), key(from), key(into)),
        Op::Restrict { key: k } => format!("restricts {}", key(k)),
        Op::Add { kind, description, payload: p, into } => {
            format!("adds {kind} {description:?} with {}, into {}", payload(p), key(into))
        }
        Op::Register { kind, with, into, by } => {
            format!("registers for {kind:?} with {}, into {}{}", registration(with), key(into), caller(*by))
        }
        Op::Request { kind, description, callout, into: to, alarm_ms } => {
            let callout = callout.as_ref().map(|text| format!(" with callout {text:?}")).unwrap_or_default();
            let alarm = alarm_ms.map(|ms| format!(", for at most {ms} ms")).unwrap_or_default();
            format!("requests {kind} {description:?}{callout}{}{alarm}", into(to))
        }
        Op::Search { key: k, kind, description, into: to } => {
            format!("searches {} for {kind} {description:?}{}", key(k), into(to))
        }
        Op::Describe { key: k } => format!("describes {}", key(k)),
        Op::Read { key: k } => format!("reads {}", key(k)),
        Op::Update { key: k, payload: p } => format!("updates {} with {}", key(k), payload(p)),
        Op::Setperm { key: k, perm } => format!("sets the permissions of {} to {perm:#010x}", key(k)),
        Op::Chown { key: k, uid, gid } => format!("gives {} to {}", key(k), owner(*uid, *gid)),
        Op::SetTimeout { key: k, seconds } => format!("lets {} expire in {seconds} s", key(k)),
        Op::Revoke { key: k } => format!("revokes {}", key(k)),
        Op::Invalidate { key: k } => format!("invalidates {}", key(k)),
        Op::GetSecurity { key: k } => format!("asks for the security label of {}", key(k)),
        Op::Watch { key: k } => format!("watches {}", key(k)),
        Op::Notifications {} => "takes its notifications".to_owned(),
        Op::Capabilities {} => "asks what keyctl can do".to_owned(),
        Op::Assume { key: Some(k) } => format!("assumes authority over {}", key(k)),
        Op::Assume { key: None } => "gives authority up".to_owned(),
        Op::Instantiate { key: k, payload: p, into: to } => {
            format!("instantiates {} with {}{}", key(k), payload(p), into(to))
        }
        Op::Negate { key: k, seconds, into: to } => format!("negates {} for {seconds} s{}", key(k), into(to)),
        Op::Reject { key: k, seconds, error, into: to } => {
            format!("rejects {} with {error} for {seconds} s{}", key(k), into(to))
        }
        Op::Answer { payload, into: to } => format!("answers with {payload:?}{}", into(to)),
        Op::Deny { error, seconds, into: to } => format!("denies with {error} for {seconds} s{}", into(to)),
        _ => of_life(op, &key),
    }
}

/// What somebody does that is not about keys.
fn of_life(op: &Op, key: &dyn Fn(&KeyRef) -> String) -> String {
    match op {
        Op::Signal { to, signal } => format!("sends {signal} to {to}"),
        Op::Forge { to, by, signal, code, value } => {
            let value = value.as_ref().map(|value| format!(" for {}", key(value))).unwrap_or_default();
            format!("forges {signal} with si_code {code}{value} to {to} by {}", forgery(*by))
        }
        Op::TakeSignals {} => "takes its signals".to_owned(),
        Op::Exit { code } => format!("exits with {code}"),
        Op::Exec { setuid: None } => "execs".to_owned(),
        Op::Exec { setuid: Some(uid) } => format!("execs a set-user-id program of user {uid}"),
        Op::LeaveLeader {} => "goes on in another thread, and lets its leader end".to_owned(),
        Op::Become { uid, gid, capabilities } => {
            let capabilities = match capabilities.as_deref() {
                None => String::new(),
                Some([]) => " without capabilities".to_owned(),
                Some(names) => format!(" with only {}", names.join(", ")),
            };
            format!("becomes {}{capabilities}", owner(*uid, *gid))
        }
        Op::SetDumpable { dumpable: true } => "becomes dumpable".to_owned(),
        Op::SetDumpable { dumpable: false } => "becomes undumpable".to_owned(),
        Op::Run { command } => format!("runs {}", command.join(" ")),
        Op::ProcKeys { kind: None } => "reads /proc/keys".to_owned(),
        Op::ProcKeys { kind: Some(kind) } => format!("reads /proc/keys for {kind}"),
        Op::Trace {} => "reads the trace".to_owned(),
        Op::KeyUsers { uid } => format!("reads /proc/key-users for {uid}"),
        Op::Start {} => "starts".to_owned(),
        Op::Reap {} => "is reaped".to_owned(),
        Op::Wait { until, .. } => condition(until, key),
        Op::Await { job, .. } => format!("waits for the end of {job}"),
        // Everything else is about keys.
        _ => String::new(),
    }
}

fn condition(until: &Condition, key: &dyn Fn(&KeyRef) -> String) -> String {
    match until {
        Condition::Upcalls(count) => format!("has got {count} upcalls"),
        Condition::Signals(count) => format!("has {count} signals pending"),
        Condition::Blocked(job) => format!("waits until {job} is blocked"),
        Condition::Stopped => "is stopped".to_owned(),
        Condition::Ended => "has ended".to_owned(),
        Condition::Gone(gone) => format!("waits until {} is gone", key(gone)),
        Condition::Shows { key: shown, text } => format!("waits until {} shows {text:?}", key(shown)),
        Condition::Traced(count) => format!("waits until {count} events are traced"),
    }
}

fn key_name(key: &KeyRef, names: &Names) -> String {
    match key {
        KeyRef::Serial(serial) if *serial > 0 => names.key(*serial).to_owned(),
        KeyRef::Serial(0) => "nothing".to_owned(),
        KeyRef::Serial(serial) => crate::key_ref::Special::from_id(*serial)
            .map_or_else(|| "no keyring".to_owned(), |it| it.name().to_owned()),
        KeyRef::Target => "the target".to_owned(),
        KeyRef::Authkey => "the authkey".to_owned(),
        _ => key.to_string(),
    }
}

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Text(text) => format!("{text:?}"),
        Payload::Hex { hex } => format!("bytes {hex}"),
        Payload::Fill { fill } => format!("{fill} bytes"),
        Payload::Null { null } => format!("{null} bytes at NULL"),
    }
}

fn registration(with: &Registration) -> String {
    match with {
        Registration::Signal { signal } => super::answer::signal(i32::try_from(*signal).unwrap_or(-1)),
        Registration::Params { params } => format!(
            "signal {}, flags {:#x}, timeout_ms {}, reserved {}",
            params.signal, params.flags, params.timeout_ms, params.reserved
        ),
        Registration::Raw { raw } => payload(raw),
    }
}

fn owner(uid: Option<u32>, gid: Option<u32>) -> String {
    match (uid, gid) {
        (Some(uid), Some(gid)) => format!("user {uid} and group {gid}"),
        (Some(uid), None) => format!("user {uid}"),
        (None, Some(gid)) => format!("group {gid}"),
        (None, None) => "nobody else".to_owned(),
    }
}

fn caller(by: Caller) -> &'static str {
    match by {
        Caller::Itself => "",
        Caller::Thread => ", by a thread that ends then",
        Caller::Compat => ", as a 32-bit program",
    }
}

fn forgery(by: Forgery) -> &'static str {
    match by {
        Forgery::Sigqueueinfo => "rt_sigqueueinfo",
        Forgery::Tgsigqueueinfo => "rt_tgsigqueueinfo",
        Forgery::Pidfd => "pidfd_send_signal",
    }
}
