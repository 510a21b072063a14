//! What a process can be told to do. The same words stand in a scenario and on the wire.
//!
//! Every error is the kernel's own: an operation makes the call and reports what came of it, however silly the arguments.

use serde::{Deserialize, Serialize};

use crate::key_ref::{KeyRef, Special};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    // Keyrings.
    /// KEYCTL_JOIN_SESSION_KEYRING. Gives the serial.
    JoinSession {
        /// None: a new anonymous one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// KEYCTL_GET_KEYRING_ID. Gives the serial.
    Keyring {
        /// Which one.
        key: KeyRef,
        /// Create it if it isn't there.
        #[serde(default = "yes")]
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
        #[serde(default = "session")]
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
        #[serde(default = "session")]
        into: KeyRef,
        /// Who makes the call, and how.
        #[serde(default)]
        by: Caller,
    },
    /// request_key(2). Gives the serial.
    Request {
        /// Key type.
        #[serde(rename = "type", default = "user")]
        kind: String,
        /// Description.
        description: String,
        /// Callout information. None: no upcall is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        callout: Option<String>,
        /// The destination keyring. None: 0, the default one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
        /// Set a timer that interrupts the call (SIGALRM with a handler and without SA_RESTART) after so many milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alarm_ms: Option<u64>,
    },
    /// KEYCTL_SEARCH. Gives the serial.
    Search {
        /// The keyring to search.
        #[serde(default = "session")]
        key: KeyRef,
        /// Key type.
        #[serde(rename = "type", default = "user")]
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
        /// The mask, as in keyctl_setperm(3).
        perm: u32,
    },
    /// KEYCTL_CHOWN.
    Chown {
        /// The key.
        key: KeyRef,
        /// None: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// None: unchanged.
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
    /// Read all notifications that are there. Gives them.
    Notifications {},
    /// KEYCTL_CAPABILITIES. Gives the bytes as hexadecimal digits.
    Capabilities {},

    // Authority, by hand.
    /// KEYCTL_ASSUME_AUTHORITY.
    Assume {
        /// The target. None: 0, which gives authority up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<KeyRef>,
    },
    /// KEYCTL_INSTANTIATE.
    Instantiate {
        /// The target.
        #[serde(default = "target")]
        key: KeyRef,
        /// Payload.
        #[serde(default)]
        payload: Payload,
        /// A keyring to link the key into. None: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_NEGATE.
    Negate {
        /// The target.
        #[serde(default = "target")]
        key: KeyRef,
        /// How long the negative key lasts.
        #[serde(default = "minute")]
        seconds: u32,
        /// A keyring to link the key into. None: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// KEYCTL_REJECT.
    Reject {
        /// The target.
        #[serde(default = "target")]
        key: KeyRef,
        /// How long the rejection lasts.
        #[serde(default = "minute")]
        seconds: u32,
        /// The errno's name.
        error: String,
        /// A keyring to link the key into. None: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },

    // What a keyagent does with an upcall: the one that it is serving; in a step, the oldest that it holds.
    /// Assume authority, describe the target, read the callout, instantiate, and give authority up. Each is reported as
    /// [`crate::wire::What::Called`]; the first that fails ends it.
    Answer {
        /// The payload. `{callout}`, `{description}`, `{type}`, `{hostname}` (the agent's own) and `{uid}` (the agent's own)
        /// stand for what they say.
        #[serde(default = "callout")]
        payload: String,
        /// A keyring to link the key into. None: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },
    /// Like `answer`, but reject. (ENOKEY is what negating does.)
    Deny {
        /// The errno's name.
        #[serde(default = "enokey")]
        error: String,
        /// How long the rejection lasts.
        #[serde(default = "minute")]
        seconds: u32,
        /// A keyring to link the key into. None: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<KeyRef>,
    },

    // Signals and the process's own life.
    /// kill(2).
    Signal {
        /// A process, or the name of a background step: all of its workers.
        to: String,
        /// The name as in `SIGSTOP`, or `SIGRTMIN+1` where SIGRTMIN is the C library's 34, or a number.
        signal: String,
    },
    /// Send a signal with a siginfo of one's own making (R15).
    Forge {
        /// A process.
        to: String,
        /// By which call.
        #[serde(default)]
        by: Forgery,
        /// As in `signal`.
        signal: String,
        /// si_code.
        code: i32,
        /// The key whose serial is put into si_int. None: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<KeyRef>,
    },
    /// Take all pending real-time signals. Gives them.
    TakeSignals {},
    /// exit(2).
    Exit {
        /// Exit code.
        #[serde(default)]
        code: i32,
    },
    /// execve(2) of the guest's own program, which goes on as the same actor, without serving upcalls any more. Blocked and pending
    /// signals stay so.
    Exec {
        /// Of a copy of it that is owned by this user of the initial user namespace and has the set-user-id bit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setuid: Option<u32>,
    },
    /// Go on in a new thread, and let the thread group's leader end: it stays a zombie as long as the thread lives (R4).
    LeaveLeader {},
    /// Change ids and capabilities, like [`crate::plan::Process`].
    Become {
        /// None: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// None: unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<u32>,
        /// None: what the ids leave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capabilities: Option<Vec<String>>,
    },
    /// PR_SET_DUMPABLE.
    SetDumpable {
        /// 1 or 0.
        dumpable: bool,
    },
    /// Run a command and wait for it. Gives [`crate::wire::Value::Command`].
    Run {
        /// Program and arguments.
        command: Vec<String>,
    },

    // Looking on.
    /// Lines of /proc/keys that the process sees, without those that existed before the plan began.
    ProcKeys {
        /// Only of this type.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
    },
    /// What the tracepoints `keyagent:*` have recorded since the plan began (R27). PID 1 turns them on for plans with such a step.
    Trace {},
    /// The line of /proc/key-users for this user, or ENOENT.
    KeyUsers {
        /// As the process's user namespace sees it.
        uid: u32,
    },

    // What PID 1 does to, or about, the process.
    /// Start a process with [`crate::plan::Start::Step`].
    Start {},
    /// Reap a process that is left as a zombie. ECHILD if it has not ended.
    Reap {},
    /// Wait until something is so. Gives nothing, or [`crate::wire::Outcome::TimedOut`].
    Wait {
        /// What is waited for.
        until: Condition,
        /// For so many milliseconds at most.
        #[serde(default = "patience")]
        within_ms: u64,
    },
    /// Wait until a background step has ended, all its workers included. The results are reported under the background step
    /// itself.
    Await {
        /// Its name.
        job: String,
        /// For so many milliseconds at most.
        #[serde(default = "patience")]
        within_ms: u64,
    },
}

/// What a `wait` is for. A process is the one that the step is addressed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The keyagent has got so many upcalls since it started.
    Upcalls(u32),
    /// So many signals are pending for a keyagent that does not listen.
    Signals(u32),
    /// All workers of this background step sleep in their system call (/proc/PID/syscall and state).
    Blocked(String),
    /// The process is stopped.
    Stopped,
    /// The process has ended, reaped or not.
    Ended,
    /// The key is no longer in /proc/keys.
    Gone(KeyRef),
    /// The key's line in /proc/keys says so.
    Shows {
        /// The key.
        key: KeyRef,
        /// Part of its flags, its timeout, or what stands behind the type, as in `expd` and `pending:2`.
        text: String,
    },
    /// The tracepoints `keyagent:*` have recorded so much since the plan began.
    Traced(u32),
}

/// What add_key(2) and its like are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, or one of { hex = \"00ff\" }, { fill = 4096 }, { null = 4 }")]
pub enum Payload {
    /// These bytes.
    Text(String),
    /// Any bytes, in hexadecimal digits.
    Hex {
        /// The digits.
        hex: String,
    },
    /// So many bytes `x`.
    Fill {
        /// How many.
        fill: u32,
    },
    /// A null pointer that claims to be so many bytes.
    Null {
        /// How many.
        null: u32,
    },
}

impl Default for Payload {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// The payload of a `keyagent` key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "{ signal = 35 }, { params = { … } } or { raw = PAYLOAD }")]
pub enum Registration {
    /// The 4 bytes of R1.
    Signal {
        /// The number.
        signal: u32,
    },
    /// The 16 bytes of R2.
    Params {
        /// struct keyagent_params.
        params: Params,
    },
    /// Anything else.
    Raw {
        /// The bytes.
        raw: Payload,
    },
}

impl Default for Registration {
    /// SIGRTMIN+1 of the C library.
    fn default() -> Self {
        Self::Signal { signal: 35 }
    }
}

/// struct keyagent_params (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The signal.
    #[serde(default = "signal")]
    pub signal: u32,
    /// KEYAGENT_* flags.
    #[serde(default)]
    pub flags: u32,
    /// The deadline in milliseconds; 0: the default one.
    #[serde(default)]
    pub timeout_ms: u32,
    /// Has to be 0.
    #[serde(default)]
    pub reserved: u32,
}

/// Who makes a call for a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Itself.
    #[default]
    Itself,
    /// A thread of its own, which ends then.
    Thread,
    /// Itself, as a 32-bit program does: by `int 0x80`.
    Compat,
}

/// The calls that send a siginfo of the caller's making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// rt_sigqueueinfo(2).
    #[default]
    Sigqueueinfo,
    /// rt_tgsigqueueinfo(2).
    Tgsigqueueinfo,
    /// pidfd_send_signal(2).
    Pidfd,
}

impl Op {
    /// Every key that the operation names.
    pub fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Keyring { key, .. }
            | Self::Clear { key }
            | Self::Restrict { key }
            | Self::Describe { key }
            | Self::Read { key }
            | Self::Update { key, .. }
            | Self::Setperm { key, .. }
            | Self::Chown { key, .. }
            | Self::SetTimeout { key, .. }
            | Self::Revoke { key }
            | Self::Invalidate { key }
            | Self::GetSecurity { key }
            | Self::Watch { key } => vec![key],
            Self::Link { key, into } => vec![key, into],
            Self::Unlink { key, from } => vec![key, from],
            Self::Move { key, from, into } => vec![key, from, into],
            Self::Add { into, .. } | Self::Register { into, .. } => vec![into],
            Self::Search { key, into, .. }
            | Self::Instantiate { key, into, .. }
            | Self::Negate { key, into, .. }
            | Self::Reject { key, into, .. } => std::iter::once(key).chain(into).collect(),
            Self::Request { into, .. } | Self::Answer { into, .. } | Self::Deny { into, .. } => {
                into.iter_mut().collect()
            }
            Self::Assume { key } => key.iter_mut().collect(),
            Self::Forge { value, .. } => value.iter_mut().collect(),
            Self::Wait { until: Condition::Gone(key) | Condition::Shows { key, .. }, .. } => vec![key],
            _ => Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}

fn user() -> String {
    "user".to_owned()
}

fn session() -> KeyRef {
    KeyRef::Special(Special::Session)
}

fn target() -> KeyRef {
    KeyRef::Target
}

fn callout() -> String {
    "{callout}".to_owned()
}

fn enokey() -> String {
    "ENOKEY".to_owned()
}

/// Seconds that a rejection lasts unless the scenario says otherwise: longer than any scenario.
fn minute() -> u32 {
    60
}

/// Milliseconds that something may take on the slowest back end unless the scenario says otherwise.
fn patience() -> u64 {
    20_000
}

fn signal() -> u32 {
    35
}
