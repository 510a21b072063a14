//! English sentences for processes and steps.

use std::fmt::Debug;

use crate::{
    plan::{
        Block, Hears, IdRange, Join, Keyagent, Namespace, Op, Order, Process, Role, Session, Setup, Start,
        Step,
    },
    scenario::{Expect, Expectation, Scenario},
    trace::{command_line, describe_op},
};

pub(super) fn process(process: &Process) -> String {
    // A new field has to be described here.
    let Process {
        name,
        role,
        start,
        parent,
        pid_of,
        session,
        session_keys,
        join,
        unshare,
        uid_map,
        gid_map,
        hostname,
        rlimits,
        gid,
        uid,
        capabilities,
        dumpable,
        no_new_privs,
        label,
        reaped,
        files,
        setup,
    } = process;
    let mut about = vec![match role {
        Role::Keyagent(_) => "is a keyagent".to_owned(),
        Role::Requester => "asks for keys".to_owned(),
        Role::Observer => "observes: it has no part in the request".to_owned(),
        Role::Program(program) => format!("is the program `{}`", command_line(program)),
    }];
    about.extend(parent.iter().map(|parent| format!("is forked by {parent}")));
    about.extend(pid_of.iter().map(|other| format!("gets the pid that {other} had")));
    about.extend(join.iter().map(joined));
    if !unshare.is_empty() {
        let article = if unshare.len() == 1 { "a " } else { "" };
        about.push(format!("has {article}{} of its own{}", namespaces(unshare), mapped(uid_map, gid_map)));
    }
    about.extend(identity(*uid, *gid));
    about.extend(capabilities.as_ref().map(|names| match names.as_slice() {
        [] => "has no capabilities".to_owned(),
        names => format!("has only the capabilities {}", list(names)),
    }));
    about.extend(hostname.iter().map(|name| format!("calls its host {name:?}")));
    about.extend(rlimits.iter().map(|(limit, value)| format!("has a limit of {value} for {limit}")));
    about.extend(dumpable.map(|yes| if yes { "is dumpable" } else { "is not dumpable" }.to_owned()));
    about.extend(no_new_privs.then(|| "can gain no new privileges".to_owned()));
    about.extend(label.iter().map(|label| format!("has the security label {label:?}")));
    let paths: Vec<&String> = files.keys().collect();
    about.extend((!files.is_empty()).then(|| format!("has its own {}", list(&paths))));
    about.extend(session_keyring(*session, parent.as_ref(), session_keys));
    about.extend((*start == Start::Step).then(|| "starts only when a step says so".to_owned()));
    about.extend((!reaped).then(|| "stays a zombie when it has ended".to_owned()));
    let mut sentences = vec![format!("{name} {}.", list(&about))];
    if !setup.is_empty() {
        let done: Vec<String> = setup.iter().map(prepared).collect();
        sentences.push(format!("At its start it {}.", list(&done)));
    }
    if let Role::Keyagent(agent) = role {
        sentences.push(format!("{}.", served(agent)));
    }
    sentences.join(" ")
}

fn session_keyring(session: Session, parent: Option<&String>, keys: &[String]) -> Vec<String> {
    let origin = match (session, parent) {
        (Session::Fresh, _) => None,
        (Session::Inherited, Some(parent)) => Some(format!("keeps the session keyring of {parent}")),
        (Session::Inherited, None) => Some("has no session keyring".to_owned()),
    };
    let word = if keys.len() == 1 { "key" } else { "keys" };
    let linked =
        (!keys.is_empty()).then(|| format!("has the {word} of {} in its session keyring", list(keys)));
    origin.into_iter().chain(linked).collect()
}

fn joined(join: &Join) -> String {
    let Join { process, namespaces: kinds } = join;
    if kinds.is_empty() {
        format!("enters the namespaces of {process}")
    } else {
        format!("enters the {} of {process}", namespaces(kinds))
    }
}

fn namespaces(kinds: &[Namespace]) -> String {
    let names = list(&kinds.iter().map(word).collect::<Vec<_>>());
    if kinds.len() == 1 { format!("{names} namespace") } else { format!("{names} namespaces") }
}

/// Describes the ids that root of a user namespace has outside.
fn mapped(uids: &[IdRange], gids: &[IdRange]) -> String {
    let root = |map: &[IdRange]| map.iter().find(|range| range.inside == 0).map(|range| range.outside);
    match (root(uids), root(gids)) {
        (Some(uid), Some(gid)) if uid == gid => format!(" (root there is {uid} outside)"),
        (Some(uid), Some(gid)) => format!(" (root there is user {uid} and group {gid} outside)"),
        (None, None) if uids.is_empty() => String::new(),
        _ => " (nobody outside is root there)".to_owned(),
    }
}

