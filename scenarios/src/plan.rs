//! A plan: a scenario with everything resolved, ready to be carried out by the guest.
//!
//! **Processes.** Before the first step the guest's PID 1 starts every process with [`Start::First`], one after another in the
//! order of [`Plan::processes`] (whatever a process refers to comes before it), each one fully set up before the next. Each is
//! an actor: it does one operation at a time, as told. A `keyagent` also serves upcalls whenever it is idle.
//!
//! **Steps** are carried out in order. A foreground step ends before the next one begins. A background step is begun and left
//! running, in `count` children of the process ("workers"); they share its session keyring, but not its process and
//! thread keyrings. In a worker's description, callout and payload `{worker}` stands for its number.
//!
//! **Blocks.** Steps of a [`Block`] are carried out several times, or begun at the same moment. `{round}` in their descriptions,
//! callouts and payloads stands for the number of the round, from 0.
//!
//! **The end.** A plan ends when its last step and all background steps have ended, and every keyagent that is alive and not
//! stopped has finished the reaction that it was in. Then everything that still lives is killed and reaped.
//!
//! **Variables.** A name stands for a serial from the moment that an operation with `save` has given one. PID 1 keeps the table,
//! and replaces each [`KeyRef`] before an actor sees the operation. Whenever a keyagent hears of an upcall, the variable
//! `NAME.target` (NAME is the keyagent's) is set to the target's serial, so that other processes can meddle with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::key_ref::{KeyRef, Special};
pub use crate::op::{
    AuthorityOp, Caller, Command, Condition, ControlOp, DefaultKeyring, FaultInjectionOp, Forgery, Ids,
    InspectOp, KeyOp, KeyringOp, Namespace, NamespaceOp, Op, Params, Payload, Permissions, ProcessOp,
    Registration, SignalOp, SuspendOp, SystemOp, ThreadOp, UpcallOp,
};

/// A scenario, ready to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of the wire format that it is written in.
    pub protocol: u32,
    /// [`crate::Scenario::name`].
    pub name: String,
    /// The whole plan may take this long, in milliseconds; then everything of it is killed.
    pub deadline_ms: u64,
    /// Values for files under /proc/sys, by path with slashes as in `kernel/keys/gc_delay`. Set before the first process starts;
    /// the guest restores the old values when the plan ends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// The processes, in the order in which they are set up.
    pub processes: Vec<Process>,
    /// What they do, in order.
    pub steps: Vec<Step>,
    /// Steps that are not simply carried out once, one after the other. In order; none overlaps another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// What decides how far apart raced steps begin. None: the rounds try a few distances out in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Plan {
    /// Everything that anybody is told to do, by steps, set-up and reactions.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        let own = self.processes.iter().flat_map(|process| {
            let reactions = match &process.role {
                Role::Keyagent(agent) => agent.reactions.as_slice(),
                Role::Requester | Role::Observer => &[],
            };
            process.setup.iter().map(|setup| &setup.op).chain(reactions.iter().flatten())
        });
        own.chain(self.steps.iter().map(|step| &step.op))
    }

    /// The block that a step is in.
    pub fn block_of(&self, step: usize) -> Option<&Block> {
        self.blocks.iter().find(|block| block.steps().contains(&step))
    }
}

/// Steps that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Index of its first step.
    pub first: usize,
    /// How many steps it has.
    pub count: usize,
    /// How they follow each other.
    pub order: Order,
    /// How many times all of them are carried out.
    pub repeat: u32,
}

