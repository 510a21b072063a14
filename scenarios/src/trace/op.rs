//! English text of operations.

use super::{names::Names, process::namespaces};
use crate::plan::{
    Caller, Command, Condition, DefaultKeyring, Forgery, Group, Ids, KeyRef, Op, Params, Payload,
    REJECTED_SECONDS, Registration, Special,
};

/// Describes an operation, as in `links k into @s`.
pub(super) fn of(op: &Op, names: &Names) -> String {
    match op.group() {
        Group::Keyring => on_keyring(op, names),
        Group::Key => on_key(op, names),
        Group::Authority => with_authority(op, names),
        Group::Upcall => of_upcall(op, names),
        Group::Signal => on_signals(op, names),
        Group::Process => on_process(op),
        Group::Namespace => on_namespaces(op),
        Group::System => on_the_system(op),
        Group::Inspect => inspecting(op),
        Group::Suspend => suspending(op),
        Group::Nested => nested(op, names),
        Group::Control => of_control(op, names),
    }
}

/// Returns the text of an operation that has no sentence.
fn bare(op: &Op) -> String {
    format!("{op:?}")
}

fn nested(op: &Op, names: &Names) -> String {
    match op {
        Op::EachAllocation { of: op, before } => {
            let before = before.as_ref().map(|op| format!("{}; then, ", of(op, names))).unwrap_or_default();
            format!("{before}with each of its allocations failing in turn, {}", of(op, names))
        }
        Op::InThread { of: op } => format!("{}, in another thread", of(op, names)),
        _ => bare(op),
    }
}

fn on_keyring(op: &Op, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    match op {
        Op::JoinSession { name: None } => "joins a new session".to_owned(),
        Op::JoinSession { name: Some(name) } => format!("joins session {name:?}"),
        Op::Keyring { key: k, create: true } => format!("makes sure of {}", key(k)),
        Op::Keyring { key: k, create: false } => format!("looks for {}", key(k)),
        Op::Clear { key: k } => format!("clears {}", key(k)),
        Op::Link { key: k, into } => format!("links {} into {}", key(k), key(into)),
        Op::Unlink { key: k, from } => format!("unlinks {} from {}", key(k), key(from)),
        Op::Move { key: k, from, into } => {
            format!("moves {} from {} into {}", key(k), key(from), key(into))
        }
        Op::Restrict { key: k } => format!("restricts {}", key(k)),
        Op::DefaultKeyring { is } => format!("has {} by default", default_keyring(*is)),
        Op::SessionToParent {} => "gives its parent its session keyring".to_owned(),
        Op::Persistent { uid: Some(uid), into } => {
            format!("links the persistent keyring of user {uid} into {}", key(into))
        }
        Op::Persistent { uid: None, into } => {
            format!("links its persistent keyring into {}", key(into))
        }
        _ => bare(op),
    }
}

fn on_key(op: &Op, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    let into = |into: &Option<KeyRef>| destination(into.as_ref(), names);
    match op {
        Op::Add { kind, description, payload: p, into } => {
            let with = if *p == Payload::default() { String::new() } else { format!(" with {}", payload(p)) };
            format!("adds {kind} {description:?}{with}{}", unless_session(into, names))
        }
        Op::Register { kind, with, into, by } => {
            let into = unless_session(into, names);
            format!("registers for {kind:?}{}{into}{}", registration(with), caller(*by))
        }
        Op::Request { kind, description, callout, into: to, alarm_ms, restart } => {
            let callout = callout.as_ref().map(|text| format!(" with callout {text:?}")).unwrap_or_default();
            let interrupted = if *restart { "interrupted, and restarted, after" } else { "for at most" };
            let alarm = alarm_ms.map(|ms| format!(", {interrupted} {ms} ms")).unwrap_or_default();
            format!("requests {kind} {description:?}{callout}{}{alarm}", into(to))
        }
        Op::Search { key: k, kind, description, into: to } => {
            format!("searches {} for {kind} {description:?}{}", key(k), into(to))
        }
        Op::Describe { key: k } => format!("describes {}", key(k)),
        Op::Read { key: k } => format!("reads {}", key(k)),
        Op::Update { key: k, payload: p } => format!("updates {} with {}", key(k), payload(p)),
        Op::Setperm { key: k, perm } => format!("sets the permissions of {} to {perm}", key(k)),
        Op::Chown { key: k, uid, gid } => format!("gives {} to {}", key(k), owner(*uid, *gid)),
        Op::SetTimeout { key: k, seconds } => format!("lets {} expire in {seconds} s", key(k)),
        Op::Revoke { key: k } => format!("revokes {}", key(k)),
        Op::Invalidate { key: k } => format!("invalidates {}", key(k)),
        Op::GetSecurity { key: k } => format!("asks for the security label of {}", key(k)),
        Op::Watch { key: k } => format!("watches {}", key(k)),
        Op::Notifications {} => "takes its notifications".to_owned(),
        Op::Capabilities {} => "asks what keyctl can do".to_owned(),
        _ => bare(op),
    }
}

