//! English text of operations.

use super::{names::Names, process::namespaces};
use crate::plan::{
    Caller, Command, Condition, DefaultKeyring, Forgery, Ids, KeyRef, Op, Params, Payload, REJECTED_SECONDS,
    Registration, Special,
};

/// Describes an operation, as in `links k into @s`. Without a wildcard: a new operation needs a sentence.
pub(super) fn of(op: &Op, names: &Names) -> String {
    let name = |key: &KeyRef| key_name(key, names);
    let into = |into: &Option<KeyRef>| destination(into.as_ref(), names);
    match op {
        Op::JoinSession { name: None } => "joins a new session".to_owned(),
        Op::JoinSession { name: Some(name) } => format!("joins session {name:?}"),
        Op::Keyring { key, create: true } => format!("makes sure of {}", name(key)),
        Op::Keyring { key, create: false } => format!("looks for {}", name(key)),
        Op::Clear { key } => format!("clears {}", name(key)),
        Op::Link { key, into } => format!("links {} into {}", name(key), name(into)),
        Op::Unlink { key, from } => format!("unlinks {} from {}", name(key), name(from)),
        Op::Move { key, from, into } => {
            format!("moves {} from {} into {}", name(key), name(from), name(into))
        }
        Op::Restrict { key } => format!("restricts {}", name(key)),
        Op::DefaultKeyring { is } => format!("has {} by default", default_keyring(*is)),
        Op::SessionToParent {} => "gives its parent its session keyring".to_owned(),
        Op::Persistent { uid: Some(uid), into } => {
            format!("links the persistent keyring of user {uid} into {}", name(into))
        }
        Op::Persistent { uid: None, into } => format!("links its persistent keyring into {}", name(into)),

        Op::Add { kind, description, payload, into } => {
            let with = Some(payload).filter(|payload| **payload != Payload::default());
            let with = with.map(|payload| format!(" with {}", bytes(payload))).unwrap_or_default();
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
        Op::Search { key, kind, description, into: to } => {
            format!("searches {} for {kind} {description:?}{}", name(key), into(to))
        }
        Op::Describe { key } => format!("describes {}", name(key)),
        Op::Read { key } => format!("reads {}", name(key)),
        Op::Update { key, payload } => format!("updates {} with {}", name(key), bytes(payload)),
        Op::Setperm { key, perm } => format!("sets the permissions of {} to {perm}", name(key)),
        Op::Chown { key, uid, gid } => format!("gives {} to {}", name(key), owner(*uid, *gid)),
        Op::SetTimeout { key, seconds } => format!("lets {} expire in {seconds} s", name(key)),
        Op::Revoke { key } => format!("revokes {}", name(key)),
        Op::Invalidate { key } => format!("invalidates {}", name(key)),
        Op::GetSecurity { key } => format!("asks for the security label of {}", name(key)),
        Op::Watch { key } => format!("watches {}", name(key)),
        Op::Notifications {} => "takes its notifications".to_owned(),
        Op::Capabilities {} => "asks what keyctl can do".to_owned(),

        Op::Assume { key: Some(key) } => format!("assumes authority over {}", name(key)),
        Op::Assume { key: None } => "gives authority up".to_owned(),
        Op::Instantiate { key, payload, into: to } => {
            format!("instantiates {} with {}{}", name(key), bytes(payload), into(to))
        }
        Op::InstantiateIov { key, pieces, into: to } => {
            let pieces: Vec<String> = pieces.iter().map(bytes).collect();
            format!("instantiates {} with {}{}", name(key), pieces.join(" and "), into(to))
        }
        Op::Negate { key, seconds, into: to } => {
            format!("negates {}{}{}", name(key), lasting(*seconds), into(to))
        }
        Op::Reject { key, seconds, error, into: to } => {
            format!("rejects {} with {error}{}{}", name(key), lasting(*seconds), into(to))
        }
        Op::Answer { payload, into: to } => format!("answers with {payload:?}{}", into(to)),
        Op::Deny { error, seconds, into: to } => {
            format!("rejects with {error}{}{}", lasting(*seconds), into(to))
        }

        Op::Signal { to, signal } => format!("sends {signal} to {to}"),
        Op::Forge { to, by, signal, code, value } => {
            let value = value.as_ref().map(|value| format!(" for {}", name(value))).unwrap_or_default();
            format!("forges {signal} with si_code {code}{value} to {to} by {}", forgery(*by))
        }
        Op::TakeSignals {} => "takes its signals".to_owned(),

        Op::Exit { code: 0 } => "exits".to_owned(),
        Op::Exit { code } => format!("exits with {code}"),
        Op::Exec { setuid: None } => "execs".to_owned(),
        Op::Exec { setuid: Some(uid) } => format!("execs a set-user-id program of user {uid}"),
        Op::Crash {} => "crashes".to_owned(),
        Op::LeaveLeader {} => "goes on in another thread, and lets its leader end".to_owned(),
        Op::Become { uid, gid, groups, capabilities, inheritable } => {
            let person = person(*uid, *gid);
            let groups = groups.as_ref().map(|groups| format!(" in {}", list_of("group", groups)));
            let capabilities = possessed(capabilities.as_deref(), inheritable);
            format!("becomes {person}{}{capabilities}", groups.unwrap_or_default())
        }
        Op::Limit { rlimits } => {
            let limits = rlimits.iter().map(|(name, value)| format!("{name} to {value}"));
            format!("limits {}", limits.collect::<Vec<_>>().join(", "))
        }
        Op::SetDumpable { dumpable: true } => "becomes dumpable".to_owned(),
        Op::SetDumpable { dumpable: false } => "becomes undumpable".to_owned(),
        Op::Run { command: Command::Shell(line) } => format!("runs {line:?}"),
        Op::Run { command: Command::Program(words) } => format!("runs {}", words.join(" ")),

        Op::Unshare { namespaces: kinds } => format!("moves to {} of its own", namespaces(kinds)),
        Op::Enter { process, namespaces: kinds } => format!("enters {process}'s {}", namespaces(kinds)),
        Op::Mount { kind, source, at, options } => {
            let with = if options.is_empty() { String::new() } else { format!(" with {options:?}") };
            format!("mounts {kind} {source:?} on {at}{with}")
        }
        Op::LoadModule { module } => format!("loads the module {module}"),
        Op::UnloadModule { module } => format!("unloads the module {module}"),

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

        Op::Freeze { to } => format!("freezes {to}"),
        Op::Thaw { to } => format!("thaws {to}"),
        Op::Seize { to } => format!("traces and stops {to}"),
        Op::Detach { to } => format!("traces {to} no more"),

        Op::EachAllocation { of: op, before } => {
            let before = before.as_ref().map(|op| format!("{}; then, ", of(op, names))).unwrap_or_default();
            format!("{before}with each of its allocations failing in turn, {}", of(op, names))
        }
        Op::InThread { of: op } => format!("{}, in another thread", of(op, names)),

        Op::Start {} => "starts".to_owned(),
        Op::Reap {} => "is reaped".to_owned(),
        Op::Wait { until, .. } => condition(until, names),
        Op::Await { job, .. } => format!("waits for the end of {job}"),
    }
}

/// Describes the capabilities of a process that changes them, and those of them that it passes on.
fn possessed(capabilities: Option<&[String]>, inheritable: &[String]) -> String {
    let own = match capabilities {
        None => String::new(),
        Some([]) => " without capabilities".to_owned(),
        Some(names) => format!(" with only {}", names.join(", ")),
    };
    match inheritable {
        [] => own,
        names => format!("{own}, to pass on {}", names.join(", ")),
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

fn condition(until: &Condition, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    match until {
        Condition::Upcalls(count) => format!("has got {}", counted(*count, "upcall")),
        Condition::Signals(count) => format!("has {} pending", counted(*count, "signal")),
        Condition::Blocked(job) => format!("waits until {job} is blocked"),
        Condition::Stopped => "is stopped".to_owned(),
        Condition::Ended => "has ended".to_owned(),
        Condition::Prints(text) => format!("has printed {text:?}"),
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

fn bytes(payload: &Payload) -> String {
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
        Registration::Raw { raw } => format!(" with {}", bytes(raw)),
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
