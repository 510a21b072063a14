//! English text of outcomes.

use std::collections::BTreeSet;

use super::names::Names;
use crate::{
    plan::{Op, Permissions, Registration},
    wire::{Described, Ending, KeyUser, Notification, Outcome, ProcKey, Traced, UpcallSignal, Value},
};

/// Describes an outcome, as in `ENOKEY`. `None` for success without a value.
pub(super) fn of(process: &str, op: &Op, outcome: &Outcome, names: &Names) -> Option<String> {
    Some(match outcome {
        Outcome::Ok(Value::None) => return None,
        Outcome::Ok(value) => of_value(process, value, names),
        Outcome::Error(name) => name.clone(),
        Outcome::Skipped(why) => format!("not tried: {why}"),
        Outcome::TimedOut if matches!(op, Op::Wait { .. } | Op::Await { .. }) => "not in time".to_owned(),
        Outcome::TimedOut => "no answer in time".to_owned(),
    })
}

pub(super) fn ended(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exits with {code}"),
        Ending::Killed(number) => format!("is killed by {}", signal(number)),
    }
}

fn of_value(process: &str, value: &Value, names: &Names) -> String {
    match value {
        Value::None => "ok".to_owned(),
        Value::Serial(0) => "0".to_owned(),
        Value::Serial(serial) => names.key(*serial).to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Hex(digits) => format!("bytes {digits}"),
        Value::Keyring(serials) => list(serials.iter().map(|serial| names.key(*serial).to_owned())),
        Value::Described(described) => of_described(described),
        Value::ProcKeys(keys) => list(keys.iter().map(|key| proc_key(key, names))),
        Value::KeyUser(user) => key_user(user),
        Value::Signals(signals) => list(signals.iter().map(|it| taken(process, it, names))),
        Value::Tries { failed, last } => tries(failed, last, &[]),
        Value::Trace(records) => match records.len() {
            1 => "1 event".to_owned(),
            count => format!("{count} events"),
        },
        Value::Notifications(all) => in_order(all.iter().map(|it| notification(it, names))),
        Value::ExitCode(code) => format!("exit code {code}"),
        Value::Command { status: 0, output } => format!("{output:?}"),
        Value::Command { status, output } => format!("{output:?}, exit code {status}"),
    }
}

/// Describes the notification of an upcall.
pub(super) fn notified(notification: &UpcallSignal, names: &Names) -> String {
    let notified =
        if notification.code == 0 { "is notified of" } else { "has lost notifications, and finds" };
    format!("{notified} {}", names.key(notification.value))
}

/// Describes an upcall by its signal, as in `upcall for k from box, uid 0`.
pub(super) fn upcall(siginfo: &UpcallSignal, from: &str, names: &Names) -> String {
    let by = match siginfo {
        UpcallSignal { signal: USUAL_SIGNAL, code: SI_KEYAGENT, .. } => String::new(),
        _ => format!(", by {}", signal_with_code(siginfo)),
    };
    format!("upcall for {} from {from}, uid {}{by}", names.key(siginfo.value), siginfo.uid)
}

/// A signal that was pending.
fn taken(process: &str, siginfo: &UpcallSignal, names: &Names) -> String {
    let nonzero_padding = match siginfo.nonzero_padding.as_slice() {
        [] => String::new(),
        nonzero_padding => format!(", with bytes that are not zero at {nonzero_padding:?}"),
    };
    let from = names.process(siginfo.pid, process);
    let (signal, key) = (signal_with_code(siginfo), names.key(siginfo.value));
    format!("{signal} for {key} from {from}, uid {}{nonzero_padding}", siginfo.uid)
}

fn signal_with_code(siginfo: &UpcallSignal) -> String {
    let code = match siginfo.code {
        SI_KEYAGENT => String::new(),
        code => format!(" with si_code {code}"),
    };
    format!("{}{code}", signal(siginfo.signal))
}

/// Default signal of a keyagent.
const USUAL_SIGNAL: i32 = Registration::USUAL_SIGNAL as i32;

/// The si_code of R14.
const SI_KEYAGENT: i32 = -8;

pub(super) fn signal(number: i32) -> String {
    const NAMED: [(i32, &str); 9] = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (6, "SIGABRT"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (18, "SIGCONT"),
        (19, "SIGSTOP"),
    ];
    match NAMED.iter().find(|entry| entry.0 == number) {
        Some((_, name)) => (*name).to_owned(),
        None if (35..=64).contains(&number) => format!("SIGRTMIN+{}", number - 34),
        None if number == 34 => "SIGRTMIN".to_owned(),
        None => format!("signal {number}"),
    }
}

