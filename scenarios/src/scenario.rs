//! A scenario: a plan, and what the plan is expected to show.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::Deserialize;

use crate::{
    plan::{Op, Permissions, Plan, ProcessOp},
    rule::Rule,
};

/// A scenario, read and found sound.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `FAMILY/NAME`, or `FAMILY/NAME[CASE]`.
    pub name: String,
    /// `FAMILY/NAME`: what the cases of a file have in common.
    pub file: String,
    /// The family: its folder's name.
    pub family: String,
    /// One sentence that says what it shows.
    pub title: String,
    /// The rules that it proves.
    pub rules: Vec<Rule>,
    /// Features that a guest must announce ([`crate::wire::Hello::features`]) for it to run there.
    pub needs: Vec<String>,
    /// Which case of its file it is. None: the file has no matrix.
    pub case: Option<Case>,
    /// Its file. The snapshot lies beside it, and is for all cases.
    pub path: PathBuf,
    /// What is to be expected of each step.
    pub expectations: Vec<Expectation>,
    pub(crate) plan: Plan,
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
    /// What the guest has to do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The snapshot's file.
    pub fn snapshot(&self) -> PathBuf {
        self.path.with_extension("snap")
    }

    /// The features that a guest must have: those that it names, a namespace of each kind that its processes have of their own or
    /// enter, and a shell for what they run.
    pub fn requirements(&self) -> Vec<String> {
        let lived_in = self.plan.processes.iter().flat_map(|process| {
            process.unshare.iter().chain(process.join.iter().flat_map(|join| &join.namespaces))
        });
        let moved_to = self.plan.ops().filter_map(|op| match op.core() {
            Op::Namespace(op) => Some(op.kinds()),
            _ => None,
        });
        let kinds = lived_in.chain(moved_to.flatten());
        let mut all: Vec<String> = kinds.map(|kind| kind.feature().to_owned()).collect();
        let runs = |op: &Op| matches!(op.core(), Op::Process(ProcessOp::Run { .. }));
        all.extend(self.plan.ops().any(runs).then(|| SHELL.to_owned()));
        all.extend(self.needs.iter().cloned());
        all.sort();
        all.dedup();
        all
    }

    /// The first feature that it needs and that is not among these.
    pub fn missing(&self, features: &[String]) -> Option<String> {
        self.requirements().into_iter().find(|need| !features.contains(need))
    }
}

/// The feature of a guest that has a shell.
pub const SHELL: &str = "shell";

/// What is expected of a step, whatever the snapshot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The outcome.
    pub outcome: Expect,
    /// It must not take longer, in milliseconds.
    pub within_ms: Option<u64>,
    /// It must take at least so long, in milliseconds.
    pub at_least_ms: Option<u64>,
}

/// The outcome that is expected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Outcome")]
pub enum Expect {
    /// Success.
    #[default]
    Ok,
    /// Failure with this errno.
    Error(#[schemars(with = "crate::errno::ErrnoName")] String),
    /// What a `wait` waited for did not happen in time.
    TimedOut,
    /// Success with this text.
    Text(String),
    /// Success with a text that contains this.
    Has(String),
    /// Success with a text that does not contain this.
    Lacks(String),
    /// Success with this number; of a command, its exit code.
    Number(i64),
    /// Success with so many lines, links, signals or notifications.
    Count(usize),
    /// Success with the serial that this variable holds.
    Key(String),
    /// Success with the serial of a key that is not this variable's.
    NotKey(String),
    /// An operation that was tried with each of its allocations failing: each of these tries ended in one of these, `ok` for
    /// success, and the last one, in which none failed, in success.
    Tries(Vec<String>),
    /// A key described so; what is left out may be anything.
    Described(Description),
    /// All of these at once.
    AllOf(Vec<Expect>),
    /// Any one of these: the outcome of a race.
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

/// What `keyctl describe` is expected to say.
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
