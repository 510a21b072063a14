//! A program that the guest runs as it is, apart from any plan: no scenario of its own, only its output and its end.

use serde::{Deserialize, Serialize};

use crate::wire::Ending;

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its path in the guest.
    pub path: String,
    /// Its arguments, without its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Who it runs as, with the group of the same number and no others. 0 has all capabilities.
    pub uid: u32,
    /// How long it may take, in milliseconds. Then it is killed, with all that it has started.
    pub deadline_ms: u64,
}

/// A program's end. Nothing that it has started runs any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// [`Program::path`].
    pub program: String,
    /// How it ended by itself. None: its deadline passed.
    pub ending: Option<Ending>,
}
