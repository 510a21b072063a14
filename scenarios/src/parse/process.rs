//! Parser of `[process.NAME]`.

use std::{collections::BTreeMap, ops::Range};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    deserialize::{self, Key, Value, keep},
    old_words, on_upcall, program, step,
};
use crate::{
    diagnostics::Problem,
    plan::{
        Caller, Hears, IdRange, Join, KeyRef, Keyagent, Namespace, Op, Process, Registration, Role, Session,
        Setup, Special, Start,
    },
};

/// A process with the places of what it refers to.
pub(super) struct ParsedProcess {
    pub(super) process: Process,
    pub(super) name: Range<usize>,
    /// Names of processes, each with its place.
    pub(super) processes: Vec<Spanned<String>>,
    /// Names of the variables whose keys are in its session keyring from the start.
    pub(super) session_keys: Vec<Spanned<String>>,
    /// Operations of set-up and reactions.
    pub(super) setup: Vec<step::ParsedOp>,
    pub(super) reactions: Vec<step::ParsedOp>,
}

impl ParsedProcess {
    pub(super) fn is_program(&self) -> bool {
        matches!(self.process.role, Role::Program(_))
    }
}

/// A process: its state before the first step, and its handling of upcalls.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Process")]
pub(super) struct Spec {
    /// Its role, unless another field implies it. A process with `serves` or `on_upcall` is a
    /// keyagent, and any other is a requester.
    #[schemars(with = "Option<RoleName>")]
    role: Option<Spanned<RoleName>>,
    /// A real program that the process is, as a list of its name and its arguments; the guest has it from the host. Its
    /// environment has `PATH` alone, and its input is empty. It takes no steps but `start`, `wait` and `reap`; what it
    /// prints is shown when the scenario fails. Its agents' keys are found by those who have its session keyring, such
    /// as the parent of a process with `session = "inherited"`.
    #[serde(default, rename = "program")]
    #[schemars(with = "OneOrMore<String>")]
    _program: (),
    /// Files of its own, by absolute path, each with its text. The directory at the root that a file is in becomes a
    /// copy in its mount namespace, so that nobody else sees the file: `unshare` has to have `mount`. A text that
    /// begins with `#!` is executable. All texts together have at most 64 KiB. A symbolic link in the place of a file
    /// is replaced, and one in its path is refused.
    #[serde(default, rename = "files")]
    #[schemars(with = "BTreeMap<String, String>")]
    _files: (),
    /// The types for which it registers as keyagent, in its session keyring. Its key has the name
    /// of the process, or, with several types, `PROCESS.TYPE`.
    serves: Option<OneOrMany>,
    /// Payload of its registrations: the signal, or more.
    #[serde(default)]
    with: Registration,
    /// A keyagent's action on every upcall. A list has actions for the first upcall, the second, …; the last is for all that
    /// follow. Without it: answer `{callout}`.
    // Parsed separately, as is `setup`. They are here because they are among the known names.
    #[serde(default, rename = "on_upcall")]
    #[schemars(with = "OneOrMore<on_upcall::Action>")]
    _on_upcall: (),
    /// Channel on which a keyagent receives upcalls.
    #[serde(default)]
    hears: Hears,
    /// Time of its start.
    #[serde(default)]
    start: Start,
    /// The process that forks it. Without it: PID 1 of the guest, root in the initial namespaces.
    #[schemars(with = "Option<String>")]
    parent: Option<Spanned<String>>,
    /// The process whose pid it gets, which has ended and been reaped. Without it: any pid.
    #[schemars(with = "Option<String>")]
    pid_of: Option<Spanned<String>>,
    /// Origin of its session keyring.
    #[serde(default)]
    session: Session,
    /// Agents' keys that are linked into its session keyring from the start, regardless of their
    /// permissions.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    session_keys: Vec<Spanned<String>>,
    /// Other processes whose namespaces it enters.
    #[serde(default)]
    #[schemars(with = "OneOrMore<JoinSpec>")]
    join: Vec<Spanned<JoinSpec>>,
    /// Namespaces of its own.
    #[serde(default)]
    unshare: Vec<Namespace>,
    /// User ids of its user namespace. Without it: 0 inside is 100000 outside, for 65536 ids.
    uid_map: Option<Vec<IdRange>>,
    /// Group ids of its user namespace. Without it: 0 inside is 100000 outside, for 65536 ids.
    gid_map: Option<Vec<IdRange>>,
    /// Its host name, if it has a UTS namespace of its own.
    hostname: Option<String>,
    /// Soft and hard limits by the name in getrlimit(2) without `RLIMIT_` and in lower case, as in
    /// `sigpending`.
    #[serde(default)]
    rlimits: BTreeMap<String, u64>,
    /// Its group id, as in its user namespace.
    gid: Option<u32>,
    /// Its user id, as in its user namespace.
    uid: Option<u32>,
    /// All its capabilities, without `CAP_` and in lower case, as in `sys_ptrace`. Without it:
    /// those that its ids leave.
    capabilities: Option<Vec<String>>,
    /// PR_SET_DUMPABLE. Without it: true.
    dumpable: Option<bool>,
    /// PR_SET_NO_NEW_PRIVS: no new privileges can be gained.
    #[serde(default)]
    no_new_privs: bool,
    /// Its label of the security module Smack, which the keys that it makes get as well.
    label: Option<String>,
    /// Reap it as soon as it has ended. If not, it stays a zombie until a step with `reap`.
    #[serde(default = "yes")]
    reaped: bool,
    /// Operations before the first step, in order.
    #[serde(default, rename = "setup")]
    #[schemars(with = "Vec<step::SetupSpec>")]
    _setup: (),
}

