//! English text of operations.

use super::names::Names;
use crate::plan::{
    AuthorityOp, Caller, Command, Condition, ControlOp, DefaultKeyring, FaultInjectionOp, Forgery, Ids,
    InspectOp, KeyOp, KeyRef, KeyringOp, NamespaceOp, Op, Params, Payload, ProcessOp, Registration, SignalOp,
    Special, SuspendOp, SystemOp, ThreadOp, UpcallOp,
};

/// Describes an operation, as in `links k into @s`.
pub(super) fn of(op: &Op, names: &Names) -> String {
    match op {
        Op::Keyring(op) => on_keyring(op, names),
        Op::Key(op) => on_key(op, names),
        Op::Authority(op) => with_authority(op, names),
        Op::Upcall(op) => of_upcall(op, names),
        Op::Signal(op) => on_signals(op, names),
        Op::Process(op) => on_process(op),
        Op::Namespace(op) => on_namespaces(op),
        Op::System(op) => on_the_system(op),
        Op::Inspect(op) => inspecting(op),
        Op::Suspend(op) => suspending(op),
        Op::FaultInjection(FaultInjectionOp::EachAllocation { of: op, before }) => {
            let before = before.as_ref().map(|op| format!("{}; then, ", of(op, names))).unwrap_or_default();
            format!("{before}with each of its allocations failing in turn, {}", of(op, names))
        }
        Op::Thread(ThreadOp::InThread { of: op }) => format!("{}, in another thread", of(op, names)),
        Op::Control(op) => of_control(op, names),
    }
}

fn on_keyring(op: &KeyringOp, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    match op {
        KeyringOp::JoinSession { name: None } => "joins a new session".to_owned(),
        KeyringOp::JoinSession { name: Some(name) } => format!("joins session {name:?}"),
        KeyringOp::Keyring { key: k, create: true } => format!("makes sure of {}", key(k)),
        KeyringOp::Keyring { key: k, create: false } => format!("looks for {}", key(k)),
        KeyringOp::Clear { key: k } => format!("clears {}", key(k)),
        KeyringOp::Link { key: k, into } => format!("links {} into {}", key(k), key(into)),
        KeyringOp::Unlink { key: k, from } => format!("unlinks {} from {}", key(k), key(from)),
        KeyringOp::Move { key: k, from, into } => {
            format!("moves {} from {} into {}", key(k), key(from), key(into))
        }
        KeyringOp::Restrict { key: k } => format!("restricts {}", key(k)),
        KeyringOp::DefaultKeyring { is } => format!("has {} by default", default_keyring(*is)),
        KeyringOp::SessionToParent {} => "gives its parent its session keyring".to_owned(),
        KeyringOp::Persistent { uid: Some(uid), into } => {
            format!("links the persistent keyring of user {uid} into {}", key(into))
        }
        KeyringOp::Persistent { uid: None, into } => {
            format!("links its persistent keyring into {}", key(into))
        }
    }
}

fn on_key(op: &KeyOp, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    let into = |into: &Option<KeyRef>| destination(into.as_ref(), names);
    match op {
        KeyOp::Add { kind, description, payload: p, into } => {
            let with = if *p == Payload::default() { String::new() } else { format!(" with {}", payload(p)) };
            format!("adds {kind} {description:?}{with}{}", unless_session(into, names))
        }
        KeyOp::Register { kind, with, into, by } => {
            let into = unless_session(into, names);
            format!("registers for {kind:?}{}{into}{}", registration(with), caller(*by))
        }
        KeyOp::Request { kind, description, callout, into: to, alarm_ms, restart } => {
            let callout = callout.as_ref().map(|text| format!(" with callout {text:?}")).unwrap_or_default();
            let interrupted = if *restart { "interrupted, and restarted, after" } else { "for at most" };
            let alarm = alarm_ms.map(|ms| format!(", {interrupted} {ms} ms")).unwrap_or_default();
            format!("requests {kind} {description:?}{callout}{}{alarm}", into(to))
        }
        KeyOp::Search { key: k, kind, description, into: to } => {
            format!("searches {} for {kind} {description:?}{}", key(k), into(to))
        }
        KeyOp::Describe { key: k } => format!("describes {}", key(k)),
        KeyOp::Read { key: k } => format!("reads {}", key(k)),
        KeyOp::Update { key: k, payload: p } => format!("updates {} with {}", key(k), payload(p)),
        KeyOp::Setperm { key: k, perm } => format!("sets the permissions of {} to {perm}", key(k)),
        KeyOp::Chown { key: k, uid, gid } => format!("gives {} to {}", key(k), owner(*uid, *gid)),
        KeyOp::SetTimeout { key: k, seconds } => format!("lets {} expire in {seconds} s", key(k)),
        KeyOp::Revoke { key: k } => format!("revokes {}", key(k)),
        KeyOp::Invalidate { key: k } => format!("invalidates {}", key(k)),
        KeyOp::GetSecurity { key: k } => format!("asks for the security label of {}", key(k)),
        KeyOp::Watch { key: k } => format!("watches {}", key(k)),
        KeyOp::Notifications {} => "takes its notifications".to_owned(),
        KeyOp::Capabilities {} => "asks what keyctl can do".to_owned(),
    }
}

fn with_authority(op: &AuthorityOp, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    let into = |into: &Option<KeyRef>| destination(into.as_ref(), names);
    match op {
        AuthorityOp::Assume { key: Some(k) } => format!("assumes authority over {}", key(k)),
        AuthorityOp::Assume { key: None } => "gives authority up".to_owned(),
        AuthorityOp::Instantiate { key: k, payload: p, into: to } => {
            format!("instantiates {} with {}{}", key(k), payload(p), into(to))
        }
        AuthorityOp::InstantiateIov { key: k, pieces, into: to } => {
            let pieces: Vec<String> = pieces.iter().map(payload).collect();
            format!("instantiates {} with {}{}", key(k), pieces.join(" and "), into(to))
        }
        AuthorityOp::Negate { key: k, seconds, into: to } => {
            format!("negates {}{}{}", key(k), lasting(*seconds), into(to))
        }
        AuthorityOp::Reject { key: k, seconds, error, into: to } => {
            format!("rejects {} with {error}{}{}", key(k), lasting(*seconds), into(to))
        }
    }
}

