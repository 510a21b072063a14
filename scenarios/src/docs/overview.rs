//! Overview of scenarios and the rules that they prove, as Markdown and as entries for JSON.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use crate::{rule::Rule, scenario::Scenario};

/// A scenario in the JSON list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry<'s> {
    /// `FAMILY/NAME`.
    pub name: &'s str,
    pub family: &'s str,
    pub title: &'s str,
    pub rules: Vec<String>,
}

impl<'s> Entry<'s> {
    pub fn of(scenario: &'s Scenario) -> Self {
        let Scenario { name, family, title, rules, .. } = scenario;
        Self { name, family, title, rules: rules.iter().map(Rule::to_string).collect() }
    }
}

/// Returns the implemented rules that none of these scenarios proves.
pub fn unproved(scenarios: &[Scenario]) -> Vec<Rule> {
    let is_proved = |rule: &Rule| scenarios.iter().any(|scenario| scenario.rules.contains(rule));
    Rule::all().filter(|rule| !rule.is_planned() && !is_proved(rule)).collect()
}

/// Returns a Markdown table of all rules with the scenarios that prove them, and a list of the
/// families. The cases of a file count as one scenario.
pub fn markdown(scenarios: &[Scenario]) -> String {
    let mut families: BTreeMap<&str, Vec<&Scenario>> = BTreeMap::new();
    for scenario in scenarios {
        families.entry(&scenario.family).or_default().push(scenario);
    }
    families.values_mut().for_each(|members| members.dedup_by_key(|scenario| &scenario.file));
    // Writing to a String can't fail.
    let mut text = String::from("| rule | says | scenarios |\n|---|---|---|\n");
    for rule in Rule::all() {
        let _ = writeln!(text, "| {rule} | {} | {} |", rule.title(), proofs(rule, scenarios));
    }
    for (family, members) in families {
        let _ = write!(text, "\n### {family}\n\n");
        for scenario in members {
            let file = scenario.file.rsplit('/').next().unwrap_or_default();
            let cases = scenario.case.as_ref().map(|case| format!(" ({} cases)", case.all.len()));
            let _ = writeln!(
                text,
                "- [{file}](suite/{}.toml){}: {}",
                scenario.file,
                cases.unwrap_or_default(),
                scenario.title
            );
        }
    }
    text
}

fn proofs(rule: Rule, scenarios: &[Scenario]) -> String {
    let mut names: Vec<String> = scenarios
        .iter()
        .filter(|scenario| scenario.rules.contains(&rule))
        .map(|scenario| format!("[{0}](suite/{0}.toml)", scenario.file))
        .collect();
    names.dedup();
    match names.as_slice() {
        [] if rule.is_planned() => "planned".to_owned(),
        [] => "none yet".to_owned(),
        _ => names.join(", "),
    }
}