/// Function of a process besides its steps.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Role")]
enum RoleName {
    /// Serves upcalls for the types that its set-up or a step registers.
    Keyagent,
    /// Requests keys. The default.
    #[schemars(skip)]
    Requester,
    /// Observes, or interferes.
    Observer,
}

/// A type's name, or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a type's name, or a list of them")]
#[schemars(rename = "Types")]
enum OneOrMany {
    /// One type.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// One value, or a list of values.
// For the schema only. A single value is made a list before it is read: serde loses the places of
// untagged values.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[allow(dead_code)]
enum OneOrMore<T> {
    /// One.
    One(T),
    /// Several, one after the other.
    More(Vec<T>),
}

/// Namespaces to enter.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a process's name, or { process = \"NAME\", namespaces = [\"net\"] }"
)]
#[schemars(rename = "Join")]
enum JoinSpec {
    /// All namespaces that this process has of its own, or has joined.
    All(String),
    /// Some of another process's namespaces.
    Some {
        /// The process.
        process: String,
        /// Kinds of namespaces to enter.
        namespaces: Vec<Namespace>,
    },
}

fn yes() -> bool {
    true
}

pub(super) fn read(name: &Key<'_>, value: Value<'_>) -> Result<ParsedProcess, Vec<Problem>> {
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
    let program = program::take(&mut table, &mut problems);
    let files = program::take_files(&mut table, &mut problems);
    let setup = take_ops(&mut table, "setup", &mut problems);
    old_words::refuse(&mut table, &mut problems);
    list_alone(&mut table, "join");
    list_alone(&mut table, "on_upcall");
    let reactions = deserialize::take(&mut table, "on_upcall")
        .and_then(|(_, value)| keep(on_upcall::read(value), &mut problems));
    let place = |word: &str| table.keys().find(|key| *key.get_ref() == word).map(Spanned::span);
    let (hears, with) = (place("hears"), place("with"));
    let spec: Option<Spec> = deserialize::table(Spanned::new(span, table), &mut problems);
    let (Some(spec), true) = (spec, problems.is_empty()) else { return Err(problems) };
    problems.extend(hears.and_then(|place| unheard(&spec, reactions.is_some(), place)));
    problems.extend(with.and_then(|place| unregistered(&spec, place)));
    problems.extend(repeated(&spec.session_keys));
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut read = build(name, spec, setup, reactions)?;
    read.process.files = files;
    if let Some(program) = program {
        read.process.role = Role::Program(program);
    }
    Ok(read)
}

/// Refuses `hears` where no upcalls come.
fn unheard(spec: &Spec, has_reactions: bool, place: Range<usize>) -> Option<Problem> {
    let says_so = spec.role.as_ref().is_some_and(|role| matches!(role.get_ref(), RoleName::Keyagent));
    let is_keyagent = spec.serves.is_some() || has_reactions || says_so;
    (!is_keyagent && spec.hears != Hears::default()).then(|| {
        Problem::new(place, "only a keyagent has `hears`")
            .with_help("say serves = \"TYPE\", or delete `hears`")
    })
}

/// Refuses `with` where nothing is registered with it.
fn unregistered(spec: &Spec, place: Range<usize>) -> Option<Problem> {
    spec.serves.is_none().then(|| {
        Problem::new(place, "`with` has no effect without `serves`").with_help(
            "say serves = \"TYPE\", or put `with` into the operation: register = { type = \"TYPE\", with = { … } }",
        )
    })
}

/// Refuses every name that stands in a list before.
fn repeated(names: &[Spanned<String>]) -> Vec<Problem> {
    let is_repeated = |(index, name): &(usize, &Spanned<String>)| {
        names[..*index].iter().any(|other| other.get_ref() == name.get_ref())
    };
    let repeated = names.iter().enumerate().filter(is_repeated);
    repeated
        .map(|(_, name)| {
            let message = format!("`{}` is already in the list", name.get_ref());
            Problem::new(name.span(), message).with_help("leave one of them out")
        })
        .collect()
}

