//! Plan: a scenario with everything resolved, ready to be carried out by the guest.
//!
//! **Processes.** Before the first step the guest's PID 1 starts every process with
//! [`Start::First`], in the order of [`Plan::processes`]. Each process comes after those that it
//! refers to, and is fully set up before the next one starts. It does one operation at a time. A
//! `keyagent` also serves upcalls whenever it is idle.
//!
//! **Steps** are carried out in order. A foreground step ends before the next one begins. A
//! background step runs in `count` children of the process ("workers"), while the next steps
//! follow. Workers share the session keyring of the process, but not its process and thread
//! keyrings. In a worker's description, callout and payload `{worker}` stands for its number.
//!
//! **Blocks.** Steps of a [`Block`] are carried out several times, or begun at the same moment.
//! `{round}` in their descriptions, callouts and payloads stands for the number of the round, from
//! 0.
//!
//! **The end.** A plan ends when its last step and all background steps have ended, and every
//! running keyagent that is not stopped has finished its reaction. Then all remaining processes are
//! killed and reaped.
//!
//! **Variables.** A name stands for a serial from the moment that an operation with `save` has
//! returned one. PID 1 keeps the table, and replaces each [`KeyRef`] before a process receives the
//! operation. When a keyagent receives an upcall, the variable `NAME.target` (NAME is the
//! keyagent's) is set to the target's serial, so that other processes can use it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::key_ref::{KeyRef, Special};
pub use crate::op::{
    Caller, Command, Condition, DefaultKeyring, Forgery, Group, Ids, Namespace, Op, Params, Payload,
    Permissions, REJECTED_SECONDS, Registration,
};

/// A scenario, ready to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of its wire format.
    pub protocol: u32,
    /// [`crate::Scenario::name`].
    pub name: String,
    /// Time limit of the whole plan in milliseconds, after which all its processes are killed.
    pub deadline_ms: u64,
    /// Values for files under /proc/sys, by path with slashes as in `kernel/keys/gc_delay`. They
    /// are set before the first process starts. The guest restores the old values when the plan
    /// ends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// The processes, in the order in which they are set up.
    pub processes: Vec<Process>,
    pub steps: Vec<Step>,
    /// Steps that are repeated or raced. In order; none overlaps another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// Seed of the intervals between the starts of raced steps. None: the rounds use a few fixed
    /// intervals in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Plan {
    /// Returns the operations of all set-ups, reactions and steps.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        self.processes.iter().flat_map(Process::ops).chain(self.steps.iter().map(|step| &step.op))
    }

    pub fn block_of(&self, step: usize) -> Option<&Block> {
        self.blocks.iter().find(|block| block.steps().contains(&step))
    }
}

/// Steps that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Index of its first step.
    pub first: usize,
    pub count: usize,
    pub order: Order,
    pub repeat: u32,
}

