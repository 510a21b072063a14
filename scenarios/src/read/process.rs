//! `[process.NAME]`.

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    file::keep,
    step,
    typed::{self, Key, Value},
};
use crate::{
    diagnostics::Problem,
    plan::{
        Caller, Hears, IdRange, Join, KeyOp, KeyRef, Keyagent, Namespace, Op, Process, Registration, Role,
        Session, Setup, Special, Start, UpcallOp,
    },
};

/// A process with the places of what it refers to.
pub(super) struct ReadProcess {
    pub(super) process: Process,
    pub(super) name: Range<usize>,
    /// Names of processes, each with its place.
    pub(super) processes: Vec<Spanned<String>>,
    /// Names of variables that it holds from the start.
    pub(super) holds: Vec<Spanned<String>>,
    /// Operations of set-up and reactions.
    pub(super) setup: Vec<step::ReadOp>,
    pub(super) reactions: Vec<step::ReadOp>,
}

/// The table as the author writes it, without what holds operations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    role: Option<RoleName>,
    /// Types to register for, in its session keyring.
    serves: Option<OneOrMany>,
    #[serde(default)]
    with: Registration,
    answer: Option<String>,
    reject: Option<Spanned<String>>,
    #[serde(default)]
    negate: bool,
    #[serde(default)]
    hold: bool,
    #[serde(default)]
    hears: Hears,
    #[serde(default)]
    start: Start,
    parent: Option<Spanned<String>>,
    pid_of: Option<Spanned<String>>,
    #[serde(default)]
    session: Session,
    #[serde(default)]
    holds: Vec<Spanned<String>>,
    join: Option<Spanned<JoinSpec>>,
    #[serde(default)]
    unshare: Vec<Namespace>,
    uid_map: Option<Vec<IdRange>>,
    gid_map: Option<Vec<IdRange>>,
    hostname: Option<String>,
    #[serde(default)]
    rlimits: BTreeMap<String, u64>,
    gid: Option<u32>,
    uid: Option<u32>,
    capabilities: Option<Vec<String>>,
    dumpable: Option<bool>,
    #[serde(default)]
    no_new_privs: bool,
    #[serde(default = "yes")]
    reaped: bool,
    /// Read apart, as is the next; they stand here to be among the known names.
    #[serde(default, rename = "setup")]
    _setup: (),
    #[serde(default, rename = "reactions")]
    _reactions: (),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleName {
    Keyagent,
    Requester,
    Observer,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a type's name, or a list of them")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a process's name, or { process = \"NAME\", namespaces = [\"net\"] }")]
enum JoinSpec {
    All(String),
    Some { process: String, namespaces: Vec<Namespace> },
}

fn yes() -> bool {
    true
}

pub(super) fn read(name: &Key<'_>, value: Value<'_>) -> Result<ReadProcess, Vec<Problem>> {
    let span = value.span();
    let DeValue::Table(mut table) = value.into_inner() else {
        return Err(vec![Problem::new(span, "a process is a table").with_help("say [process.NAME]")]);
    };
    let mut problems = Vec::new();
    if !is_name(name.get_ref()) {
        problems.push(Problem::new(name.span(), format!("`{}` can't name a process", name.get_ref())).with_help(
            "use letters, digits, `-` and `_`, and none of the words of a step (as, expect, background, count, …)",
        ));
    }
    let setup = take_ops(&mut table, "setup", &mut problems);
    let reactions = take_reactions(&mut table, &mut problems);
    let spec: Option<Spec> = typed::table(Spanned::new(span, table), &mut problems);
    let (Some(spec), true) = (spec, problems.is_empty()) else { return Err(problems) };
    build(name, spec, setup, reactions)
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && !step::WORDS.contains(&name)
}

fn take_ops(
    table: &mut DeTable<'_>,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Vec<(step::ReadOp, Option<String>)> {
    let Some((_, value)) = typed::take(table, name) else { return Vec::new() };
    array(value, problems).into_iter().filter_map(|item| keep(step::read_setup(item), problems)).collect()
}

fn take_reactions(table: &mut DeTable<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Vec<step::ReadOp>>> {
    let (_, value) = typed::take(table, "reactions")?;
    let mut reactions = Vec::new();
    for reaction in array(value, problems) {
        let ops = array(reaction, problems);
        let ops = ops.into_iter().filter_map(|item| keep(step::read_setup(item), problems));
        reactions.push(ops.map(|(op, _)| op).collect());
    }
    Some(reactions)
}

fn array<'t>(value: Value<'t>, problems: &mut Vec<Problem>) -> DeArray<'t> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Array(items) => items,
        _ => {
            problems.push(Problem::new(span, "not a list").with_help("say [{ OPERATION = { … } }, …]"));
            DeArray::default()
        }
    }
}

