//! What host and guest say to each other: one JSON object a line, in both directions.
//!
//! The guest opens with [`GuestMessage::Hello`]. For each [`HostMessage::Run`] it streams [`GuestMessage::Event`]s and closes
//! with exactly one of [`GuestMessage::Finished`] and [`GuestMessage::Broken`]. For each [`HostMessage::Execute`] it streams
//! [`GuestMessage::Printed`] and closes with one of [`GuestMessage::Returned`] and [`GuestMessage::Broken`].
//! So it is for [`HostMessage::Attach`], with [`GuestMessage::Output`]; meanwhile the host may send [`HostMessage::Input`], whose
//! bytes the guest acknowledges with [`GuestMessage::Ack`] once they are written, [`HostMessage::EndOfInput`] and
//! [`HostMessage::Resize`].
//! [`HostMessage::Measure`] is answered with [`GuestMessage::Measured`] or [`GuestMessage::Broken`].
//! [`HostMessage::PowerOff`] ends the session; before it ends, a kernel that counts how often its lines run tells its
//! [`GuestMessage::Counters`].
//! Events carry serials, pids and ids as the guest saw them; giving them stable names is the host's work.

pub mod bench;
pub mod program;

use serde::{Deserialize, Serialize};

use crate::plan::{Op, Plan};
use bench::{Measurement, Series};
use program::{AttachedProgram, Bytes, Output, Program, Returned, WindowSize};

/// The version of everything in this module, in [`crate::plan`] and in [`crate::wire::bench`]. Host and guest must agree on it
/// exactly.
pub const PROTOCOL: u32 = 11;

/// What the host tells the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostMessage {
    /// Carry out this plan. The next one comes only after this one has ended.
    Run(Box<Plan>),
    /// Run this program, which is in the initramfs. Between plans only.
    Execute(Program),
    /// Run this program, with its standard streams at the host. Between plans only.
    Attach(AttachedProgram),
    /// Bytes for that program's standard input, if it is a pipe.
    Input(Bytes),
    /// Nothing more comes for its standard input.
    EndOfInput,
    /// Its terminal has another size now.
    Resize(WindowSize),
    /// Measure this, and nothing else meanwhile.
    Measure(Measurement),
    /// End the virtual machine.
    PowerOff,
}

/// Why a line of the host is no message for this guest.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A plan of another version.
    #[error(
        "the plan {plan} is written in version {protocol} of the protocol, and the guest speaks version {PROTOCOL}: rebuild both"
    )]
    Version {
        /// Its name.
        plan: String,
        /// Its version.
        protocol: u32,
    },
    /// No message at all.
    #[error("can't understand the host: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads what the host says. A plan's version is looked at before the plan itself, which another version may write otherwise.
///
/// # Errors
/// A plan of another version, by its name; or a line that is no message.
pub fn decode(line: &str) -> Result<HostMessage, DecodeError> {
    #[derive(Deserialize)]
    struct Run {
        run: Head,
    }
    #[derive(Deserialize)]
    struct Head {
        name: String,
        // The first versions did not say.
        #[serde(default)]
        protocol: u32,
    }
    match serde_json::from_str(line) {
        Ok(Run { run: Head { name, protocol } }) if protocol != PROTOCOL => {
            Err(DecodeError::Version { plan: name, protocol })
        }
        _ => Ok(serde_json::from_str(line)?),
    }
}

/// What the guest tells the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestMessage {
    /// The guest is up. Always the first message.
    Hello(Hello),
    /// Something happened while a plan was carried out.
    Event(Event),
    /// The plan ended, and nothing of it runs any more.
    Finished(Finished),
    /// A program of [`HostMessage::Execute`] printed this line, on either of its outputs.
    Printed(String),
    /// A program of [`HostMessage::Attach`] has written.
    Output(Output),
    /// That program has ended.
    Returned(Returned),
    /// What was measured.
    Measured(Vec<Series>),
    /// How often the lines of one object have run since the guest was started. Comes after [`HostMessage::PowerOff`].
    Counters(Counters),
    /// A part of the host's message has been read ([`parts`]), or a piece of input has been written: the next one may come.
    #[serde(rename = "more")]
    Ack,
    /// The guest could not do its own part: says nothing about the kernel under test.
    Broken(Broken),
}

/// What a line begins with that is a part of a message, and is followed by another.
pub const PART: char = '+';

/// What the last part begins with.
pub const LAST_PART: char = '=';

/// How long a line of the host's may be, in bytes. A terminal's input buffer has 4096: once it is full, User-Mode Linux's
/// serial lines stop reading, and have been seen not to go on.
pub const LONGEST_LINE: usize = 2048;