fn with_authority(op: &Op, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    let into = |into: &Option<KeyRef>| destination(into.as_ref(), names);
    match op {
        Op::Assume { key: Some(k) } => format!("assumes authority over {}", key(k)),
        Op::Assume { key: None } => "gives authority up".to_owned(),
        Op::Instantiate { key: k, payload: p, into: to } => {
            format!("instantiates {} with {}{}", key(k), payload(p), into(to))
        }
        Op::InstantiateIov { key: k, pieces, into: to } => {
            let pieces: Vec<String> = pieces.iter().map(payload).collect();
            format!("instantiates {} with {}{}", key(k), pieces.join(" and "), into(to))
        }
        Op::Negate { key: k, seconds, into: to } => {
            format!("negates {}{}{}", key(k), lasting(*seconds), into(to))
        }
        Op::Reject { key: k, seconds, error, into: to } => {
            format!("rejects {} with {error}{}{}", key(k), lasting(*seconds), into(to))
        }
        _ => bare(op),
    }
}

fn of_upcall(op: &Op, names: &Names) -> String {
    let into = |into: &Option<KeyRef>| destination(into.as_ref(), names);
    match op {
        Op::Answer { payload, into: to } => format!("answers with {payload:?}{}", into(to)),
        Op::Deny { error, seconds, into: to } => {
            format!("rejects with {error}{}{}", lasting(*seconds), into(to))
        }
        _ => bare(op),
    }
}

fn on_signals(op: &Op, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    match op {
        Op::Signal { to, signal } => format!("sends {signal} to {to}"),
        Op::Forge { to, by, signal, code, value } => {
            let value = value.as_ref().map(|value| format!(" for {}", key(value))).unwrap_or_default();
            format!("forges {signal} with si_code {code}{value} to {to} by {}", forgery(*by))
        }
        Op::TakeSignals {} => "takes its signals".to_owned(),
        _ => bare(op),
    }
}

fn on_process(op: &Op) -> String {
    match op {
        Op::Exit { code: 0 } => "exits".to_owned(),
        Op::Exit { code } => format!("exits with {code}"),
        Op::Exec { setuid: None } => "execs".to_owned(),
        Op::Exec { setuid: Some(uid) } => format!("execs a set-user-id program of user {uid}"),
        Op::Crash {} => "crashes".to_owned(),
        Op::LeaveLeader {} => "goes on in another thread, and lets its leader end".to_owned(),
        Op::Become { uid, gid, groups, capabilities, inheritable } => {
            let capabilities = match capabilities.as_deref() {
                None => String::new(),
                Some([]) => " without capabilities".to_owned(),
                Some(names) => format!(" with only {}", names.join(", ")),
            };
            let groups = groups.as_ref().map(|groups| format!(" in {}", list_of("group", groups)));
            let passed = if inheritable.is_empty() {
                String::new()
            } else {
                format!(", to pass on {}", inheritable.join(", "))
            };
            format!("becomes {}{}{capabilities}{passed}", person(*uid, *gid), groups.unwrap_or_default())
        }
        Op::Limit { rlimits } => {
            let limits = rlimits.iter().map(|(name, value)| format!("{name} to {value}"));
            format!("limits {}", limits.collect::<Vec<_>>().join(", "))
        }
        Op::SetDumpable { dumpable: true } => "becomes dumpable".to_owned(),
        Op::SetDumpable { dumpable: false } => "becomes undumpable".to_owned(),
        Op::Run { command: Command::Shell(line) } => format!("runs {line:?}"),
        Op::Run { command: Command::Program(words) } => format!("runs {}", words.join(" ")),
        _ => bare(op),
    }
}

