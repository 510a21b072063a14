//! Wire format between host and guest: one JSON object a line, in both directions.
//!
//! The guest opens with [`GuestMessage::Hello`]. For each [`HostMessage::Run`] it streams
//! [`GuestMessage::Event`]s and closes with exactly one of [`GuestMessage::Finished`] and
//! [`GuestMessage::Broken`]. For each [`HostMessage::Execute`] it streams [`GuestMessage::Printed`]
//! and closes with one of [`GuestMessage::Returned`] and [`GuestMessage::Broken`]. For
//! [`HostMessage::Attach`] it streams [`GuestMessage::Output`] and closes in the same way.
//! Meanwhile the host may send [`HostMessage::Input`], [`HostMessage::EndOfInput`] and
//! [`HostMessage::Resize`]. The guest acknowledges the bytes of an input with [`GuestMessage::Ack`]
//! once they are written. [`HostMessage::Measure`] is answered with [`GuestMessage::Measured`] or
//! [`GuestMessage::Broken`]. [`HostMessage::PowerOff`] ends the session. Before it ends, a kernel
//! with coverage counters sends its [`GuestMessage::Counters`]. Events carry serials, pids and ids
//! of the guest. The host gives them stable names.

pub mod bench;
mod event;
pub mod framing;
pub mod program;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use bench::{Measurement, Series};
pub use event::{
    Described, Done, Ending, Event, EventKind, Identity, KeyUser, Notification, Outcome, ProcKey, Traced,
    UpcallSignal, Value, outcomes_of_setup,
};
use program::{AttachedProgram, Bytes, Output, Program, Returned, WindowSize};

/// The version of everything in this module, in [`crate::plan`] and in [`crate::wire::bench`]. Host
/// and guest must use the same version.
pub const PROTOCOL: u32 = 15;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostMessage {
    /// Carry out this plan. The next one may follow only after its end.
    Run(Box<Plan>),
    /// Run this program, which is in the initramfs. Between plans only.
    Execute(Program),
    /// Run this program, with its standard streams at the host. Between plans only.
    Attach(AttachedProgram),
    /// Bytes for that program's standard input, if it is a pipe.
    Input(Bytes),
    /// End of its standard input.
    EndOfInput,
    /// New size of its terminal.
    Resize(WindowSize),
    /// Run this benchmark, and nothing else meanwhile.
    Measure(Measurement),
    /// End the virtual machine.
    PowerOff,
}

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(
        "the plan {plan} is written in version {protocol} of the protocol, and the guest speaks version {PROTOCOL}: rebuild both"
    )]
    Version { plan: String, protocol: u32 },
    #[error("can't understand the host: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Decodes a message of the host. A plan's version is checked before the plan itself, whose format depends on it.
pub fn decode(line: &str) -> Result<HostMessage, DecodeError> {
    #[derive(Deserialize)]
    struct Run {
        run: Head,
    }
    #[derive(Deserialize)]
    struct Head {
        name: String,
        // The first versions have no such field.
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestMessage {
    /// The guest is up. Always the first message.
    Hello(Hello),
    Event(Event),
    /// The plan ended, and none of its processes runs any more.
    Finished(Finished),
    /// A program of [`HostMessage::Execute`] printed this line, on either of its outputs.
    Printed(String),
    /// Output of a program of [`HostMessage::Attach`].
    Output(Output),
    /// Exit of that program.
    Returned(Returned),
    /// Results of a benchmark.
    Measured(Vec<Series>),
    /// Execution counters of the lines of one object since the guest's start. Comes after
    /// [`HostMessage::PowerOff`].
    Counters(Counters),
    /// Receipt of a part of the host's message ([`framing::split`]), or of a piece of input that
    /// has been written: the next one may come.
    Ack,
    /// The guest could not do its own part. No statement about the kernel under test.
    Broken(Broken),
}

/// Coverage counters of one object file (CONFIG_GCOV_KERNEL).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Path of the object's counters in /sys/kernel/debug/gcov: the path of its build, with the
    /// suffix `.gcda`. Or `mutants/reached`, whose content are the numbers of the reached mutants.
    pub file: String,
    /// Its content, for `gcov`.
    pub content: Bytes,
    /// Number of objects whose counters follow.
    pub left: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The guest's [`PROTOCOL`].
    pub protocol: u32,
    /// `uname -r`.
    pub release: String,
    pub cpus: u32,
    /// Features of the kernel, in words that a scenario may require: `keyagents`, `watch_queue`,
    /// `user_ns`, `cgroup`, …
    pub features: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// [`Plan::name`].
    pub plan: String,
    pub completion: Completion,
    /// Keys of the plan that are still in /proc/keys after all its processes have been reaped, and
    /// the time for collection has passed (R26). Empty unless there is a leak.
    pub left: Vec<ProcKey>,
    /// The kernel's taint mask (/proc/sys/kernel/tainted).
    pub taint: u64,
    /// Lines of the kernel log of warning level and worse that appeared during the plan.
    pub log: Vec<String>,
    /// What the programs of the plan have printed, in the plan's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub printed: Vec<Printed>,
}

/// Output of a process that is a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    pub process: String,
    /// The end of its standard output and standard error.
    pub text: String,
}

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
    Unkillable { who: Vec<String> },
}

/// A fault of the guest's or the host's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
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
