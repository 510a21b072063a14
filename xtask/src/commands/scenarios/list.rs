//! `cargo xtask scenarios list`: scenarios and the rules that they prove.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use console::style;
use kernel::counted;
use scenarios::docs::overview::{self, Entry};
use scenarios::rule::{NoSuchRule, Rule};
use scenarios::scenario::Scenario;

use crate::host::completion;
use crate::host::terminal::Terminal;
use crate::runner::selection;

/// Scenarios and format of the list.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask scenarios list                  # all of them, and the rules without one
  cargo xtask scenarios list R20              # the rule's text, and the scenarios that prove it
  cargo xtask scenarios list lifetime R20     # and those of a family
  cargo xtask scenarios list --json | jq -r '.[] | select(.rules | index(\"R14\")).name'")]
pub struct Options {
    /// List only scenarios whose names (FAMILY/NAME) contain one of these, or that prove one of these rules, which are quoted
    #[arg(value_name = "FILTER|RULE", add = completion::scenario_or_rule())]
    filters: Vec<Filter>,

    /// Write a JSON array of {name, family, title, rules}, ordered by name
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<()> {
    let scenarios = chosen(&options.filters)?;
    if options.json {
        let entries: Vec<Entry<'_>> = scenarios.iter().map(Entry::of).collect();
        terminal.say(&serde_json::to_string_pretty(&entries)?);
    } else {
        for filter in &options.filters {
            if let Filter::Rule(rule) = filter {
                terminal.say(&format!("{}\n", quote(*rule)));
            }
        }
        if !scenarios.is_empty() {
            terminal.say(&format!("{}\n", table(&scenarios)));
        }
        if options.filters.is_empty() {
            terminal.say(&coverage(&scenarios));
        } else {
            terminal.say(&counted(scenarios.len(), "scenario", "scenarios"));
        }
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Rule(Rule),
    /// A part of a scenario's name.
    Name(String),
}

impl FromStr for Filter {
    type Err = NoSuchRule;

    /// Parses text in the form of a rule as a rule, in either case.
    fn from_str(text: &str) -> Result<Self, NoSuchRule> {
        let digits = text.strip_prefix(['R', 'r']).unwrap_or_default();
        match !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.to_uppercase().parse().map(Self::Rule),
            false => Ok(Self::Name(text.to_owned())),
        }
    }
}

/// Returns the scenarios that match one of the filters; all without a filter.
fn chosen(filters: &[Filter]) -> Result<Vec<Scenario>> {
    // A rule may have no scenario, but a filter by name must match one.
    let name = |filter: &Filter| match filter {
        Filter::Name(name) => Some(name.clone()),
        Filter::Rule(_) => None,
    };
    selection::select(&filters.iter().filter_map(name).collect::<Vec<_>>())?;
    let fits = |scenario: &Scenario, filter: &Filter| match filter {
        Filter::Rule(rule) => scenario.rules.contains(rule),
        Filter::Name(name) => scenario.name.contains(name.as_str()),
    };
    let mut scenarios = selection::select(&[])?;
    scenarios.retain(|scenario| filters.is_empty() || filters.iter().any(|filter| fits(scenario, filter)));
    Ok(scenarios)
}

/// Formats a rule as the contract states it.
fn quote(rule: Rule) -> String {
    let lines: Vec<String> =
        plain(rule.text()).lines().map(|line| format!("  {line}").trim_end().to_owned()).collect();
    format!("{}\n\n{}", style(format!("{rule}: {}", rule.title())).bold(), lines.join("\n"))
}

/// Removes Markdown's marks of quotations and emphasis.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.strip_prefix('>').map_or(line, |rest| rest.trim_start()));
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut plain = String::with_capacity(text.len());
    // Code keeps its asterisks.
    for (index, part) in text.split('`').enumerate() {
        let is_code = index % 2 == 1;
        let mark = if is_code { "`" } else { "" };
        plain.push_str(&format!(
            "{mark}{}{mark}",
            if is_code { part.to_owned() } else { part.replace('*', "") }
        ));
    }
    plain
}

/// Returns a line for each scenario, under its family.
fn table(scenarios: &[Scenario]) -> String {
    let file = |scenario: &Scenario| scenario.name.rsplit('/').next().unwrap_or_default().to_owned();
    let rules =
        |scenario: &Scenario| scenario.rules.iter().map(Rule::to_string).collect::<Vec<_>>().join(" ");
    let wide =
        |text: &dyn Fn(&Scenario) -> String| scenarios.iter().map(|it| text(it).len()).max().unwrap_or(0);
    let (name_width, rules_width) = (wide(&file), wide(&rules));
    let mut lines = Vec::new();
    let mut family = "";
    for scenario in scenarios {
        if scenario.family != family {
            family = &scenario.family;
            lines.push(format!("{}{}", if lines.is_empty() { "" } else { "\n" }, style(family).bold()));
        }
        let name = format!("{:name_width$}", file(scenario));
        let rules = format!("{:rules_width$}", rules(scenario));
        lines.push(format!("  {name}  {}  {}", style(rules).cyan(), scenario.title));
    }
    lines.join("\n")
}

