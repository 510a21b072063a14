//! The rules of the keyagent contract, which scenarios prove.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::contract::{SECTIONS, Section};

/// A rule of docs/contract.md, from `R1` to its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule(u8);

/// A text that is not the name of a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule `{0}`: they are R1 to R{last}", last = Rule::last())]
pub struct NoSuchRule(String);

impl Rule {
    fn last() -> u8 {
        SECTIONS.len() as u8
    }

    fn section(self) -> &'static Section {
        &SECTIONS[usize::from(self.0) - 1]
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::last()).map(Self)
    }

    pub fn title(self) -> &'static str {
        self.section().title
    }

    /// Returns its text in the contract, as Markdown.
    pub fn text(self) -> &'static str {
        self.section().text
    }

    /// Returns true if the kernel series does not implement any part of it yet.
    pub fn is_planned(self) -> bool {
        self.section().is_planned()
    }
}

impl FromStr for Rule {
    type Err = NoSuchRule;

    fn from_str(text: &str) -> Result<Self, NoSuchRule> {
        let wrong = || NoSuchRule(text.to_owned());
        let number: u8 = text.strip_prefix('R').and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
        // The second condition refuses `R01` and `R+1`.
        if (1..=Self::last()).contains(&number) && text == Self(number).to_string() {
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
