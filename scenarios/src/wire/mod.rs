//! Wire format between host and guest: one JSON object a line, in both directions.
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
mod event;
pub mod framing;
pub mod program;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use bench::{Measurement, Series};
pub use event::{
    Described, Done, Ending, Event, EventKind, Identity, KeyUser, Notification, Outcome, ProcKey, Traced,
    UpcallSignal, Value,
};
use program::{AttachedProgram, Bytes, Output, Program, Returned, WindowSize};

/// The version of everything in this module, in [`crate::plan`] and in [`crate::wire::bench`]. Host and guest must agree on it
/// exactly.
pub const PROTOCOL: u32 = 12;

/// A message from the host to the guest.
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

/// Failure to decode a line of the host.
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
    /// Not a message.
    #[error("can't understand the host: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Decodes a message of the host. A plan's version is checked before the plan itself, whose format depends on it.
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

/// A message from the guest to the host.
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
    /// Results of a benchmark.
    Measured(Vec<Series>),
    /// How often the lines of one object have run since the guest was started. Comes after [`HostMessage::PowerOff`].
    Counters(Counters),
    /// A part of the host's message has been read ([`framing::split`]), or a piece of input has been written: the next one may come.
    Ack,
    /// The guest could not do its own part: says nothing about the kernel under test.
    Broken(Broken),
}

/// Coverage counters of one object file (CONFIG_GCOV_KERNEL).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The file's path in /sys/kernel/debug/gcov: that of the object where it was built, with `.gcda` at its end.
    pub file: String,
    /// Its content, for `gcov`.
    pub content: Bytes,
    /// Number of objects whose counters follow.
    pub left: usize,
}

/// Version and features of a guest.
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

/// End of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// [`Plan::name`].
    pub plan: String,
    /// Its completion.
    pub completion: Completion,
    /// Keys of the plan that are still in /proc/keys after all its processes have ended and been reaped, and collection has
    /// been given its time (R26). Empty unless something leaks.
    pub left: Vec<ProcKey>,
    /// The kernel's taint mask (/proc/sys/kernel/tainted).
    pub taint: u64,
    /// Lines of the kernel log of warning level and worse that appeared during the plan.
    pub log: Vec<String>,
}

/// Completion of a plan.
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
    /// The failed operation and its cause.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

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