/// Describes the outcomes of tries, given those that are allowed.
pub(super) fn of_tries(
    process: &str,
    outcome: &Outcome,
    allowed: &[String],
    op: &Op,
    names: &Names,
) -> Option<String> {
    match outcome {
        Outcome::Ok(Value::Tries { failed, last }) => Some(tries(failed, last, allowed)),
        _ => of(process, op, outcome, names),
    }
}

/// Returns the kinds of results of tries. The number of failing allocations depends on the kernel's
/// version and its caches. All allowed kinds are named, since chance decides which of them occur.
fn tries(failed: &[Outcome], last: &Outcome, allowed: &[String]) -> String {
    let kinds: BTreeSet<&str> = failed.iter().map(kind).chain(allowed.iter().map(String::as_str)).collect();
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(" or ");
    format!("{kinds}; at last {}", kind(last))
}

fn kind(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Ok(_) => "ok",
        Outcome::Error(name) => name,
        Outcome::Skipped(why) => why,
        Outcome::TimedOut => "no answer in time",
    }
}

fn of_described(key: &Described) -> String {
    let perm = Permissions::of(key.perm);
    format!("{} {:?} of {}:{}, {perm}", key.kind, key.description, key.uid, key.gid)
}

fn key_user(user: &KeyUser) -> String {
    format!(
        "{} keys, {} instantiated, quota {} keys, {} bytes",
        user.keys, user.instantiated, user.quota_keys, user.quota_bytes
    )
}

fn notification(it: &Notification, names: &Names) -> String {
    match it.subtype.as_str() {
        "linked" | "unlinked" => {
            let other = i32::try_from(it.aux).unwrap_or_default();
            format!("{} {} {}", names.key(it.key), it.subtype, names.key(other))
        }
        subtype => format!("{} {subtype}", names.key(it.key)),
    }
}

/// Returns a tracepoint's record, with names for serials, pids and errors. The duration of a
/// request is a race. The trace shows only that it is not zero.
pub(super) fn traced(it: &Traced, names: &Names) -> String {
    let field = |(label, value): &(String, String)| {
        let number = value.parse::<i32>();
        let value = match (label.as_str(), number) {
            ("key", Ok(serial)) => names.key(serial).to_owned(),
            ("pid" | "agent" | "requester", Ok(pid)) => names.process(pid, "").to_owned(),
            ("result", Ok(result)) if result < 0 => crate::errno::name(-result).unwrap_or(value).to_owned(),
            ("usec", Ok(1..)) => "some".to_owned(),
            _ => value.clone(),
        };
        format!(" {label}={value}")
    };
    format!("{}{}", it.event, it.fields.iter().map(field).collect::<String>())
}

/// Returns a line of /proc/keys without the parts that change from run to run: the usage count and
/// the exact time left.
fn proc_key(key: &ProcKey, names: &Names) -> String {
    let timeout = match key.timeout.as_str() {
        "perm" => "",
        "expd" => " expired",
        _ => " timed",
    };
    let summary = stable(&key.summary, names);
    let perm = Permissions::of(key.perm);
    format!("{} {}{timeout} of {}:{}, {perm}: {summary}", key.kind, key.flags, key.uid, key.gid)
}

/// Replaces the pids and serials that key types show in /proc/keys by names.
fn stable(summary: &str, names: &Names) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in summary.split(' ') {
        let (label, rest) = word.split_at(word.find([':', '=']).map_or(0, |end| end + 1));
        let digits = rest.trim_end_matches([',', ';']);
        let tail = &rest[digits.len()..];
        let named = match label {
            // 0 stands for no process, and 1 is the first process of a container.
            "pid:" | "pid=" if !matches!(digits, "0" | "1") => {
                digits.parse().ok().map(|pid: i32| names.process(pid, "").to_owned())
            }
            "key:" | "key=" => {
                i32::from_str_radix(digits, 16).ok().map(|serial| names.key(serial).to_owned())
            }
            _ => None,
        };
        words.push(named.map_or_else(|| word.to_owned(), |name| format!("{label}{name}{tail}")));
    }
    words.join(" ")
}

/// Joins items whose order is not significant.
fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    items.sort();
    in_order(items.into_iter())
}

fn in_order(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "nothing".to_owned() } else { items.join("; ") }
}