/// Returns the number of scenarios for each rule.
fn coverage(scenarios: &[Scenario]) -> String {
    let count = |rule: &Rule| scenarios.iter().filter(|it| it.rules.contains(rule)).count();
    let cells: Vec<String> =
        Rule::all().map(|rule| format!("{:>4}{:>4}", rule.to_string(), count(&rule))).collect();
    let rows: Vec<String> = cells.chunks(7).map(|row| format!("  {}", row.join("   "))).collect();
    let mut families: Vec<&str> = scenarios.iter().map(|it| it.family.as_str()).collect();
    families.dedup();
    let sum = format!(
        "{} in {}",
        counted(scenarios.len(), "scenario", "scenarios"),
        counted(families.len(), "family", "families")
    );
    let unproved = overview::unproved(scenarios);
    let missing: Vec<String> = unproved.iter().map(Rule::to_string).collect();
    let verdict = match missing.as_slice() {
        [] => style("Every implemented rule has a scenario.".to_owned()).green(),
        some => style(format!("Without a scenario: {}", some.join(", "))).yellow(),
    };
    let planned: Vec<String> = Rule::all().filter(|it| it.is_planned()).map(|it| it.to_string()).collect();
    let planned = match planned.as_slice() {
        [] => String::new(),
        some => format!(" Planned: {}.", some.join(", ")),
    };
    format!("{}\n{}\n\n{sum}. {verdict}{planned}", style("scenarios for each rule").bold(), rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(filters: &[&str]) -> Vec<String> {
        let filters: Vec<Filter> = filters.iter().map(|filter| filter.parse().unwrap()).collect();
        chosen(&filters).unwrap().into_iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn names_and_rules_select_in_order_of_names() {
        let both = names(&["R28", "linking/two-containers"]);
        assert_eq!(both.first().map(String::as_str), Some("linking/two-containers"));
        assert!(both.contains(&"serving/watching".to_owned()) && !both.contains(&"serving/raced".to_owned()));
        let all = names(&[]);
        // The cases of a file keep their order.
        assert!(all.iter().is_sorted_by_key(|name| name.split('[').next()));
        assert!(all.len() > both.len());
        assert!(chosen(&[Filter::Name("no-such".to_owned())]).is_err());
    }

    #[test]
    fn rule_is_quoted_with_title_and_whole_text() {
        let rule: Rule = "R20".parse().unwrap();
        let quoted = console::strip_ansi_codes(&quote(rule)).into_owned();
        assert!(
            quoted.starts_with(&format!("R20: {}\n\n  Requests that are pending", rule.title())),
            "{quoted}"
        );
        assert_eq!(quoted.lines().count(), rule.text().lines().count() + 2);
    }

    #[test]
    fn planned_part_of_a_rule_is_quoted_without_markdown() {
        let quoted = console::strip_ansi_codes(&quote("R30".parse().unwrap())).into_owned();
        assert!(quoted.contains("\n\n  Planned: SMB's caches get the same fix"), "{quoted}");
        assert_eq!(plain("> The *holder* of `a*b`\n> **counts**"), "The holder of `a*b`\ncounts");
    }

    #[test]
    fn rule_is_parsed_in_either_case_and_unknown_rule_is_refused() {
        let rule = Filter::Rule("R20".parse().unwrap());
        assert_eq!(["r20", "R20"].map(|text| text.parse::<Filter>().unwrap()), [rule.clone(), rule]);
        let error = "r99".parse::<Filter>().unwrap_err().to_string();
        assert!(error.starts_with("no rule `R99`: they are R1 to R"), "{error}");
        assert_eq!("rejection".parse(), Ok(Filter::Name("rejection".to_owned())));
    }

    #[test]
    fn json_entry_has_name_family_title_and_rules() {
        let scenarios = chosen(&[Filter::Name("linking/two-containers".to_owned())]).unwrap();
        assert_eq!(
            serde_json::to_string(&Entry::of(&scenarios[0])).unwrap(),
            r#"{"name":"linking/two-containers","family":"linking","title":"One agent serves two containers, and each gets its own key","rules":["R8","R14","R18"]}"#
        );
    }
}
