//! The rules of the keyagent contract, which scenarios prove.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A rule, from `R1` to `R28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rule(u8);

/// What the rules say, in short.
const TITLES: [&str; 28] = [
    "Adding a keyagent key with a signal of 4 bytes makes the thread group the agent for a type",
    "The 16 bytes of struct keyagent_params do so too; everything else is refused",
    "An agent serves types of 1 to 31 printable characters, but none that the kernel keeps to itself",
    "Any thread registers, with or without a process keyring, and the registration is its thread group's",
    "request_key finds a keyagent key but never makes one; who links it is served",
    "Registering again displaces the key, and nobody updates or hijacks one",
    "/proc/keys, describe, read and the capabilities tell what agents there are",
    "The agent is chosen from the requester's session keyring, the first usable one serves",
    "Without an agent everything is as on a stock kernel",
    "An agent never serves itself, and a chain that would wait for itself fails",
    "Where agents are found but none is usable, the request fails and the host is not asked",
    "An agent serves only those over whom it has power by the credentials that it registered with",
    "What the kernel asks for on a process's behalf goes to an agent only within its network namespace",
    "The authkey is linked into the agent's process keyring, then the signal tells who asks for what",
    "The signal can't be forged, and a serial without its authkey gives no power",
    "One construction, one upcall, however many race for the key",
    "Nothing is lost in a burst, and limits are told by errors",
    "The agent answers, negates or rejects, and every waiter sees it",
    "Every request has a deadline, and a late answer comes to nothing",
    "An agent's exit or exec ends at once what is pending with it",
    "A dropped or invalidated authkey ends the request",
    "A requester that is interrupted or killed leaves nothing behind",
    "An agent's key that has ended stops new requests, not the pending ones",
    "A silent agent stalls nobody else",
    "Failures of the hand-over are not cached, an agent's own rejection is",
    "When all has ended, nothing is left",
    "Tracepoints tell the life of a request",
    "An agent that watches its process keyring needs no signal",
];

/// A text that names no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule `{0}`: they are R1 to R{last}", last = Rule::LAST)]
pub struct NoSuchRule(String);

impl Rule {
    const LAST: u8 = TITLES.len() as u8;

    /// Every rule, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::LAST).map(Self)
    }

    /// What it says, in short.
    pub fn title(self) -> &'static str {
        TITLES.get(usize::from(self.0) - 1).copied().unwrap_or_default()
    }
}

impl FromStr for Rule {
    type Err = NoSuchRule;

    fn from_str(text: &str) -> Result<Self, NoSuchRule> {
        let wrong = || NoSuchRule(text.to_owned());
        let number: u8 = text.strip_prefix('R').and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
        // The second condition refuses `R01` and `R+1`.
        if (1..=Self::LAST).contains(&number) && text == Self(number).to_string() {
            Ok(Self(number))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "R{}", self.0)
    }
}

impl schemars::JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "Rule".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let rules = Self::all().map(|rule| {
            let (name, description) = (rule.to_string(), rule.title());
            schemars::json_schema!({ "const": name, "description": description })
        });
        let rules: Vec<schemars::Schema> = rules.collect();
        schemars::json_schema!({ "description": "A rule of the contract.", "oneOf": rules })
    }
}

impl TryFrom<String> for Rule {
    type Error = NoSuchRule;

    fn try_from(text: String) -> Result<Self, NoSuchRule> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}