fn of_upcall(op: &UpcallOp, names: &Names) -> String {
    let into = |into: &Option<KeyRef>| destination(into.as_ref(), names);
    match op {
        UpcallOp::Answer { payload, into: to } => format!("answers with {payload:?}{}", into(to)),
        UpcallOp::Deny { error, seconds, into: to } => {
            format!("rejects with {error}{}{}", lasting(*seconds), into(to))
        }
    }
}

fn on_signals(op: &SignalOp, names: &Names) -> String {
    let key = |key: &KeyRef| key_name(key, names);
    match op {
        SignalOp::Signal { to, signal } => format!("sends {signal} to {to}"),
        SignalOp::Forge { to, by, signal, code, value } => {
            let value = value.as_ref().map(|value| format!(" for {}", key(value))).unwrap_or_default();
            format!("forges {signal} with si_code {code}{value} to {to} by {}", forgery(*by))
        }
        SignalOp::TakeSignals {} => "takes its signals".to_owned(),
    }
}

fn on_process(op: &ProcessOp) -> String {
    match op {
        ProcessOp::Exit { code: 0 } => "exits".to_owned(),
        ProcessOp::Exit { code } => format!("exits with {code}"),
        ProcessOp::Exec { setuid: None } => "execs".to_owned(),
        ProcessOp::Exec { setuid: Some(uid) } => format!("execs a set-user-id program of user {uid}"),
        ProcessOp::Crash {} => "crashes".to_owned(),
        ProcessOp::LeaveLeader {} => "goes on in another thread, and lets its leader end".to_owned(),
        ProcessOp::Become { uid, gid, groups, capabilities, inheritable } => {
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
        ProcessOp::Limit { rlimits } => {
            let limits = rlimits.iter().map(|(name, value)| format!("{name} to {value}"));
            format!("limits {}", limits.collect::<Vec<_>>().join(", "))
        }
        ProcessOp::SetDumpable { dumpable: true } => "becomes dumpable".to_owned(),
        ProcessOp::SetDumpable { dumpable: false } => "becomes undumpable".to_owned(),
        ProcessOp::Run { command: Command::Shell(line) } => format!("runs {line:?}"),
        ProcessOp::Run { command: Command::Program(words) } => format!("runs {}", words.join(" ")),
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

fn on_namespaces(op: &NamespaceOp) -> String {
    let namespaces = super::process::namespaces(op.kinds());
    match op {
        NamespaceOp::Unshare { .. } => format!("moves to {namespaces} of its own"),
        NamespaceOp::Enter { process, .. } => format!("enters {process}'s {namespaces}"),
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

fn on_the_system(op: &SystemOp) -> String {
    match op {
        SystemOp::Mount { kind, source, at, options } if options.is_empty() => {
            format!("mounts {kind} {source:?} on {at}")
        }
        SystemOp::Mount { kind, source, at, options } => {
            format!("mounts {kind} {source:?} on {at} with {options:?}")
        }
        SystemOp::LoadModule { module } => format!("loads the module {module}"),
        SystemOp::UnloadModule { module } => format!("unloads the module {module}"),
    }
}

fn suspending(op: &SuspendOp) -> String {
    match op {
        SuspendOp::Freeze { to } => format!("freezes {to}"),
        SuspendOp::Thaw { to } => format!("thaws {to}"),
        SuspendOp::Seize { to } => format!("traces and stops {to}"),
        SuspendOp::Detach { to } => format!("traces {to} no more"),
    }
}

fn inspecting(op: &InspectOp) -> String {
    match op {
        InspectOp::KernelLog { has } => format!("looks for {has:?} in the kernel's log"),
        InspectOp::ProcKeys { kind: None } => "reads /proc/keys".to_owned(),
        InspectOp::ProcKeys { kind: Some(kind) } => format!("reads /proc/keys for {kind}"),
        InspectOp::Trace { event, at_least_ms, at_most_ms } => {
            let event = event.as_ref().map(|event| format!(" for {event}")).unwrap_or_default();
            let at_least = at_least_ms.map(|ms| format!(", of at least {ms} ms")).unwrap_or_default();
            let at_most = at_most_ms.map(|ms| format!(", of at most {ms} ms")).unwrap_or_default();
            format!("reads the trace{event}{at_least}{at_most}")
        }
        InspectOp::KeyUsers { uid } => format!("reads /proc/key-users for {uid}"),
    }
}

fn of_control(op: &ControlOp, names: &Names) -> String {
    match op {
        ControlOp::Start {} => "starts".to_owned(),
        ControlOp::Reap {} => "is reaped".to_owned(),
        ControlOp::Wait { until, .. } => condition(until, names),
        ControlOp::Await { job, .. } => format!("waits for the end of {job}"),
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
    if seconds == UpcallOp::REJECTED_SECONDS { String::new() } else { format!(" for {seconds} s") }
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
    let Params { signal, flags, timeout_ms, reserved } = params;
    let parts = [
        (signal != Registration::USUAL_SIGNAL).then(|| signal_name(signal)),
        (flags != 0).then(|| format!("flags {flags:#x}")),
        (timeout_ms != 0).then(|| format!("timeout_ms {timeout_ms}")),
        (reserved != 0).then(|| format!("reserved {reserved}")),
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