fn build(
    name: &Key<'_>,
    spec: Spec,
    setup: Vec<(step::ReadOp, Option<String>)>,
    reactions: Option<Vec<Vec<step::ReadOp>>>,
) -> Result<ReadProcess, Vec<Problem>> {
    let place = name.span();
    let name = name.get_ref().to_string();
    let read_reactions = reactions.iter().flatten().flatten().cloned().collect();
    let read_setup: Vec<step::ReadOp> = setup.iter().map(|(op, _)| op.clone()).collect();
    let role = role(&spec, reactions)
        .map_err(|problem| vec![Problem { span: spec_place(&spec, &place), ..problem }])?;
    let mut setup: Vec<Setup> = setup.into_iter().map(|(op, save)| Setup { op: op.op, save }).collect();
    setup.extend(registrations(&name, &spec));

    let mut processes: Vec<Spanned<String>> = spec.parent.iter().chain(&spec.pid_of).cloned().collect();
    let join = spec.join.map(|join| {
        let place = join.span();
        let (process, namespaces) = match join.into_inner() {
            JoinSpec::All(process) => (process, Vec::new()),
            JoinSpec::Some { process, namespaces } => (process, namespaces),
        };
        processes.push(Spanned::new(place, process.clone()));
        Join { process, namespaces }
    });
    let map = if spec.unshare.contains(&Namespace::User) { vec![CONTAINER] } else { Vec::new() };
    let process = Process {
        name,
        role,
        start: spec.start,
        parent: spec.parent.map(Spanned::into_inner),
        pid_of: spec.pid_of.map(Spanned::into_inner),
        session: spec.session,
        holds: spec.holds.iter().map(|name| name.get_ref().clone()).collect(),
        join,
        unshare: spec.unshare,
        uid_map: spec.uid_map.unwrap_or_else(|| map.clone()),
        gid_map: spec.gid_map.unwrap_or(map),
        hostname: spec.hostname,
        rlimits: spec.rlimits,
        gid: spec.gid,
        uid: spec.uid,
        capabilities: spec.capabilities,
        dumpable: spec.dumpable,
        no_new_privs: spec.no_new_privs,
        reaped: spec.reaped,
        setup,
    };
    Ok(ReadProcess {
        process,
        name: place,
        processes,
        holds: spec.holds,
        setup: read_setup,
        reactions: read_reactions,
    })
}

/// Ids of a user namespace, unless the scenario says otherwise: root inside is nobody outside.
const CONTAINER: IdRange = IdRange { inside: 0, outside: 100_000, count: 65_536 };

fn spec_place(spec: &Spec, name: &Range<usize>) -> Range<usize> {
    spec.reject.as_ref().map_or(name.clone(), Spanned::span)
}

/// What the behaviour in words means in operations. The problem's place is left to the caller.
fn role(spec: &Spec, reactions: Option<Vec<Vec<step::ReadOp>>>) -> Result<Role, Problem> {
    let behaviours = [
        reactions.map(|reactions| {
            reactions.into_iter().map(|ops| ops.into_iter().map(|op| op.op).collect()).collect()
        }),
        spec.answer.clone().map(|payload| vec![vec![Op::Upcall(UpcallOp::Answer { payload, into: None })]]),
        spec.reject.clone().map(|error| vec![vec![deny(error.into_inner())]]),
        spec.negate.then(|| vec![vec![deny("ENOKEY".to_owned())]]),
        spec.hold.then(|| vec![Vec::new()]),
    ];
    let mut behaviours: Vec<Vec<Vec<Op>>> = behaviours.into_iter().flatten().collect();
    if let Some(error) = &spec.reject {
        super::expect::known(error.get_ref())?;
    }
    if behaviours.len() > 1 {
        return Err(Problem::new(0..0, "more than one behaviour")
            .with_help("say one of answer, reject, negate, hold, reactions"));
    }
    let reactions = behaviours.pop();
    let agent = match spec.role {
        Some(RoleName::Requester) => return requester_or(Role::Requester, spec, reactions.is_some()),
        Some(RoleName::Observer) => return requester_or(Role::Observer, spec, reactions.is_some()),
        None if spec.serves.is_none() && reactions.is_none() => return Ok(Role::Requester),
        Some(RoleName::Keyagent) | None => reactions,
    };
    let answer = || vec![vec![Op::Upcall(UpcallOp::Answer { payload: "{callout}".to_owned(), into: None })]];
    Ok(Role::Keyagent(Keyagent { hears: spec.hears, reactions: agent.unwrap_or_else(answer) }))
}

fn requester_or(role: Role, spec: &Spec, behaves: bool) -> Result<Role, Problem> {
    if spec.serves.is_some() || behaves {
        return Err(
            Problem::new(0..0, "only a keyagent serves and answers").with_help("say role = \"keyagent\"")
        );
    }
    Ok(role)
}

fn deny(error: String) -> Op {
    Op::Upcall(UpcallOp::Deny { error, seconds: 60, into: None })
}

/// `serves`: one key named like the process, or one for each type, named `PROCESS.TYPE`.
fn registrations(name: &str, spec: &Spec) -> Vec<Setup> {
    let register = |kind: &String, save: String| Setup {
        op: Op::Key(KeyOp::Register {
            kind: kind.clone(),
            with: spec.with.clone(),
            into: KeyRef::Special(Special::Session),
            by: Caller::Itself,
        }),
        save: Some(save),
    };
    match &spec.serves {
        None => Vec::new(),
        Some(OneOrMany::One(kind)) => vec![register(kind, name.to_owned())],
        Some(OneOrMany::Many(kinds)) => {
            kinds.iter().map(|kind| register(kind, format!("{name}.{kind}"))).collect()
        }
    }
}