/// Converts a single value into a list.
pub(super) fn list_alone(table: &mut DeTable<'_>, name: &str) {
    if let Some(value) = table.get_mut(name).filter(|value| !value.get_ref().is_array()) {
        let alone = Spanned::new(value.span(), std::mem::replace(value.get_mut(), DeValue::Boolean(false)));
        *value.get_mut() = DeValue::Array(std::iter::once(alone).collect());
    }
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
) -> Vec<(step::ParsedOp, Option<String>)> {
    let Some((_, value)) = deserialize::take(table, name) else { return Vec::new() };
    let span = value.span();
    let DeValue::Array(items) = value.into_inner() else {
        problems.push(Problem::new(span, "not a list").with_help("say [{ OPERATION = { … } }, …]"));
        return Vec::new();
    };
    items.into_iter().filter_map(|item| keep(step::read_setup(item), problems)).collect()
}

fn build(
    name: &Key<'_>,
    spec: Spec,
    setup: Vec<(step::ParsedOp, Option<String>)>,
    reactions: Option<Vec<Vec<step::ParsedOp>>>,
) -> Result<ParsedProcess, Vec<Problem>> {
    let place = name.span();
    let name = name.get_ref().to_string();
    let read_reactions = reactions.iter().flatten().flatten().cloned().collect();
    let read_setup: Vec<step::ParsedOp> = setup.iter().map(|(op, _)| op.clone()).collect();
    let role = role(&spec, reactions)?;
    let mut setup: Vec<Setup> = setup.into_iter().map(|(op, save)| Setup { op: op.op, save }).collect();
    setup.extend(registrations(&name, &spec));

    let mut processes: Vec<Spanned<String>> = spec.parent.iter().chain(&spec.pid_of).cloned().collect();
    let join = spec.join.into_iter().map(|join| {
        let place = join.span();
        let (process, namespaces) = match join.into_inner() {
            JoinSpec::All(process) => (process, Vec::new()),
            JoinSpec::Some { process, namespaces } => (process, namespaces),
        };
        processes.push(Spanned::new(place, process.clone()));
        Join { process, namespaces }
    });
    let join = join.collect();
    let map = if spec.unshare.contains(&Namespace::User) { vec![IdRange::DEFAULT] } else { Vec::new() };
    let process = Process {
        name,
        role,
        start: spec.start,
        parent: spec.parent.map(Spanned::into_inner),
        pid_of: spec.pid_of.map(Spanned::into_inner),
        session: spec.session,
        session_keys: spec.session_keys.iter().map(|name| name.get_ref().clone()).collect(),
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
        label: spec.label,
        reaped: spec.reaped,
        files: BTreeMap::new(),
        setup,
    };
    Ok(ParsedProcess {
        process,
        name: place,
        processes,
        session_keys: spec.session_keys,
        setup: read_setup,
        reactions: read_reactions,
    })
}

/// Determines the role of a process. An explicit `role` that is implied or contradicted is an error.
fn role(spec: &Spec, reactions: Option<Vec<Vec<step::ParsedOp>>>) -> Result<Role, Problem> {
    let implied_by = match (&spec.serves, &reactions) {
        (Some(_), _) => Some("serves"),
        (None, Some(_)) => Some("on_upcall"),
        (None, None) => None,
    };
    let ops = |reaction: Vec<step::ParsedOp>| reaction.into_iter().map(|op| op.op).collect();
    let answer = || vec![vec![Op::Answer { payload: "{callout}".to_owned(), into: None }]];
    let keyagent = |reactions: Option<Vec<Vec<step::ParsedOp>>>| {
        let reactions = reactions.map(|all| all.into_iter().map(ops).collect());
        Role::Keyagent(Keyagent { hears: spec.hears, reactions: reactions.unwrap_or_else(answer) })
    };
    let Some(role) = &spec.role else {
        return Ok(if implied_by.is_some() { keyagent(reactions) } else { Role::Requester });
    };
    let refuse = |message: &str| Err(Problem::new(role.span(), message).with_help("delete `role`"));
    match (role.get_ref(), implied_by) {
        (RoleName::Keyagent, Some(word)) => refuse(&format!("`{word}` already makes it a keyagent")),
        (_, Some(word)) => refuse(&format!("only a keyagent has `{word}`")),
        (RoleName::Keyagent, None) => Ok(keyagent(reactions)),
        (RoleName::Requester, None) => refuse("a process is a requester unless it says otherwise"),
        (RoleName::Observer, None) => Ok(Role::Observer),
    }
}

/// `serves`: one key named like the process, or one for each type, named `PROCESS.TYPE`.
fn registrations(name: &str, spec: &Spec) -> Vec<Setup> {
    let register = |kind: &String, save: String| Setup {
        op: Op::Register {
            kind: kind.clone(),
            with: spec.with.clone(),
            into: KeyRef::Special(Special::Session),
            by: Caller::Itself,
        },
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
