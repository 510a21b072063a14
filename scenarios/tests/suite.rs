//! The suite as a whole.

use std::{fs, path::Path};

use scenarios::{
    docs::{self, overview},
    rule::Rule,
    suite,
};

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
    let scenarios = suite::load(dir()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(suite::stale_snapshots(dir(), &scenarios).unwrap(), []);
}

#[test]
fn every_implemented_rule_has_a_scenario() {
    let scenarios = suite::load(dir()).unwrap_or_else(|problems| panic!("{problems}"));
    let missing: Vec<String> = overview::unproved(&scenarios).iter().map(Rule::to_string).collect();
    assert!(missing.is_empty(), "no scenario proves {missing:?}");
}

#[test]
fn no_scenario_proves_a_rule_that_is_only_planned() {
    let scenarios = suite::load(dir()).unwrap_or_else(|problems| panic!("{problems}"));
    for scenario in scenarios {
        let planned = scenario.rules.iter().find(|rule| rule.is_planned());
        assert!(
            planned.is_none(),
            "{} proves {}: say in docs/contract.md what the series does",
            scenario.name,
            planned.unwrap()
        );
    }
}

#[test]
fn what_is_generated_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let scenarios = suite::load(dir()).unwrap_or_else(|problems| panic!("{problems}"));
    for file in docs::files(&root, &scenarios).unwrap() {
        let found = fs::read_to_string(root.join(file.path)).unwrap_or_default();
        assert!(found == file.text, "{} is out of date: run `cargo xtask scenarios generate`", file.path);
    }
}

#[test]
fn the_example_in_the_readme_is_a_scenario() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let example = readme.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    if let Err(file) = scenarios::parse::scenarios("readme/example", Path::new("README.md"), example) {
        panic!("{:?}", file.problems);
    }
}
