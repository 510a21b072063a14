//! Events that a guest reports while it carries out a plan.

use serde::{Deserialize, Serialize};

use crate::plan::Op;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Name of the process that it happened to.
    pub process: String,
    /// Index into [`Plan::steps`](crate::plan::Plan::steps) of the step that caused it. None: the
    /// process's start, its set-up, its reaction to an upcall, or its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Number of a background step's worker, or of a round of a step in a repeated block, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u32>,
    /// Serial of the target whose upcall the process was serving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcall: Option<i32>,
    /// Monotonic time since the plan was begun, in microseconds.
    pub at_us: u64,
    pub kind: EventKind,
}

impl Event {
    /// Returns the call that it reports, with its outcome.
    pub fn call(&self) -> Option<(&Op, &Outcome)> {
        match &self.kind {
            EventKind::Called { op, done } => Some((op, &done.outcome)),
            _ => None,
        }
    }

    /// Returns the result of a step that it reports.
    pub fn done(&self) -> Option<&Done> {
        match &self.kind {
            EventKind::Done(done) => Some(done),
            _ => None,
        }
    }

    /// Returns true if it belongs to this process's start, set-up or end.
    pub fn is_outside_of_steps(&self, process: &str) -> bool {
        self.process == process && self.step.is_none() && self.upcall.is_none()
    }
}

/// Returns the outcomes of a process's set-up, in order.
pub fn outcomes_of_setup<'e>(process: &'e str, events: &'e [Event]) -> impl Iterator<Item = &'e Outcome> {
    let own = events.iter().filter(move |event| event.is_outside_of_steps(process));
    own.filter_map(|event| event.call().map(|(_, outcome)| outcome))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The process is in its namespaces, has its ids and its keyrings, and has not executed an
    /// operation yet.
    Started(Identity),
    /// A step was begun in the background, by a worker with these pids (see [`Identity::pids`]).
    Begun { pids: Vec<i32> },
    /// A step ended, or one worker's part of it.
    Done(Done),
    /// A part of set-up, of a reaction, or of a step that takes several calls (`answer`, `deny`) ended.
    Called {
        /// The call, with every key that it names replaced by its serial.
        op: Op,
        #[serde(flatten)]
        done: Done,
    },
    /// The agent's signal arrived, or a notification was read (then all but [`UpcallSignal::value`]
    /// is 0). Comes before the [`EventKind::Called`] of the reaction; [`Event::upcall`] is set in
    /// all of them.
    UpcallSignal(UpcallSignal),
    /// The process, or a worker that ended before it reported, ended. Reported for every process,
    /// also for those that are killed when the plan is over.
    Ended(Ending),
}

/// Outcome and times of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub outcome: Outcome,
    /// Start of the operation: monotonic time since the plan was begun, in microseconds.
    /// [`Event::at_us`] is the time of the report, which may be any time after its end.
    pub begun_us: u64,
    pub elapsed_us: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It succeeded, with this value.
    Ok(Value),
    /// It failed with the errno of this name, as in `ENOKEY`.
    Error(String),
    /// It was not tried, since it names something that does not exist.
    Skipped(String),
    /// A condition that did not become true in time.
    TimedOut,
}

impl Outcome {
    pub fn serial(&self) -> Option<i32> {
        match self {
            Self::Ok(Value::Serial(serial)) => Some(*serial),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Success without a value.
    None,
    /// A key's serial number.
    Serial(i32),
    /// A count, a size, a bit.
    Number(i64),
    /// A key's payload, a callout, a security label, a hostname: what is printable.
    Text(String),
    /// A payload that is not UTF-8 or not printable, in lower-case hexadecimal digits.
    Hex(String),
    /// Serials in a keyring, in its own order.
    Keyring(Vec<i32>),
    /// `keyctl describe`.
    Described(Described),
    ProcKeys(Vec<ProcKey>),
    /// One line of /proc/key-users.
    KeyUser(KeyUser),
    /// Results of an operation that was tried with each of its memory allocations failing.
    Tries {
        /// Results of the tries in which an allocation failed, in order.
        failed: Vec<Outcome>,
        /// Result of the last try, in which none failed.
        last: Box<Outcome>,
    },
    /// Records of tracepoints, oldest first.
    Trace(Vec<Traced>),
    /// Signals that were pending and have been taken.
    Signals(Vec<UpcallSignal>),
    /// Notifications that were read from a watch queue, each as `subtype serial`, as in `linked 305419896`.
    Notifications(Vec<Notification>),
    /// How a program has ended: its exit code, or 128 plus the signal's number.
    ExitCode(i32),
    /// A command's exit status and its output on both streams.
    Command {
        /// Exit code, or 128 plus the signal's number.
        status: i32,
        /// Its output, without the last newline.
        output: String,
    },
}

/// Result of `KEYCTL_DESCRIBE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    #[serde(rename = "type")]
    pub kind: String,
    /// Owner, as the caller's user namespace sees it.
    pub uid: u32,
    /// Group, as the caller's user namespace sees it.
    pub gid: u32,
    pub perm: u32,
    pub description: String,
}

/// A line of /proc/keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcKey {
    pub serial: i32,
    /// The flags column, as in `I--Q---`.
    pub flags: String,
    pub usage: u32,
    /// The timeout column, as in `perm`, `expd`, `10m`.
    pub timeout: String,
    pub perm: u32,
    pub uid: u32,
    /// Group; the kernel prints -1 for none.
    pub gid: i64,
    #[serde(rename = "type")]
    pub kind: String,
    /// The rest of the line: the description and what the type adds.
    pub summary: String,
}

/// A line of /proc/key-users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUser {
    pub uid: u32,
    pub keys: u32,
    pub instantiated: u32,
    pub quota_keys: u32,
    pub quota_bytes: u32,
}

/// A record of a tracepoint `keyagent:*` (R27).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// The tracepoint's name without `keyagent_`, as in `dispatch`.
    pub event: String,
    /// Its fields as the kernel prints them, in the kernel's order.
    pub fields: Vec<(String, String)>,
}

/// A notification of a watch queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// `instantiated`, `updated`, `linked`, `unlinked`, `cleared`, `revoked`, `invalidated`, `setattr`, or `lost`.
    pub subtype: String,
    /// Serial of the watched key.
    pub key: i32,
    /// The notification's auxiliary number: for `linked` and `unlinked` the other key's serial.
    pub aux: i64,
}

/// Pids, ids and keyrings of a started process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid in each pid namespace that it is in, the guest's initial one first (`NSpid` of /proc/PID/status).
    pub pids: Vec<i32>,
    /// User id in its user namespace.
    pub uid: u32,
    /// Group id in its user namespace.
    pub gid: u32,
    /// Serials of the keyrings that it has, by their short names (`@s`, `@p`, …). A keyring that
    /// does not exist is absent: the query must not create it.
    pub keyrings: std::collections::BTreeMap<String, i32>,
}

/// The siginfo of an agent's signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpcallSignal {
    pub signal: i32,
    /// si_code: SI_KEYAGENT is -8 (R14). Of a notification: 1 if others have been lost, else 0.
    pub code: i32,
    /// si_pid.
    pub pid: i32,
    /// si_uid.
    pub uid: u32,
    /// si_int: the target's serial.
    pub value: i32,
    /// Offsets of all other bytes of the siginfo that are not zero, if the whole of it was read
    /// (R14).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nonzero_padding: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By `exit`, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}