impl Block {
    pub fn steps(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// Sequence of the steps of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// One after the other.
    #[default]
    Given,
    /// Each by a process of its own, all begun at the same moment. The block ends when all have ended.
    Raced,
}

/// A process in its state before the first step.
///
/// A new child of PID 1, or of [`Process::parent`], gets the properties below in the order of the
/// fields. Every process blocks all real-time signals from the start, so that none is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub name: String,
    pub role: Role,
    #[serde(default)]
    pub start: Start,
    /// The process that forks it, from which it inherits keyrings, namespaces and ids. None: PID 1,
    /// which is root in the initial namespaces and has no session keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The process whose pid it gets. That process must have been reaped, or this one can't be
    /// created. None: any pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_of: Option<String>,
    #[serde(default)]
    pub session: Session,
    /// Variables whose keys are linked into its session keyring before it enters its namespaces,
    /// regardless of their permissions. (For example: their creator links them into a keyring that
    /// all users may use. The new process, still root, links that keyring into its session keyring,
    /// which makes it a possessor of the keys. It links the keys, and unlinks the keyring. Each key
    /// needs a keyring of its own there: two agents for one type would displace each other.)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_keys: Vec<String>,
    /// Processes whose namespaces it enters in this order by `setns(pidfd)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<Join>,
    /// Its own namespaces. With `pid` it is the init process of its pid namespace. `user` comes
    /// first, with the maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unshare: Vec<Namespace>,
    /// User ids that PID 1 writes to uid_map, if it has its own user namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdRange>,
    /// Group ids that PID 1 writes to gid_map, if it has its own user namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdRange>,
    /// Host name to set, if it has a UTS namespace of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Soft and hard limits, by the name in getrlimit(2) without `RLIMIT_` and in lower case
    /// (`sigpending`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rlimits: BTreeMap<String, u64>,
    /// Real, effective and saved group id, as in its user namespace; supplementary groups are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Real, effective and saved user id, as in its user namespace. Leaving 0 drops capabilities as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The permitted, effective and bounding sets of capabilities, by name without `CAP_` and in
    /// lower case (`sys_ptrace`). They are kept across the change of ids. None: those that the ids
    /// leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// PR_SET_DUMPABLE, after the change of ids. None: 1, since a change of ids would otherwise have cleared it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dumpable: Option<bool>,
    /// PR_SET_NO_NEW_PRIVS.
    #[serde(default)]
    pub no_new_privs: bool,
    /// Smack's label, which its keys get as well. It has it before its session keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// True if PID 1 reaps it as soon as it has ended. Otherwise it stays a zombie until a
    /// [`Op::Reap`] or the plan's end.
    #[serde(default = "yes")]
    pub reaped: bool,
    /// Texts of files by their absolute paths. They are written when it is root of its user namespace. The
    /// directory at the root that a file is in becomes a copy in its own mount namespace first, so that
    /// nobody else sees the file. A text that begins with `#!` is executable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Its first operations, in order: keyrings to create, keys to add, a type to register for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<Setup>,
}

impl Process {
    /// Returns the operations of its set-up and its reactions.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        let reactions = match &self.role {
            Role::Keyagent(agent) => agent.reactions.as_slice(),
            Role::Requester | Role::Observer | Role::Program(_) => &[],
        };
        self.setup.iter().map(|setup| &setup.op).chain(reactions.iter().flatten())
    }
}

/// Function of a process besides its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Keyagent(Keyagent),
    Requester,
    /// Observes, or interferes.
    Observer,
    /// Executes a program once it is set up, and does no operation.
    Program(Program),
}

/// A real program. It has no input. What it prints is kept for the report of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// One of [`crate::programs::PROGRAMS`].
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

/// Upcall handling of a keyagent.
///
/// A signal or a notification announces an upcall. The upcall is reported as an event and starts a
/// reaction, whose calls are reported one by one. An upcall that its reaction has not completed is
/// held: a later step `answer`s or `deny`s it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyagent {
    /// Channel on which it receives upcalls.
    #[serde(default)]
    pub hears: Hears,
    /// Reactions to its first upcall, its second, and so on; the last one is for all that follow.
    /// An empty reaction holds the upcall. An operation that fails does not end its reaction.
    /// [`KeyRef::Target`] and [`KeyRef::Authkey`] in a reaction are those of its upcall.
    pub reactions: Vec<Vec<Op>>,
}

/// Channel on which a keyagent receives upcalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Hears {
    /// Any real-time signal, through a signalfd.
    #[default]
    Signal,
    /// Notifications of its process keyring (R28); its signals stay blocked and pending.
    Watch,
    /// It does not listen: signals stay pending until a step takes them.
    Nothing,
}

/// Time of a process's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Before the first step.
    #[default]
    First,
    /// At a step with `start`.
    Step,
}

/// A process's session keyring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// A new anonymous one.
    #[default]
    Fresh,
    /// Its parent's. A child of PID 1 therefore has none.
    Inherited,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The process that is in them.
    pub process: String,
    pub namespaces: Vec<Namespace>,
}

/// One line of an id map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside, in the user namespace above.
    pub outside: u32,
    /// Number of ids.
    pub count: u32,
}

impl IdRange {
    /// The default map of a user namespace.
    pub const DEFAULT: Self = Self { inside: 0, outside: 100_000, count: 65_536 };
}

/// An operation before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    pub op: Op,
    /// The variable for the serial that it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
}

/// An operation of a process, with its circumstances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub process: String,
    pub op: Op,
    /// The variable for the serial that it gives; the first worker's, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
    /// Begin it, under this name, and go on with the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Number of workers of a background step. All are forked first, and then start together.
    #[serde(default = "one")]
    pub count: u32,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}
