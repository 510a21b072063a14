//! The rules of the keyagent contract, which scenarios prove.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A rule, from `R1` to `R28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rule(u8);

/// A text that names no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule `{0}`: they are R1 to R{last}", last = Rule::LAST)]
pub struct NoSuchRule(String);

impl Rule {
    const LAST: u8 = 28;

    /// Every rule, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::LAST).map(Self)
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