fn identity(uid: Option<u32>, gid: Option<u32>) -> Option<String> {
    match (uid, gid) {
        (Some(uid), Some(gid)) => Some(format!("is user {uid} and group {gid}")),
        (Some(uid), None) => Some(format!("is user {uid}")),
        (None, Some(gid)) => Some(format!("is of group {gid}")),
        (None, None) => None,
    }
}

fn prepared(setup: &Setup) -> String {
    let Setup { op, save } = setup;
    format!("{}{}", describe_op(op), called(save.as_ref()))
}

/// Describes an agent's reactions to upcalls.
fn served(agent: &Keyagent) -> String {
    let Keyagent { hears, reactions } = agent;
    let heard = match hears {
        Hears::Signal => "",
        Hears::Watch => "It learns of upcalls by notifications. ",
        Hears::Nothing => "It does not listen: its signals stay pending. ",
    };
    let reaction = |ops: &Vec<Op>| match ops.as_slice() {
        [] => "leaves it pending for a later step".to_owned(),
        ops => list(&ops.iter().map(describe_op).collect::<Vec<_>>()),
    };
    let each = match reactions.as_slice() {
        [] => "On an upcall it does nothing".to_owned(),
        [all] => format!("On every upcall it {}", reaction(all)),
        [first @ .., rest] => {
            let first: Vec<String> = first
                .iter()
                .enumerate()
                .map(|(index, ops)| format!("on upcall {} it {}", index + 1, reaction(ops)))
                .collect();
            format!("Its reactions: {}; on all that follow it {}", first.join("; "), reaction(rest))
        }
    };
    format!("{heard}{each}")
}

/// Describes sysctl values and required features.
pub(super) fn conditions(scenario: &Scenario) -> Vec<String> {
    let settings = scenario.plan().sysctl.iter();
    let mut all: Vec<String> =
        settings.map(|(file, value)| format!("/proc/sys/{file} is {value}.")).collect();
    // Every guest has namespaces unless its kernel is configured without them.
    let mut needs = scenario.requirements();
    needs.retain(|need| !need.ends_with("_ns"));
    if !needs.is_empty() {
        all.push(format!("It is skipped where the guest lacks {}.", list(&needs)));
    }
    all
}

pub(super) fn steps(scenario: &Scenario) -> Vec<String> {
    let plan = scenario.plan();
    let all = plan.steps.iter().zip(&scenario.expectations).enumerate();
    all.map(|(index, (step, expectation))| {
        let block = plan.blocks.iter().find(|block| block.first == index).map(together).unwrap_or_default();
        format!("{block}{}{}", describe_step(step), expected(expectation))
    })
    .collect()
}

/// Describes the order and the rounds of a block. Precedes its first step.
fn together(block: &Block) -> String {
    let Block { first, count, order, repeat } = *block;
    let (steps, are) = match count {
        1 => (format!("Step {}", first + 1), "is"),
        _ => (format!("Steps {} to {}", first + 1, first + count), "are"),
    };
    match (order, repeat) {
        (Order::Given, 1) => String::new(),
        (Order::Given, _) => format!("({steps} {are} taken {repeat} times.) "),
        (Order::Raced, 1) => format!("({steps} {are} begun at the same moment.) "),
        (Order::Raced, _) => format!("({steps} {are} begun at the same moment, {repeat} times.) "),
    }
}

fn describe_step(step: &Step) -> String {
    let Step { process, op, save, background, count } = step;
    let often = if *count > 1 { format!(", {count} times at once") } else { String::new() };
    let aside = background.as_ref().map(|name| format!(", in the background as {name}")).unwrap_or_default();
    format!("{process} {}{often}{aside}{}.", describe_op(op), called(save.as_ref()))
}

fn called(save: Option<&String>) -> String {
    save.map(|name| format!(" (the key is called {name})")).unwrap_or_default()
}

/// Describes an expectation. Empty for success without time limits.
fn expected(expectation: &Expectation) -> String {
    let Expectation { position: _, outcome, within_ms, at_least_ms } = expectation;
    let mut parts = Vec::new();
    if *outcome != Expect::Ok {
        parts.push(outcome.to_string());
    }
    parts.extend(at_least_ms.map(|ms| format!("after {ms} ms at least")));
    parts.extend(within_ms.map(|ms| format!("within {ms} ms")));
    if parts.is_empty() { String::new() } else { format!(" Expected: {}.", parts.join(", ")) }
}

/// `a`, `a and b`, `a, b and c`.
fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

fn word<T: Debug>(name: &T) -> String {
    format!("{name:?}").to_lowercase()
}