fn person(uid: Option<Ids>, gid: Option<Ids>) -> String {
    let whole = |ids| match ids {
        Some(Ids::All(id)) => Some(id),
        _ => None,
    };
    let several = [("user", uid), ("group", gid)].into_iter().filter_map(|(word, ids)| match ids? {
        Ids::All(_) => None,
        Ids::Each { real, effective, saved, fs } => {
            let kinds = [("real", real), ("effective", effective), ("saved", saved), ("fs", fs)];
            let ids = kinds.into_iter().filter_map(|(kind, id)| Some(format!("{kind} {word} {}", id?)));
            Some(ids.collect::<Vec<_>>().join(", "))
        }
    });
    let several = several.collect::<Vec<_>>().join(", ");
    match (whole(uid), whole(gid)) {
        (None, None) if !several.is_empty() => several,
        (None, None) => "the same person".to_owned(),
        (uid, gid) if several.is_empty() => owner(uid, gid),
        (uid, gid) => format!("{}, {several}", owner(uid, gid)),
    }
}

fn list_of<T: std::fmt::Display>(word: &str, items: &[T]) -> String {
    match items {
        [] => format!("no {word}s"),
        [one] => format!("{word} {one}"),
        several => {
            let several: Vec<String> = several.iter().map(T::to_string).collect();
            format!("{word}s {}", several.join(", "))
        }
    }
}

fn on_namespaces(op: &Op) -> String {
    match op {
        Op::Unshare { namespaces: kinds } => format!("moves to {} of its own", namespaces(kinds)),
        Op::Enter { process, namespaces: kinds } => format!("enters {process}'s {}", namespaces(kinds)),
        _ => bare(op),
    }
}

fn default_keyring(is: DefaultKeyring) -> &'static str {
    match is {
        DefaultKeyring::Default => "its keys put where the kernel chooses",
        DefaultKeyring::Thread => "its keys put into @t",
        DefaultKeyring::Process => "its keys put into @p",
        DefaultKeyring::Session => "its keys put into @s",
        DefaultKeyring::User => "its keys put into @u",
        DefaultKeyring::UserSession => "its keys put into @us",
        DefaultKeyring::Requestor => "its keys put where the requester it serves wants its own",
    }
}

fn on_the_system(op: &Op) -> String {
    match op {
        Op::Mount { kind, source, at, options } if options.is_empty() => {
            format!("mounts {kind} {source:?} on {at}")
        }
        Op::Mount { kind, source, at, options } => {
            format!("mounts {kind} {source:?} on {at} with {options:?}")
        }
        Op::LoadModule { module } => format!("loads the module {module}"),
        Op::UnloadModule { module } => format!("unloads the module {module}"),
        _ => bare(op),
    }
}

fn suspending(op: &Op) -> String {
    match op {
        Op::Freeze { to } => format!("freezes {to}"),
        Op::Thaw { to } => format!("thaws {to}"),
        Op::Seize { to } => format!("traces and stops {to}"),
        Op::Detach { to } => format!("traces {to} no more"),
        _ => bare(op),
    }
}

fn inspecting(op: &Op) -> String {
    match op {
        Op::KernelLog { has } => format!("looks for {has:?} in the kernel's log"),
        Op::ProcKeys { kind: None } => "reads /proc/keys".to_owned(),
        Op::ProcKeys { kind: Some(kind) } => format!("reads /proc/keys for {kind}"),
        Op::Trace { event, at_least_ms, at_most_ms } => {
            let event = event.as_ref().map(|event| format!(" for {event}")).unwrap_or_default();
            let at_least = at_least_ms.map(|ms| format!(", of at least {ms} ms")).unwrap_or_default();
            let at_most = at_most_ms.map(|ms| format!(", of at most {ms} ms")).unwrap_or_default();
            format!("reads the trace{event}{at_least}{at_most}")
        }
        Op::KeyUsers { uid } => format!("reads /proc/key-users for {uid}"),
        _ => bare(op),
    }
}