/// A message as lines: one, or several if it is long. After each but the last the host waits for [`GuestMessage::Ack`].
pub fn parts(message: &str) -> Vec<String> {
    if message.len() <= LONGEST_LINE {
        return vec![message.to_owned()];
    }
    let mut rest = message;
    let mut lines = Vec::new();
    while rest.len() >= LONGEST_LINE {
        // A character has at most four bytes.
        let end = (LONGEST_LINE - 4..LONGEST_LINE).rev().find(|end| rest.is_char_boundary(*end));
        let (part, left) = rest.split_at(end.unwrap_or_default());
        lines.push(format!("{PART}{part}"));
        rest = left;
    }
    lines.push(format!("{LAST_PART}{rest}"));
    lines
}

/// What the kernel has counted of one object: CONFIG_GCOV_KERNEL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The file's path in /sys/kernel/debug/gcov: that of the object where it was built, with `.gcda` at its end.
    pub file: String,
    /// Its content, for `gcov`.
    pub content: Bytes,
    /// How many objects' counters come after these.
    pub left: usize,
}

/// How the guest introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The guest's [`PROTOCOL`].
    pub protocol: u32,
    /// `uname -r`.
    pub release: String,
    /// Number of CPUs online.
    pub cpus: u32,
    /// What the kernel can do, in words that a scenario may require: `keyagents`, `watch_queue`, `user_ns`, `cgroup`, …
    pub features: Vec<String>,
}

/// One thing that happened in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Name of the process that it happened to.
    pub process: String,
    /// Index into [`Plan::steps`] of the step that caused it. None: the process's start, its set-up, its reaction to an
    /// upcall, or its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Which of a background step's workers, or which round of a step in a repeated block, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u32>,
    /// Serial of the target whose upcall the process was serving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcall: Option<i32>,
    /// Monotonic time since the plan was begun, in microseconds.
    pub at_us: u64,
    /// What happened.
    #[serde(rename = "what")]
    pub kind: EventKind,
}

/// The kinds of things that happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The process is in its namespaces, has its ids and its keyrings, and has not done anything yet.
    Started(Identity),
    /// A step was begun in the background, by a worker with these pids (see [`Identity::pids`]).
    Begun {
        /// The worker's pids.
        pids: Vec<i32>,
    },
    /// A step ended, or one worker's part of it.
    Done(Done),
    /// A part of set-up, of a reaction, or of a step that takes several calls (`answer`, `deny`) ended.
    Called {
        /// The call, with every key that it names replaced by its serial.
        op: Op,
        /// How it went.
        #[serde(flatten)]
        done: Done,
    },
    /// The agent's signal arrived, or a notification was met (then all but [`UpcallSignal::value`] is 0). Comes before the
    /// [`EventKind::Called`] of the reaction; [`Event::upcall`] is set in all of them.
    #[serde(rename = "doorbell")]
    UpcallSignal(UpcallSignal),
    /// The process, or a worker that did not live to report, ended. Reported for every process, also for those that are
    /// killed when the plan is over.
    Ended(Ending),
}

/// How an operation went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What the kernel answered.
    pub outcome: Outcome,
    /// When it was begun: monotonic time since the plan was begun, in microseconds. [`Event::at_us`] tells only when it was
    /// reported, which may be any time after its end.
    pub begun_us: u64,
    /// How long the operation took, in microseconds.
    pub elapsed_us: u64,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It succeeded, and gave this.
    Ok(Value),
    /// It failed with the errno of this name, as in `ENOKEY`.
    Error(String),
    /// It was not tried, since something that it names never came to be.
    Skipped(String),
    /// What it waited for did not happen in time.
    TimedOut,
}

/// What a successful operation gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Nothing but success.
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
    /// Lines of /proc/keys.
    ProcKeys(Vec<ProcKey>),
    /// One line of /proc/key-users.
    KeyUser(KeyUser),
    /// What came of an operation that was tried with each of its memory allocations failing.
    Tries {
        /// Of the tries in which one failed, in order.
        failed: Vec<Outcome>,
        /// Of the last, in which none did.
        last: Box<Outcome>,
    },
    /// What tracepoints have recorded, oldest first.
    Trace(Vec<Traced>),
    /// Signals that were pending and have been taken.
    Signals(Vec<UpcallSignal>),
    /// Notifications that were read from a watch queue, each as `subtype serial`, as in `linked 305419896`.
    Notifications(Vec<Notification>),
    /// A command's exit status and what it printed on both its outputs.
    Command {
        /// Exit code, or 128 plus the signal's number.
        status: i32,
        /// Its output, without the last newline.
        output: String,
    },
}

