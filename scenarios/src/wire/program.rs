//! A program that the guest runs as it is, apart from any plan: no scenario of its own, only its output and its end.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::event::Ending;

/// What the agent is told, as its argument, to be a guest's attendant: not PID 1, and there to run programs for the host.
pub const EXEC_SERVER: &str = "attend";

/// The virtio port through which an attendant and the host talk.
pub const EXEC_SERVER_PORT: &str = "keyagents";

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

/// A program that somebody on the host uses: its standard streams are theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedProgram {
    /// Its path in the guest.
    pub path: String,
    /// Its arguments, without its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Its whole environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Where it starts. Made if it is not there.
    pub directory: String,
    /// What its standard streams are.
    pub streams: Streams,
}

/// What a program's standard streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// The guest's console, of that size, as the controlling terminal of a session of the program's own.
    Terminal(WindowSize),
    /// Pipes, whose bytes travel in messages.
    Pipes,
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Bytes that a program has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Where to.
    pub stream: Stream,
    /// What.
    pub bytes: Bytes,
}

/// Where programs write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Any bytes: base64 on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_kind_travel_in_a_line_of_json() {
        let bytes = Bytes((0..=255).collect());
        let line = serde_json::to_string(&bytes).unwrap();
        assert!(line.is_ascii() && !line.contains('\n'));
        assert_eq!(serde_json::from_str::<Bytes>(&line).unwrap(), bytes);
    }
}
