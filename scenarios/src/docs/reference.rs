//! Reference of the scenario language, generated from the JSON Schema.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::{parse::readable_schema, template};

const INTRODUCTION: &str = include_str!("reference_intro.md");

/// Parts that have a heading of their own because a scenario is made of them.
const PARTS: [(&str, &str); 4] = [
    ("Process", "`[process.NAME]`"),
    ("Step", "`[[step]]`"),
    ("Expect", "What is expected"),
    ("Setup", "`setup`"),
];

pub(super) fn markdown() -> String {
    let schema = readable_schema();
    let example = template::SCENARIO.trim_start_matches("#:schema ../../schema.json\n");
    let mut text = format!("{INTRODUCTION}```toml\n{example}```\n");
    heading(&mut text, "The file", about(&schema));
    fields(&mut text, &schema);
    let definitions = schema.get("definitions").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, title) in PARTS {
        let Some(part) = definitions.get(name) else { continue };
        heading(&mut text, title, about(part));
        // The arguments of operations follow further down.
        match name {
            "Setup" => {
                text.push_str("Any [operation](#operations) in a table of its own, and `as` beside it.\n")
            }
            _ => body(&mut text, part),
        }
    }
    if let Some(operations) = definitions.get("Operation") {
        heading(&mut text, "Operations", about(operations));
        for (name, arguments) in operations.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let _ = write!(text, "### `{name}`\n\n{}\n\n", about(arguments));
            fields(&mut text, arguments);
        }
    }
    heading(&mut text, "Values", "What the arguments and fields above are made of.");
    for (name, definition) in &definitions {
        if PARTS.iter().any(|(part, _)| part == name) || name == "Operation" || name == "Outcome" {
            continue;
        }
        let _ = write!(text, "### {name}\n\n{}\n\n", about(definition));
        body(&mut text, definition);
    }
    format!("{}\n", text.trim_end())
}

fn heading(text: &mut String, title: &str, about: &str) {
    let _ = write!(text, "\n## {title}\n\n{about}\n\n");
}

fn about(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// A table's fields, or the alternatives of something else.
fn body(text: &mut String, schema: &Value) {
    if schema.get("properties").is_some() {
        return fields(text, schema);
    }
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        let names: Vec<String> = names.iter().map(code).collect();
        let _ = write!(text, "One of {}.\n\n", names.join(", "));
    }
    for variant in alternatives(schema) {
        match variant.get("properties").and_then(Value::as_object) {
            // More than one entry is a table to choose from.
            Some(entries) if entries.len() > 2 => {
                text.push('\n');
                table(text, entries, &variant);
            }
            _ => {
                let _ = writeln!(text, "- {}: {}", kind(&variant), about(&variant));
            }
        }
    }
    text.push('\n');
}

fn alternatives(schema: &Value) -> Vec<Value> {
    ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten().cloned().collect()
}

fn fields(text: &mut String, schema: &Value) {
    match schema.get("properties").and_then(Value::as_object) {
        Some(entries) if !entries.is_empty() => table(text, entries, schema),
        _ => text.push_str("No arguments: `{}`.\n\n"),
    }
}

fn table(text: &mut String, entries: &Map<String, Value>, of: &Value) {
    let required = |name: &str| {
        let names = of.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|it| it == name))
    };
    text.push_str("| name | is | without it | meaning |\n|---|---|---|---|\n");
    for (name, field) in entries {
        let default = match field.get("default") {
            _ if required(name) => "an error".to_owned(),
            Some(default) => code(default),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "| `{name}` | {} | {default} | {} |",
            kind(field),
            about(field).replace('\n', " ")
        );
    }
    text.push('\n');
}

fn code(value: &Value) -> String {
    format!("`{value}`")
}

/// Describes the type of a value.
fn kind(schema: &Value) -> String {
    if let Some(only) = schema.get("const") {
        return code(only);
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return link(name.rsplit('/').next().unwrap_or_default());
    }
    if let Some([one]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return kind(one);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "text".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => {
            format!("list of {}", schema.get("items").map_or_else(|| "anything".to_owned(), kind))
        }
        Some("object") => object(schema),
        _ => alternatives(schema).iter().map(kind).collect::<Vec<_>>().join(" or "),
    }
}

fn object(schema: &Value) -> String {
    match schema.get("properties").and_then(Value::as_object) {
        Some(entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{name} = {}", kind(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        None => match schema.get("additionalProperties") {
            Some(Value::Bool(false)) | None => "`{}`".to_owned(),
            Some(values) => format!("table of {}", kind(values)),
        },
    }
}

fn link(name: &str) -> String {
    let anchor = match name {
        "Process" => "processname",
        "Step" => "step",
        "Expect" | "Outcome" => "what-is-expected",
        "Setup" => "setup",
        "Operation" => "operations",
        other => return format!("[{other}](#{})", other.to_lowercase()),
    };
    format!("[{}](#{anchor})", name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_schema_is_in_it() {
        fn names(schema: &Value, all: &mut Vec<String>) {
            match schema {
                Value::Object(map) => {
                    for (key, value) in map {
                        if let ("properties", Some(entries)) = (key.as_str(), value.as_object()) {
                            all.extend(entries.keys().cloned());
                        }
                        names(value, all);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| names(item, all)),
                _ => {}
            }
        }
        let mut all = Vec::new();
        names(&readable_schema(), &mut all);
        assert!(all.len() > 100);
        let text = markdown();
        for name in all {
            let told = [format!("`{name}`"), format!("{{ {name} = "), format!(", {name} = ")];
            assert!(told.iter().any(|it| text.contains(it)), "{name} is not in the reference");
        }
    }
}
