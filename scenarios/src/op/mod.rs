//! Operations of a process, with the same names in a scenario and on the wire.
//!
//! Every error comes from the kernel. An operation makes the call and reports its result, with
//! valid and invalid arguments.

mod arguments;
mod default;
mod group;
mod payload;
mod perm;
mod registration;

use std::{collections::BTreeMap, iter};

use serde::{Deserialize, Serialize};

pub use arguments::{Command, Condition, DefaultKeyring, Forgery, Ids, Namespace};
pub use default::REJECTED_SECONDS;
pub use group::Group;
pub use payload::Payload;
pub use perm::Permissions;
pub use registration::{Caller, Params, Registration};

use crate::key_ref::KeyRef;

/// An operation and its arguments: `OPERATION = { … }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "host",
    derive(schemars::JsonSchema),
    schemars(rename = "Operation", transform = crate::schema::one_of_these)
)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    // Keyrings.
    /// KEYCTL_JOIN_SESSION_KEYRING. Gives the serial.
    JoinSession {
        /// Without it: a new anonymous one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// KEYCTL_GET_KEYRING_ID. Gives the serial.
    Keyring {
        /// A special keyring.
        key: KeyRef,
        /// Create it if it doesn't exist.
        #[serde(default = "default::yes")]
        create: bool,
    },
    /// KEYCTL_CLEAR.
    Clear {
        /// The keyring.
        key: KeyRef,
    },
    /// KEYCTL_LINK.
    Link {
        /// The key.
        key: KeyRef,
        /// The keyring.
        into: KeyRef,
    },
    /// KEYCTL_UNLINK.
    Unlink {
        /// The key.
        key: KeyRef,
        /// The keyring.
        from: KeyRef,
    },
    /// KEYCTL_MOVE.
    Move {
        /// The key.
        key: KeyRef,
        /// The keyring that it leaves.
        from: KeyRef,
        /// The keyring that it enters.
        into: KeyRef,
    },
    /// KEYCTL_RESTRICT_KEYRING.
    Restrict {
        /// The keyring.
        key: KeyRef,
    },
    /// KEYCTL_SET_REQKEY_KEYRING: set the default destination keyring of requests.
    DefaultKeyring {
        /// The new default.
        is: DefaultKeyring,
    },
    /// KEYCTL_SESSION_TO_PARENT: give the parent the session keyring.
    SessionToParent {},
    /// KEYCTL_GET_PERSISTENT. Gives the serial.
    Persistent {
        /// User of the persistent keyring. Without it: the process's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// A keyring to link it into.
        into: KeyRef,
    },

    // Keys.
    /// add_key(2). Gives the serial.
    Add {
        /// Key type.
        #[serde(rename = "type")]
        kind: String,
        /// Description.
        description: String,
        /// Payload.
        #[serde(default)]
        payload: Payload,
        /// The keyring.
        #[serde(default = "default::session")]
        into: KeyRef,
    },
    /// add_key(2) of a `keyagent` key (R1, R2). Gives the serial.
    Register {
        /// The type to serve, which is the key's description.
        #[serde(rename = "type")]
        kind: String,
        /// The payload.
        #[serde(default)]
        with: Registration,
        /// The keyring.
        #[serde(default = "default::session")]
        into: KeyRef,
        /// The thread and the system call interface that make the call.
        #[serde(default)]
        by: Caller,
    },
    /// request_key(2). Gives the serial.
    Request {
        /// Key type.
        #[serde(rename = "type", default = "default::user")]
        kind: String,
        /// Description.
        description: String,
        /// Callout information. Without it: no upcall is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        callout: Option<String>,
        /// The destination keyring. Without it: 0, the default one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
        /// Set a timer that interrupts the call after this number of milliseconds. Its signal is
        /// SIGALRM, with a handler that is installed without SA_RESTART unless `restart` is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alarm_ms: Option<u64>,
        /// Install the handler with SA_RESTART, so that the interrupted call continues (R22).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restart: bool,
    },
    /// KEYCTL_SEARCH. Gives the serial.
    Search {
        /// The keyring to search.
        #[serde(default = "default::session")]
        key: KeyRef,
        /// Key type.
        #[serde(rename = "type", default = "default::user")]
        kind: String,
        /// Description.
        description: String,
        /// A keyring to link the found key into.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_DESCRIBE.
    Describe {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_READ. Gives text or hexadecimal digits, or a keyring's serials.
    Read {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_UPDATE.
    Update {
        /// The key.
        key: KeyRef,
        /// The new payload.
        #[serde(default)]
        payload: Payload,
    },
    /// KEYCTL_SETPERM.
    Setperm {
        /// The key.
        key: KeyRef,
        /// The new permissions.
        perm: Permissions,
    },
    /// KEYCTL_CHOWN.
    Chown {
        /// The key.
        key: KeyRef,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<u32>,
    },
    /// KEYCTL_SET_TIMEOUT.
    SetTimeout {
        /// The key.
        key: KeyRef,
        /// Seconds; 0: none.
        seconds: u32,
    },
    /// KEYCTL_REVOKE.
    Revoke {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_INVALIDATE.
    Invalidate {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_GET_SECURITY.
    GetSecurity {
        /// The key.
        key: KeyRef,
    },
    /// KEYCTL_WATCH_KEY on a watch queue of the process's own, made at first use (R28).
    Watch {
        /// The key.
        key: KeyRef,
    },
    /// Read all pending notifications. Gives them.
    Notifications {},
    /// KEYCTL_CAPABILITIES. Gives the bytes as hexadecimal digits.
    Capabilities {},

    // Authority over a key under construction.
    /// KEYCTL_ASSUME_AUTHORITY.
    Assume {
        /// The target. Without it: 0, which gives authority up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<KeyRef>,
    },
    /// KEYCTL_INSTANTIATE.
    Instantiate {
        /// The target.
        #[serde(default = "default::target")]
        key: KeyRef,
        /// Payload.
        #[serde(default)]
        payload: Payload,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_INSTANTIATE_IOV.
    InstantiateIov {
        /// The target.
        #[serde(default = "default::target")]
        key: KeyRef,
        /// The payload, as the segments of the iovec.
        pieces: Vec<Payload>,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_NEGATE.
    Negate {
        /// The target.
        #[serde(default = "default::target")]
        key: KeyRef,
        /// Timeout of the negative key in seconds.
        #[serde(default = "default::minute")]
        seconds: u32,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_REJECT.
    Reject {
        /// The target.
        #[serde(default = "default::target")]
        key: KeyRef,
        /// Timeout of the rejected key in seconds.
        #[serde(default = "default::minute")]
        seconds: u32,
        /// The errno's name.
        #[cfg_attr(feature = "host", schemars(with = "crate::errno::ErrnoName"))]
        error: String,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },

    // Completion of an upcall by a keyagent: of the one being served, or in a step of the oldest one held.
    /// Assume authority, describe the target, read the callout, instantiate, and give authority up.
    /// The first call that fails ends the answer. The trace has one line for an ordinary answer,
    /// and all calls of any other.
    Answer {
        /// The payload. `{callout}`, `{description}` and `{type}` stand for those of the request,
        /// `{hostname}` and `{uid}` for the agent's own.
        #[serde(default = "default::callout")]
        payload: String,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// Like `answer`, but reject. ENOKEY has the effect of negating.
    Deny {
        /// The errno's name.
        #[serde(default = "default::enokey")]
        #[cfg_attr(feature = "host", schemars(with = "crate::errno::ErrnoName"))]
        error: String,
        /// Timeout of the rejected key in seconds.
        #[serde(default = "default::minute")]
        seconds: u32,
        /// A keyring to link the key into. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },

    // Signals.
    /// kill(2).
    Signal {
        /// A process, or the name of a background step: all of its workers.
        to: String,
        /// The name as in `SIGSTOP`, or `SIGRTMIN+1` where SIGRTMIN is the C library's 34, or a number.
        signal: String,
    },
    /// Send a signal with a forged siginfo (R15).
    Forge {
        /// A process.
        to: String,
        /// The system call.
        #[serde(default)]
        by: Forgery,
        /// As in `signal`.
        signal: String,
        /// si_code.
        code: i32,
        /// The key with the serial for si_int. Without it: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<KeyRef>,
    },
    /// Take all pending real-time signals. Gives them.
    TakeSignals {},

    // The process itself.
    /// exit(2).
    Exit {
        /// Exit code.
        #[serde(default)]
        code: i32,
    },
    /// abort(3): end by SIGABRT, as a program with a bug does.
    Crash {},
    /// execve(2) of the guest's own program. It continues as the same process of the scenario, but
    /// no longer serves upcalls. Blocked and pending signals are kept.
    Exec {
        /// Owner of a copy of the program with the set-user-id bit, as a user of the initial user
        /// namespace. Without it: the program itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setuid: Option<u32>,
    },
    /// Continue in a new thread, and let the thread group's leader end. The leader stays a zombie
    /// as long as the thread runs (R4).
    LeaveLeader {},
    /// Change ids and capabilities, as the fields of a process do at its start.
    Become {
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<Ids>,
        /// Without it: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<Ids>,
        /// Supplementary groups. Without it: none, if `uid` or `gid` is a single number; otherwise
        /// unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        groups: Option<Vec<u32>>,
        /// Without it: those that the ids leave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capabilities: Option<Vec<String>>,
        /// Capabilities that an exec passes on, of those that it has.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inheritable: Vec<String>,
    },
    /// setrlimit(2), for soft and hard limits.
    Limit {
        /// Limits by the name in getrlimit(2) without `RLIMIT_` and in lower case, as in
        /// `sigpending`.
        rlimits: BTreeMap<String, u64>,
    },
    /// PR_SET_DUMPABLE.
    SetDumpable {
        /// The new value.
        dumpable: bool,
    },
    /// Run a command in a child of the process, and wait for it. Gives its exit status and its
    /// output. The guest has busybox if the host has it (Debian: busybox-static); otherwise the
    /// scenario is skipped.
    Run {
        /// The command.
        command: Command,
    },

    // Namespaces of a running process.
    /// unshare(2). A new user namespace maps the ids of the process to root, and no other id. A new
    /// `pid` namespace is for the background steps that follow.
    Unshare {
        /// Kinds of namespaces.
        namespaces: Vec<Namespace>,
    },
    /// setns(2) by a pidfd.
    Enter {
        /// A process in the namespaces.
        process: String,
        /// Kinds of namespaces.
        namespaces: Vec<Namespace>,
    },

    // The whole system.
    /// mount(2).
    Mount {
        /// File system.
        #[serde(rename = "type")]
        kind: String,
        /// Source of the mount.
        source: String,
        /// Mount point.
        at: String,
        /// Options of the file system's own.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        options: String,
    },
    /// finit_module(2) of a module that the guest has.
    LoadModule {
        /// File name without the extension.
        module: String,
    },
    /// delete_module(2), which does not wait.
    UnloadModule {
        /// File name without the extension.
        module: String,
    },

    // Inspection of the kernel.
    /// Lines of /proc/keys that the process sees, without those that existed before the plan began.
    ProcKeys {
        /// Only of this type.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
    },
    /// Records of the tracepoints `keyagent:*` since the plan began (R27). PID 1 enables the
    /// tracepoints for plans with such a step.
    Trace {
        /// Only records of this event, as in `complete`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<String>,
        /// Only records of an interval of at least this number of milliseconds (their field
        /// `usec`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least_ms: Option<u64>,
        /// Only records of an interval of at most this number of milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most_ms: Option<u64>,
    },
    /// Lines of the kernel's log since the plan began that contain this. Gives text.
    KernelLog {
        /// Part of the line.
        has: String,
    },
    /// The line of /proc/key-users for this user, or ENOENT.
    KeyUsers {
        /// As the process's user namespace sees it.
        uid: u32,
    },

    // Suspension of another process.
    /// Move a process into a control group of its own, freeze that, and wait until it is frozen.
    Freeze {
        /// The process.
        to: String,
    },
    /// Thaw a process that is frozen, and move it back.
    Thaw {
        /// The process.
        to: String,
    },
    /// PTRACE_SEIZE a process, stop it by PTRACE_INTERRUPT, and wait until it is stopped.
    Seize {
        /// The process.
        to: String,
    },
    /// PTRACE_DETACH from a process that is seized. The process continues.
    Detach {
        /// The process.
        to: String,
    },

    // Fault injection.
    /// Repeat an operation, with its first memory allocation in the kernel failing, then its
    /// second, until no allocation is left to fail. It uses /proc/self/fail-nth: the process has to
    /// be root, and the kernel needs the feature `fault_injection`. `{worker}` stands for the
    /// number of the try. Gives `Tries`.
    EachAllocation {
        /// The operation.
        of: Box<Op>,
        /// An operation before each try, with no allocation failing. It has to succeed.
        before: Option<Box<Op>>,
    },

    // Threads (R4).
    /// Carry out an operation in another thread, which then ends. It has the credentials of the
    /// process, but a thread keyring of its own.
    InThread {
        /// The operation.
        of: Box<Op>,
    },

    // Operations of PID 1 on a process.
    /// Start a process that has `start = "step"`.
    Start {},
    /// Reap a process that is left as a zombie. ECHILD if it has not ended.
    Reap {},
    /// Wait until a condition is true. Gives nothing, or `timed_out`.
    Wait {
        /// The condition.
        until: Condition,
        /// Limit in milliseconds.
        #[serde(default = "default::patience")]
        within_ms: u64,
    },
    /// Wait until a background step and all its workers have ended. Their results are reported
    /// under the background step.
    Await {
        /// Name of the background step.
        job: String,
        /// Limit in milliseconds.
        #[serde(default = "default::patience")]
        within_ms: u64,
    },
}

impl Op {
    /// Returns every key that the operation names. Without a wildcard, so that none is forgotten.
    // One operation a line would fill two screens.
    #[rustfmt::skip]
    pub fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Keyring { key, .. } | Self::Clear { key } | Self::Restrict { key } | Self::Describe { key }
            | Self::Read { key } | Self::Update { key, .. } | Self::Setperm { key, .. }
            | Self::Chown { key, .. } | Self::SetTimeout { key, .. } | Self::Revoke { key }
            | Self::Invalidate { key } | Self::GetSecurity { key } | Self::Watch { key }
            | Self::Persistent { into: key, .. } | Self::Add { into: key, .. }
            | Self::Register { into: key, .. } => vec![key],
            Self::Link { key, into: other } | Self::Unlink { key, from: other } => vec![key, other],
            Self::Move { key, from, into } => vec![key, from, into],
            Self::Search { key, into, .. } | Self::Instantiate { key, into, .. }
            | Self::InstantiateIov { key, into, .. } | Self::Negate { key, into, .. }
            | Self::Reject { key, into, .. } => iter::once(key).chain(into).collect(),
            Self::Assume { key: some } | Self::Request { into: some, .. } | Self::Answer { into: some, .. }
            | Self::Deny { into: some, .. } | Self::Forge { value: some, .. } => some.iter_mut().collect(),
            Self::EachAllocation { of, before } => {
                before.iter_mut().chain([of]).flat_map(|op| op.keys_mut()).collect()
            }
            Self::InThread { of } => of.keys_mut(),
            Self::Wait { until, .. } => match until {
                Condition::Gone(key) | Condition::Shows { key, .. } => vec![key],
                Condition::Upcalls(_) | Condition::Signals(_) | Condition::Blocked(_) | Condition::Stopped
                | Condition::Ended | Condition::Prints(_) | Condition::Charged { .. }
                | Condition::Traced(_) => Vec::new(),
            },
            Self::JoinSession { .. } | Self::DefaultKeyring { .. } | Self::SessionToParent {}
            | Self::Notifications {} | Self::Capabilities {} | Self::Signal { .. } | Self::TakeSignals {}
            | Self::Exit { .. } | Self::Crash {} | Self::Exec { .. } | Self::LeaveLeader {}
            | Self::Become { .. } | Self::Limit { .. } | Self::SetDumpable { .. } | Self::Run { .. }
            | Self::Unshare { .. } | Self::Enter { .. } | Self::Mount { .. } | Self::LoadModule { .. }
            | Self::UnloadModule { .. } | Self::ProcKeys { .. } | Self::Trace { .. } | Self::KernelLog { .. }
            | Self::KeyUsers { .. } | Self::Freeze { .. } | Self::Thaw { .. } | Self::Seize { .. }
            | Self::Detach { .. } | Self::Start {} | Self::Reap {} | Self::Await { .. } => Vec::new(),
        }
    }

    /// Returns the process, or the background step, that the operation affects. Without a wildcard, too.
    #[rustfmt::skip]
    pub fn receiver(&self) -> Option<&String> {
        match self {
            Self::Signal { to, .. } | Self::Forge { to, .. } | Self::Freeze { to } | Self::Thaw { to }
            | Self::Seize { to } | Self::Detach { to } | Self::Enter { process: to, .. } => Some(to),
            Self::EachAllocation { of, .. } | Self::InThread { of } => of.receiver(),
            Self::JoinSession { .. } | Self::Keyring { .. } | Self::Clear { .. } | Self::Link { .. }
            | Self::Unlink { .. } | Self::Move { .. } | Self::Restrict { .. } | Self::DefaultKeyring { .. }
            | Self::SessionToParent {} | Self::Persistent { .. } | Self::Add { .. } | Self::Register { .. }
            | Self::Request { .. } | Self::Search { .. } | Self::Describe { .. } | Self::Read { .. }
            | Self::Update { .. } | Self::Setperm { .. } | Self::Chown { .. } | Self::SetTimeout { .. }
            | Self::Revoke { .. } | Self::Invalidate { .. } | Self::GetSecurity { .. } | Self::Watch { .. }
            | Self::Notifications {} | Self::Capabilities {} | Self::Assume { .. } | Self::Instantiate { .. }
            | Self::InstantiateIov { .. } | Self::Negate { .. } | Self::Reject { .. } | Self::Answer { .. }
            | Self::Deny { .. } | Self::TakeSignals {} | Self::Exit { .. } | Self::Crash {}
            | Self::Exec { .. } | Self::LeaveLeader {} | Self::Become { .. } | Self::Limit { .. }
            | Self::SetDumpable { .. } | Self::Run { .. } | Self::Unshare { .. } | Self::Mount { .. }
            | Self::LoadModule { .. } | Self::UnloadModule { .. } | Self::ProcKeys { .. }
            | Self::Trace { .. } | Self::KernelLog { .. } | Self::KeyUsers { .. } | Self::Start {}
            | Self::Reap {} | Self::Wait { .. } | Self::Await { .. } => None,
        }
    }

    pub fn ends_its_process(&self) -> bool {
        matches!(self, Self::Exit { .. } | Self::Crash {})
    }

    /// Returns the operation itself, without the circumstances of its execution.
    pub fn core(&self) -> &Self {
        match self {
            Self::EachAllocation { of, .. } | Self::InThread { of } => of.core(),
            _ => self,
        }
    }
}
