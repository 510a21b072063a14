//! Benchmarks that a guest runs. Each sample is reported as taken; statistics are the host's job.

use serde::{Deserialize, Serialize};

/// A benchmark to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    /// The time that `request_key(2)` takes until a key is there that somebody has to make first. All cases take their turns, in an
    /// order that is drawn anew each round.
    Request {
        /// Samples of each case.
        rounds: u32,
        /// Programs to install as `/sbin/request-key`, in turn.
        upcalls: Vec<Upcall>,
    },
    /// The time that a keyagent whose `RLIMIT_SIGPENDING` is 64 takes for each of so many requests that all wait for it. One
    /// sample for each number, in this order.
    Pending {
        /// Numbers of requests.
        counts: Vec<u32>,
    },
    /// The time that a request takes that nobody answers, on a kernel that runs no `/sbin/request-key`.
    Miss {
        /// Samples of each case.
        rounds: u32,
        /// Requests that a sample is the mean of.
        calls: u32,
        /// The keyagent that there is.
        agent: UnrelatedAgent,
    },
}

/// A program in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Upcall {
    /// Name of the case.
    pub case: String,
    /// Path of the program.
    pub program: String,
}

/// A keyagent that has nothing to do with the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnrelatedAgent {
    /// There is none, and never was.
    None,
    /// One has registered, and the requester has not its key.
    Elsewhere,
    /// The requester has the key of an agent for another type in its session keyring.
    OtherType,
}

/// The samples of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Name of the case.
    pub case: String,
    /// Nanoseconds a request, in the order in which they were measured.
    pub samples_ns: Vec<u64>,
}