impl Block {
    /// The indices of its steps.
    pub fn steps(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// How the steps of a block follow each other.
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

/// A process: what it is before its first step.
///
/// A fresh child of PID 1, or of [`Process::parent`], becomes what the fields say in the order in which they stand here.
/// Every process blocks all real-time signals from the start, so that none is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its name in the scenario.
    pub name: String,
    /// What it does besides its steps.
    pub role: Role,
    /// When it starts.
    #[serde(default)]
    pub start: Start,
    /// The process that forks it, and whose keyrings, namespaces and ids it starts from. None: PID 1, which is root in the initial
    /// namespaces and has no session keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The process whose pid it gets; that one has ended and been reaped, or there is no such process to be had. None: any pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_of: Option<String>,
    /// Which session keyring it has.
    #[serde(default)]
    pub session: Session,
    /// Variables whose keys are linked into its session keyring before it enters its namespaces, whatever their permissions are.
    /// (For example: their creator links them into a keyring that everybody may use; the new process, still root, links that
    /// keyring into its session keyring, which makes it a possessor of what is in it, links the keys, and unlinks the keyring.
    /// Each key needs a keyring of its own there: two agents for one type would displace each other.)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_keys: Vec<String>,
    /// Whose namespaces it enters, one after the other. They are entered by `setns(pidfd)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<Join>,
    /// Namespaces of its own; with `pid` it is the init process of its pid namespace. `user` comes first, with the maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unshare: Vec<Namespace>,
    /// Written by PID 1 to uid_map, where it has a user namespace of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdRange>,
    /// Likewise gid_map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdRange>,
    /// Host name to set, where it has a UTS namespace of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Limits, by the name in getrlimit(2) without `RLIMIT_` and in lower case (`sigpending`); soft and hard alike.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rlimits: BTreeMap<String, u64>,
    /// Real, effective and saved group id, as in its user namespace; supplementary groups are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Real, effective and saved user id, as in its user namespace. Leaving 0 drops capabilities as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Exactly these capabilities in the permitted, effective and bounding sets, by name without `CAP_` and in lower case
    /// (`sys_ptrace`), kept across the change of ids. None: what the ids leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// PR_SET_DUMPABLE, after the change of ids. None: 1, since a change of ids would otherwise have cleared it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dumpable: Option<bool>,
    /// PR_SET_NO_NEW_PRIVS.
    #[serde(default)]
    pub no_new_privs: bool,
    /// Whether PID 1 reaps it as soon as it has ended. If not, it stays a zombie until an [`ControlOp::Reap`] or the plan's end.
    #[serde(default = "yes")]
    pub reaped: bool,
    /// What it does first of all, in order: keyrings to create, keys to add, a type to register for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<Setup>,
}

/// What a process does besides its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Serves upcalls.
    Keyagent(Keyagent),
    /// Asks for keys.
    Requester,
    /// Looks on, or meddles.
    Observer,
}

/// How a keyagent serves.
///
/// An upcall is heard of by signal or notification, reported as an event, and met with a reaction, whose calls
/// are reported one by one. One that its reaction has not completed is held: a later step `answer`s or `deny`s it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyagent {
    /// How it hears of upcalls.
    #[serde(default)]
    pub hears: Hears,
    /// What it does for its first upcall, its second, and so on; the last one is for all that follow. An empty reaction
    /// holds the upcall. An operation that fails does not end its reaction. In a reaction [`KeyRef::Target`] and [`KeyRef::Authkey`] are those of its upcall.
    pub reactions: Vec<Vec<Op>>,
}

/// How a keyagent hears of upcalls.
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

/// When a process starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Before the first step.
    #[default]
    First,
    /// When a step says `start`.
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
    /// Its parent's. A child of PID 1 so has none.
    Inherited,
}

/// Namespaces to enter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The process that is in them.
    pub process: String,
    /// Which of its namespaces.
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
    /// How many.
    pub count: u32,
}

impl IdRange {
    /// What a user namespace gets for which nothing is said.
    pub const DEFAULT: Self = Self { inside: 0, outside: 100_000, count: 65_536 };
}

/// An operation before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What to do.
    pub op: Op,
    /// The variable for the serial that it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
}

/// Something that a process is told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Who.
    pub process: String,
    /// What.
    pub op: Op,
    /// The variable for the serial that it gives; the first worker's, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
    /// Begin it, under this name, and go on with the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// How many workers of a background step do the same at once; they are forked first, and then let go together.
    #[serde(default = "one")]
    pub count: u32,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}