/// The answer of `KEYCTL_DESCRIBE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Key type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Owner, as the caller's user namespace sees it.
    pub uid: u32,
    /// Group, likewise.
    pub gid: u32,
    /// Permission mask.
    pub perm: u32,
    /// Description.
    pub description: String,
}

/// A line of /proc/keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcKey {
    /// Serial number.
    pub serial: i32,
    /// The flags column, as in `I--Q---`.
    pub flags: String,
    /// Usage count.
    pub usage: u32,
    /// The timeout column, as in `perm`, `expd`, `10m`.
    pub timeout: String,
    /// Permission mask.
    pub perm: u32,
    /// Owner.
    pub uid: u32,
    /// Group; the kernel prints -1 for none.
    pub gid: i64,
    /// Key type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rest of the line: the description and what the type adds.
    pub summary: String,
}

/// A line of /proc/key-users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUser {
    /// Whose line it is.
    pub uid: u32,
    /// Keys that exist.
    pub keys: u32,
    /// Keys that are instantiated.
    pub instantiated: u32,
    /// Keys charged to the quota.
    pub quota_keys: u32,
    /// Bytes charged to the quota.
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

/// Who a process turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid in each pid namespace that it is in, the guest's initial one first (`NSpid` of /proc/PID/status).
    pub pids: Vec<i32>,
    /// User id, as it sees itself.
    pub uid: u32,
    /// Group id, as it sees itself.
    pub gid: u32,
    /// Serials of the keyrings that it has, by their short names (`@s`, `@p`, …). One that it has not is absent: asking must
    /// not create it.
    pub keyrings: std::collections::BTreeMap<String, i32>,
}

/// The siginfo of an agent's signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpcallSignal {
    /// Signal number.
    pub signal: i32,
    /// si_code: SI_KEYAGENT is -8 (R14). Of a notification: 1 if others have been lost, else 0.
    pub code: i32,
    /// si_pid.
    pub pid: i32,
    /// si_uid.
    pub uid: u32,
    /// si_int: the target's serial.
    pub value: i32,
    /// Offsets of all other bytes of the siginfo that are not zero, where the whole of it was looked at (R14).
    #[serde(rename = "stray", default, skip_serializing_if = "Vec::is_empty")]
    pub nonzero_padding: Vec<usize>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By `exit`, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// How a plan ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// [`Plan::name`].
    pub plan: String,
    /// Whether it came to its end.
    #[serde(rename = "how")]
    pub completion: Completion,
    /// Keys of the plan that are still in /proc/keys after all its processes have ended and been reaped, and collection has
    /// been given its time (R26). Empty unless something leaks.
    pub left: Vec<ProcKey>,
    /// The kernel's taint mask (/proc/sys/kernel/tainted).
    pub taint: u64,
    /// Lines of the kernel log of warning level and worse that appeared during the plan.
    pub log: Vec<String>,
}

/// Whether a plan came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completion {
    /// Every step was carried out and every background step has ended.
    Complete,
    /// [`Plan::deadline_ms`] passed.
    Deadline {
        /// The steps that had been begun and had not ended.
        waiting: Vec<usize>,
    },
    /// Not even SIGKILL ends these processes.
    Unkillable {
        /// Their names.
        who: Vec<String>,
    },
}

/// The guest's own fault, or the host's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The plan at hand, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What could not be done, and why.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_comes_in_lines_that_make_it_up_again() {
        assert_eq!(parts("short"), ["short"]);
        let long = "aé".repeat(LONGEST_LINE);
        let lines = parts(&long);
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
        assert_eq!(lines.iter().map(|line| &line[1..]).collect::<String>(), long);
        let firsts: String = lines.iter().filter_map(|line| line.chars().next()).collect();
        assert_eq!(firsts, "+++=");
    }

    #[test]
    fn a_plan_of_another_version_is_refused_by_name_whatever_is_in_it() {
        let line = r#"{"run":{"name":"family/name","protocol":999,"steps":"another thing"}}"#;
        let refusal = decode(line).unwrap_err().to_string();
        assert!(refusal.starts_with("the plan family/name is written in version 999"), "{refusal}");
        let ancient = decode(r#"{"run":{"name":"family/name","deadline_ms":1}}"#).unwrap_err();
        assert!(matches!(ancient, DecodeError::Version { protocol: 0, .. }), "{ancient}");
        assert!(matches!(decode(r#""power_off""#), Ok(HostMessage::PowerOff)));
        assert!(matches!(decode("?").unwrap_err(), DecodeError::Malformed(_)));
    }
}
