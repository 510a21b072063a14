//! References to keys, as written in scenarios and on the wire.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A key, as a scenario names it: `@s`, `agent`, `box:@s`, `@target`, `@authkey`, `#305419896`.
///
/// The same text stands in a scenario and on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum KeyRef {
    /// One of the caller's own keyrings.
    Special(Special),
    /// The serial in a variable.
    Variable(String),
    /// Another process's keyring, by the serial that it had when that process last started or joined a session.
    Of(String, Special),
    /// The target of the upcall being served. In a step it is the oldest upcall that the process
    /// holds.
    Target,
    /// The authkey of the same upcall, found in the process keyring by its description (the target's serial in
    /// hexadecimal digits).
    Authkey,
    /// A serial. Only on the wire: serials are not known in scenarios.
    Serial(i32),
}

/// The special keyrings of keyctl(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// `@t`, KEY_SPEC_THREAD_KEYRING.
    Thread,
    /// `@p`, KEY_SPEC_PROCESS_KEYRING.
    Process,
    /// `@s`, KEY_SPEC_SESSION_KEYRING.
    Session,
    /// `@u`, KEY_SPEC_USER_KEYRING.
    User,
    /// `@us`, KEY_SPEC_USER_SESSION_KEYRING.
    UserSession,
    /// `@a`, KEY_SPEC_REQKEY_AUTH_KEY.
    RequestKeyAuth,
    /// `@r`, KEY_SPEC_REQUESTOR_KEYRING.
    Requestor,
}

impl Special {
    const ALL: [(Self, &'static str, i32); 7] = [
        (Self::Thread, "@t", -1),
        (Self::Process, "@p", -2),
        (Self::Session, "@s", -3),
        (Self::User, "@u", -4),
        (Self::UserSession, "@us", -5),
        (Self::RequestKeyAuth, "@a", -7),
        (Self::Requestor, "@r", -8),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|entry| entry.0 == self).map_or("@?", |entry| entry.1)
    }

    /// Returns the number for system calls.
    pub fn id(self) -> i32 {
        Self::ALL.iter().find(|entry| entry.0 == self).map_or(0, |entry| entry.2)
    }

    pub fn from_id(id: i32) -> Option<Self> {
        Self::ALL.iter().find(|entry| entry.2 == id).map(|entry| entry.0)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
    }
}

/// A text that is not a reference to a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no key: say @s, @p, @t, @u, @us, @a, @r, @target, @authkey, a variable, or PROCESS:@s")]
pub struct NotAKey(pub String);

#[cfg(feature = "host")]
impl schemars::JsonSchema for KeyRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A key: the name that `as` gave it, or that of an agent; the process's own @s, @p, @t, @u, @us, @a or \
                            @r; another process's keyring, as in box:@s; where an upcall is served, @target and @authkey; \
                            AGENT.target, the target of the last upcall that AGENT heard of.",
            "examples": ["k", "agent", "@s", "box:@s", "@target", "agent.target"],
        })
    }
}

impl FromStr for KeyRef {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let wrong = || NotAKey(text.to_owned());
        if let Some(digits) = text.strip_prefix('#') {
            return digits.parse().map(Self::Serial).map_err(|_| wrong());
        }
        if let Some((process, keyring)) = text.split_once(':') {
            let keyring = Special::from_name(keyring).ok_or_else(wrong)?;
            return Ok(Self::Of(process.to_owned(), keyring));
        }
        match text {
            "" => Err(wrong()),
            "@target" => Ok(Self::Target),
            "@authkey" => Ok(Self::Authkey),
            _ if text.starts_with('@') => Special::from_name(text).map(Self::Special).ok_or_else(wrong),
            _ => Ok(Self::Variable(text.to_owned())),
        }
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Special(special) => out.write_str(special.name()),
            Self::Variable(name) => out.write_str(name),
            Self::Of(process, special) => write!(out, "{process}:{}", special.name()),
            Self::Target => out.write_str("@target"),
            Self::Authkey => out.write_str("@authkey"),
            Self::Serial(serial) => write!(out, "#{serial}"),
        }
    }
}

impl TryFrom<String> for KeyRef {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<KeyRef> for String {
    fn from(key: KeyRef) -> Self {
        key.to_string()
    }
}
