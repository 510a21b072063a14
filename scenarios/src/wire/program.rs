//! Programs that the guest runs outside of any plan.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::event::Ending;

/// Argument that makes the agent an exec server: not PID 1, it runs programs for the host.
pub const EXEC_SERVER: &str = "attend";

/// Virtio port between the exec server and the host.
pub const EXEC_SERVER_PORT: &str = "keyagents";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub path: String,
    /// Its arguments, without its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// User id, and group id without supplementary groups. 0 has all capabilities.
    pub uid: u32,
    /// Time limit in milliseconds, after which it is killed with all its descendants.
    pub deadline_ms: u64,
}

/// A program's end. None of its descendants runs any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// [`Program::path`].
    pub program: String,
    /// Its termination. `None` if its deadline passed.
    pub ending: Option<Ending>,
}

/// A program whose standard streams are attached to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedProgram {
    pub path: String,
    /// Its arguments, without its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Its whole environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Its working directory, created if absent.
    pub directory: String,
    pub streams: Streams,
}

/// Kinds of standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// The guest's console, of that size, as the controlling terminal of a session of the program's own.
    Terminal(WindowSize),
    /// Pipes, whose bytes travel in messages.
    Pipes,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    pub rows: u16,
    pub columns: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub stream: Stream,
    pub bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Output,
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
