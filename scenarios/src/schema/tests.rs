use std::{fs, path::Path};

use crate::parse;
use jsonschema::Validator;
use serde_json::Value;

fn validator() -> Validator {
    jsonschema::draft7::new(&parse::schema()).unwrap()
}

/// Every scenario of the suite, by file.
fn suite() -> Vec<(String, Value)> {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/suite"));
    let mut files = Vec::new();
    for family in fs::read_dir(dir).unwrap() {
        for file in fs::read_dir(family.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|it| it == "toml") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.display().to_string(), toml::from_str(&text).unwrap()));
            }
        }
    }
    assert!(files.len() > 50);
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

/// Returns a part of the suite, with scenarios of every family, for slow tests. The parser accepts
/// each of them.
fn some() -> impl Iterator<Item = (String, Value)> {
    let is_taken = |(file, document): &(String, Value)| assert!(is_read(document), "{file}");
    suite().into_iter().step_by(6).inspect(is_taken)
}

fn is_read(document: &Value) -> bool {
    let text = toml::to_string(document).unwrap();
    parse::scenarios("f/n", Path::new("f/n.toml"), &text).is_ok()
}

#[test]
fn every_scenario_of_the_suite_is_valid() {
    let validator = validator();
    for (file, document) in suite() {
        if let Err(error) = validator.validate(&document) {
            panic!("{file}: {error} at {}", error.instance_path());
        }
    }
}

/// Calls `change` with every table and every other value in a document, each time on a fresh copy.
fn mutations(document: &Value, change: impl Fn(&mut Value) -> bool) -> Vec<(String, Value)> {
    fn places(value: &Value, at: String, all: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| places(value, format!("{at}/{}", escaped(key)), all));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| places(value, format!("{at}/{index}"), all));
            }
            _ => {}
        }
        all.push(at);
    }
    let mut all = Vec::new();
    places(document, String::new(), &mut all);
    let mut changed = Vec::new();
    for place in all {
        let mut copy = document.clone();
        if copy.pointer_mut(&place).is_some_and(&change) {
            changed.push((place, copy));
        }
    }
    changed
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[test]
fn what_nobody_knows_is_refused_by_the_reader_and_by_the_schema() {
    let validator = validator();
    let add = |value: &mut Value| {
        value.as_object_mut().map(|map| map.insert("nobody-knows".into(), true.into())).is_some()
    };
    for (file, document) in some() {
        // Values in a matrix are checked where they are used.
        let of_matrix = |place: &str| place.starts_with("/matrix") || place.starts_with("/variables");
        let changed = mutations(&document, add).into_iter().filter(|(place, _)| !of_matrix(place));
        for (place, changed) in changed {
            assert!(!validator.is_valid(&changed), "{file}{place}: the schema takes it");
            assert!(!is_read(&changed), "{file}{place}: the reader takes it");
        }
    }
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let validator = validator();
    let others: [Value; 5] =
        ["text".into(), 7.into(), true.into(), Value::Array(vec![]), serde_json::json!({})];
    // serde reads a list of all of a table's values as that table, which is not documented.
    let is_list_for_table = |old: &Value, new: &Value| old.is_object() && new.is_array();
    for (file, document) in some() {
        for other in &others {
            let replace = |value: &mut Value| {
                let differs = value != other && !is_list_for_table(value, other);
                *value = other.clone();
                differs
            };
            for (place, changed) in
                mutations(&document, replace).into_iter().filter(|(place, _)| !place.is_empty())
            {
                if is_read(&changed) {
                    assert!(validator.is_valid(&changed), "{file}{place} = {other}: the schema refuses it");
                }
            }
        }
    }
}

/// Returns every field that a table may have, with the place of its description.
fn fields<'s>(schema: &'s Value, at: &str, found: &mut Vec<(String, &'s Value)>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                let at = format!("{at}/{key}");
                if key == "properties" || key == "definitions" {
                    let entries = value.as_object().unwrap();
                    found.extend(entries.iter().map(|(name, field)| (format!("{at}/{name}"), field)));
                    entries.iter().for_each(|(name, field)| fields(field, &format!("{at}/{name}"), found));
                } else {
                    fields(value, &at, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, at, found)),
        _ => {}
    }
}

#[test]
fn everything_is_described() {
    let schema = parse::schema();
    let mut found = Vec::new();
    fields(&schema, "", &mut found);
    assert!(found.len() > 150, "{}", found.len());
    let silent: Vec<&String> =
        found.iter().filter(|(_, field)| field.get("description").is_none()).map(|(at, _)| at).collect();
    assert!(silent.is_empty(), "give these a doc comment in the types: {silent:#?}");
    let text = schema.to_string();
    for rust in ["crate::", "[`", "None:"] {
        assert!(!text.contains(rust), "an author of scenarios is not to read `{rust}` of Rust");
    }
}