fn of_control(op: &Op, names: &Names) -> String {
    match op {
        Op::Start {} => "starts".to_owned(),
        Op::Reap {} => "is reaped".to_owned(),
        Op::Wait { until, .. } => condition(until, names),
        Op::Await { job, .. } => format!("waits for the end of {job}"),
        _ => bare(op),
    }
}

fn condition(until: &Condition, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    match until {
        Condition::Upcalls(count) => format!("has got {}", counted(*count, "upcall")),
        Condition::Signals(count) => format!("has {} pending", counted(*count, "signal")),
        Condition::Blocked(job) => format!("waits until {job} is blocked"),
        Condition::Stopped => "is stopped".to_owned(),
        Condition::Ended => "has ended".to_owned(),
        Condition::Gone(gone) => format!("waits until {} is gone", key(gone)),
        Condition::Shows { key: shown, text } => format!("waits until {} shows {text:?}", key(shown)),
        Condition::Charged { uid, keys } => format!("waits until user {uid} is charged with {keys} keys"),
        Condition::Traced(count) => format!("waits for {} in the trace", counted(*count, "event")),
    }
}

fn counted(count: impl Into<u64>, word: &str) -> String {
    match count.into() {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}

fn destination(into: Option<&KeyRef>, names: &Names) -> String {
    into.map(|into| format!(", into {}", key_name(into, names))).unwrap_or_default()
}

/// Describes a keyring other than the session keyring, which is the default.
fn unless_session(into: &KeyRef, names: &Names) -> String {
    destination(Some(into).filter(|into| **into != KeyRef::Special(Special::Session)), names)
}

/// Describes the lifetime of a rejection, unless it is the default.
pub(super) fn lasting(seconds: u32) -> String {
    if seconds == REJECTED_SECONDS { String::new() } else { format!(" for {seconds} s") }
}

fn key_name(key: &KeyRef, names: &Names) -> String {
    match key {
        KeyRef::Serial(serial) if *serial > 0 => names.key(*serial).to_owned(),
        KeyRef::Serial(0) => "nothing".to_owned(),
        KeyRef::Serial(serial) => {
            Special::from_id(*serial).map_or_else(|| "no keyring".to_owned(), |it| it.name().to_owned())
        }
        KeyRef::Target => "the target".to_owned(),
        KeyRef::Authkey => "the authkey".to_owned(),
        _ => key.to_string(),
    }
}

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Text(text) => format!("{text:?}"),
        Payload::Hex { hex } if hex.is_empty() => "no bytes".to_owned(),
        Payload::Hex { hex } => format!("bytes {hex}"),
        Payload::Padded { hex, length } => format!("{length} bytes: {hex}, then zeros"),
        Payload::Fill { fill } => format!("{fill} bytes"),
        Payload::Null { null } => format!("{null} bytes at NULL"),
    }
}

fn registration(with: &Registration) -> String {
    match with {
        Registration::Signal { signal: Registration::USUAL_SIGNAL } => String::new(),
        Registration::Signal { signal } => format!(" with {}", signal_name(*signal)),
        Registration::Params { params } => format!(" with {}", parameters(*params)),
        Registration::Raw { raw } => format!(" with {}", payload(raw)),
    }
}

/// Describes the parameters that are not the default.
fn parameters(params: Params) -> String {
    let Params { signal, flags, timeout_ms, window } = params;
    let parts = [
        (signal != Registration::USUAL_SIGNAL).then(|| signal_name(signal)),
        (flags != 0).then(|| format!("flags {flags:#x}")),
        (timeout_ms != 0).then(|| format!("timeout_ms {timeout_ms}")),
        (window != 0).then(|| format!("window {window}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "default parameters".to_owned()
    } else {
        format!("parameters {}", parts.join(", "))
    }
}

fn signal_name(number: u32) -> String {
    super::outcome::signal(i32::try_from(number).unwrap_or(-1))
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
