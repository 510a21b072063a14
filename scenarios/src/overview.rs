//! Which scenarios prove which rules, for people.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use crate::{rule::Rule, scenario::Scenario};

/// A scenario in a list that programs read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry<'s> {
    /// `FAMILY/NAME`.
    pub name: &'s str,
    /// The family.
    pub family: &'s str,
    /// What it shows.
    pub title: &'s str,
    /// The rules that it proves.
    pub rules: &'s [Rule],
}

impl<'s> Entry<'s> {
    /// The scenario's entry.
    pub fn of(scenario: &'s Scenario) -> Self {
        let Scenario { name, family, title, rules, .. } = scenario;
        Self { name, family, title, rules }
    }
}

/// The rules that none of these scenarios proves.
pub fn unproved(scenarios: &[Scenario]) -> Vec<Rule> {
    Rule::all().filter(|rule| !scenarios.iter().any(|scenario| scenario.rules.contains(rule))).collect()
}

/// A Markdown table of all rules with the scenarios that prove them, and a list of the families.
pub fn markdown(scenarios: &[Scenario]) -> String {
    let mut families: BTreeMap<&str, Vec<&Scenario>> = BTreeMap::new();
    for scenario in scenarios {
        families.entry(&scenario.family).or_default().push(scenario);
    }
    // Writing to a String can't fail.
    let mut text = String::from("| rule | says | scenarios |\n|---|---|---|\n");
    for rule in Rule::all() {
        let _ = writeln!(text, "| {rule} | {} | {} |", rule.title(), proofs(rule, scenarios));
    }
    for (family, members) in families {
        let _ = write!(text, "\n### {family}\n\n");
        for scenario in members {
            let file = scenario.name.rsplit('/').next().unwrap_or_default();
            let _ = writeln!(text, "- [{file}](suite/{}.toml): {}", scenario.name, scenario.title);
        }
    }
    text
}

fn proofs(rule: Rule, scenarios: &[Scenario]) -> String {
    let names: Vec<String> = scenarios
        .iter()
        .filter(|scenario| scenario.rules.contains(&rule))
        .map(|scenario| format!("[{0}](suite/{0}.toml)", scenario.name))
        .collect();
    if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
}
