//! Benchmarks that a guest runs. Each sample is reported as taken; statistics are the host's job.

use serde::{Deserialize, Serialize};

/// A benchmark to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    /// Time of a `request_key(2)` that has to wait for an upcall to make the key. All cases take
    /// turns, in an order that is drawn anew each round.
    Request {
        /// Samples of each case.
        rounds: u32,
        /// Programs to install as `/sbin/request-key`, in turn.
        upcalls: Vec<Upcall>,
    },
    /// Time per request when a number of requests wait for one keyagent, whose `RLIMIT_SIGPENDING`
    /// is 64. One sample for each number, in this order.
    Pending { counts: Vec<u32> },
    /// Time of a request without an answer, on a kernel that runs no `/sbin/request-key`.
    Miss {
        /// Samples of each case.
        rounds: u32,
        /// Requests that a sample is the mean of.
        calls: u32,
        /// The registered keyagent.
        agent: UnrelatedAgent,
    },
    /// Time from the fork of a process to its end, which is an exit at once or one after execve(2).
    /// The process never registers a keyagent.
    Process {
        /// Samples of each case.
        rounds: u32,
        /// Processes that a sample is the mean of.
        calls: u32,
        /// Path of the program to execute.
        program: String,
        /// Number of other processes, which wait meanwhile.
        others: u32,
        /// Whether each of the other processes has registered a keyagent.
        registered: bool,
    },
    /// Time of a request that keyagentd answers, in turn with keyagents that make only the necessary
    /// calls and with `/sbin/request-key`; then the memory of the daemons, and a burst of requests.
    Daemon {
        /// Samples of each case.
        rounds: u32,
        /// Command of the daemon that answers by rules. They have one for descriptions that begin
        /// with `bench:`, and none for others.
        rules: Vec<String>,
        /// The same for a second one, which gets requests without a rule: a process that has forked
        /// for a helper has page faults later.
        rejecting: Vec<String>,
        /// Command of the daemon that answers by `--exec`.
        exec: Vec<String>,
        /// Program to install as `/sbin/request-key`, which has the same rules. Without one, no rule
        /// is used.
        request_key: Option<String>,
        burst: Burst,
    },
}

/// Requests to the daemon that answers by `--exec`, many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    pub requests: u32,
    /// Processes that make them, each one request after the other.
    pub requesters: u32,
}

/// A program in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Upcall {
    pub case: String,
    pub program: String,
}

/// A keyagent without a relation to the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnrelatedAgent {
    /// No keyagent, now or earlier.
    None,
    /// A registered keyagent whose key the requester does not have.
    Elsewhere,
    /// An agent for another type, whose key is in the requester's session keyring.
    OtherType,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    pub case: String,
    pub unit: SampleUnit,
    /// In the order of the measurements.
    pub samples: Vec<u64>,
}

/// What a sample counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleUnit {
    /// Nanoseconds per request or process.
    Nanoseconds,
    /// Memory.
    Kibibytes,
}
