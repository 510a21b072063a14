//! The suite as a whole.

use std::{collections::BTreeSet, path::Path};

use scenarios::{rule::Rule, suite};

fn dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/suite"))
}

#[test]
fn every_scenario_is_sound_and_proves_something() {
    let scenarios = suite::load(dir()).unwrap_or_else(|problems| panic!("{problems}"));
    for scenario in scenarios {
        assert!(!scenario.rules.is_empty(), "{} names no rule", scenario.name);
    }
}

#[test]
fn no_snapshot_is_without_its_scenario() {
    assert_eq!(suite::stale_snapshots(dir()).unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn the_rules_without_a_scenario_are_known() {
    let scenarios = suite::load(dir()).unwrap_or_else(|problems| panic!("{problems}"));
    let proved: BTreeSet<Rule> = scenarios.iter().flat_map(|scenario| scenario.rules.clone()).collect();
    let missing: Vec<String> =
        Rule::all().filter(|rule| !proved.contains(rule)).map(|rule| rule.to_string()).collect();
    assert_eq!(
        missing,
        ["R13", "R27"],
        "update this list when a rule gets its first scenario, or loses its last"
    );
}
