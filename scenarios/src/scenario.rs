//! A scenario: a plan and its expectations.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::Deserialize;

use crate::{
    plan::{Op, Permissions, Plan, Role},
    rule::Rule,
};

/// A scenario without errors.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `FAMILY/NAME`, or `FAMILY/NAME[CASE]`.
    pub name: String,
    /// `FAMILY/NAME`, common to the cases of a file.
    pub file: String,
    /// The family: its folder's name.
    pub family: String,
    /// The rule that it proves, in one sentence.
    pub title: String,
    pub rules: Vec<Rule>,
    /// Features that a guest must announce ([`crate::wire::Hello::features`]) for it to run there.
    pub needs: Vec<String>,
    /// The case of its file. None: the file has no matrix.
    pub case: Option<Case>,
    /// Its file. The snapshot lies beside it, and is for all cases.
    pub path: PathBuf,
    pub title_position: Position,
    /// Expected outcome of each step.
    pub expectations: Vec<Expectation>,
    pub(crate) plan: Plan,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Position {
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

/// A case of a file with a matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// As in `end=kill,waiters=64`.
    pub label: String,
    /// The labels of all the cases, in the file's order.
    pub all: Arc<[String]>,
}

impl Scenario {
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn snapshot(&self) -> PathBuf {
        self.path.with_extension("snap")
    }

    /// Returns the features that a guest must have. These are the features that it names, a
    /// namespace of each kind that its processes create or enter, its programs, and a shell for
    /// their commands.
    pub fn requirements(&self) -> Vec<String> {
        let lived_in = self.plan.processes.iter().flat_map(|process| {
            process.unshare.iter().chain(process.join.iter().flat_map(|join| &join.namespaces))
        });
        let moved_to = self.plan.ops().filter_map(|op| match op.core() {
            Op::Unshare { namespaces } | Op::Enter { namespaces, .. } => Some(namespaces),
            _ => None,
        });
        let kinds = lived_in.chain(moved_to.flatten());
        let mut all: Vec<String> = kinds.map(|kind| kind.feature().to_owned()).collect();
        let programs = self.plan.processes.iter().filter_map(|process| match &process.role {
            Role::Program(program) => Some(program.name.clone()),
            _ => None,
        });
        all.extend(programs);
        let runs = |op: &Op| matches!(op.core(), Op::Run { .. });
        all.extend(self.plan.ops().any(runs).then(|| SHELL.to_owned()));
        all.extend(self.needs.iter().cloned());
        all.sort();
        all.dedup();
        all
    }

    /// Returns the first required feature that is not among these, or `None`.
    pub fn missing(&self, features: &[String]) -> Option<String> {
        self.requirements().into_iter().find(|need| !features.contains(need))
    }
}

/// The feature of a guest that has a shell.
pub const SHELL: &str = "shell";

/// Expected outcome and duration of a step, regardless of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Place of the step's operation.
    pub position: Position,
    pub outcome: Expect,
    /// Upper bound of the duration in milliseconds.
    pub within_ms: Option<u64>,
    /// Lower bound of the duration in milliseconds.
    pub at_least_ms: Option<u64>,
}

/// Expected outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Outcome")]
pub enum Expect {
    /// Success.
    #[default]
    Ok,
    /// Failure with this errno.
    Error(#[schemars(with = "crate::errno::ErrnoName")] String),
    /// A `wait` that reached its limit.
    TimedOut,
    /// Success with this text.
    Text(String),
    /// Success with a text that contains this.
    Has(String),
    /// Success with a text that does not contain this.
    Lacks(String),
    /// Success with this number; of a command, its exit code.
    Number(i64),
    /// Success with this number of lines, links, signals or notifications.
    Count(usize),
    /// Success with the serial that this variable holds.
    Key(String),
    /// Success with the serial of a key that is not this variable's.
    NotKey(String),
    /// A repetition with each allocation failing. Each of these tries had one of these results
    /// (`ok`: success), and the last try, in which no allocation failed, was a success.
    Tries(Vec<String>),
    /// A key with these attributes. Those that are left out may have any value.
    Described(Description),
    /// All of these at once.
    AllOf(Vec<Expect>),
    /// Any one of these: a race decides.
    AnyOf(Vec<Expect>),
}

impl fmt::Display for Expect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all =
            |several: &[Self], word: &str| several.iter().map(Self::to_string).collect::<Vec<_>>().join(word);
        match self {
            Self::Ok => out.write_str("success"),
            Self::Error(name) => out.write_str(name),
            Self::TimedOut => out.write_str("a time-out"),
            Self::Text(text) => write!(out, "{text:?}"),
            Self::Has(part) => write!(out, "something with {part:?}"),
            Self::Lacks(part) => write!(out, "something without {part:?}"),
            Self::Number(number) => write!(out, "{number}"),
            Self::Count(count) => write!(out, "{count} of them"),
            Self::Tries(allowed) => {
                write!(out, "tries that end in {}, the last in success", allowed.join(" or "))
            }
            Self::Key(name) => write!(out, "the key `{name}`"),
            Self::NotKey(name) => write!(out, "another key than `{name}`"),
            Self::Described(description) => write!(out, "{description:?}"),
            Self::AllOf(several) => out.write_str(&all(several, " and ")),
            Self::AnyOf(several) => out.write_str(&all(several, " or ")),
        }
    }
}

/// Expected parts of the output of `keyctl describe`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Key type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Permissions.
    pub perm: Option<Permissions>,
    /// Description.
    pub description: Option<String>,
}
