//! JSON Schema of scenario files, for editors and for the reference.
//!
//! It is derived from the types that the parser deserializes, so that both agree.

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema,
    transform::transform_subschemas,
};
use serde_json::{Map, Value};

/// Returns the schema of a type, simplified. Draft 7, which every editor supports.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    plain(&mut schema);
    schema.to_value()
}

/// Allows a variable in place of any value that is not a free text.
pub(crate) fn with_variables(mut schema: Value) -> Value {
    admit_variables(&mut schema);
    schema["definitions"][VARIABLE] = Variable::json_schema(&mut SchemaGenerator::default()).to_value();
    schema
}

const VARIABLE: &str = "Variable";

/// A variable of `[matrix]` or `[variables]`, as in `"{waiters}"`.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "^\\{[A-Za-z][A-Za-z0-9_]*\\}$"))]
#[expect(dead_code, reason = "it is read as a text, and stands here to be described")]
struct Variable(String);

fn admit_variables(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(admit_variables),
        Value::Object(map) => {
            map.values_mut().for_each(admit_variables);
            let fields = map.get_mut("properties").and_then(Value::as_object_mut);
            fields.into_iter().flat_map(|fields| fields.values_mut()).for_each(or_variable);
            ["items", "additionalProperties"].into_iter().for_each(|key| {
                map.get_mut(key).into_iter().for_each(or_variable);
            });
            // An operation may be chosen by a variable.
            if map.get("maxProperties").is_some() && map.get("additionalProperties") == Some(&false.into()) {
                let named = json_schema!({ "^\\{[A-Za-z][A-Za-z0-9_]*\\}$": {} }).to_value();
                map.insert("patternProperties".into(), named);
            }
        }
        _ => {}
    }
}

fn or_variable(field: &mut Value) {
    let Some(map) = field.as_object_mut() else { return };
    let any_text = map.get("type").is_some_and(|it| it == "string")
        && ["enum", "pattern", "const", "format"].iter().all(|limit| !map.contains_key(*limit));
    if map.is_empty() || any_text {
        return;
    }
    let description = map.remove("description");
    let default = map.remove("default");
    let variable = json_schema!({ "$ref": format!("#/definitions/{VARIABLE}") }).to_value();
    let mut either = json_schema!({ "anyOf": [field.take(), variable] }).to_value();
    for (key, said) in [("description", description), ("default", default)] {
        said.into_iter().for_each(|said| either[key] = said);
    }
    *field = either;
}

/// Returns a reference to the definition of a type. The definition has to be created elsewhere.
pub(crate) fn reference<T: JsonSchema>() -> Value {
    Value::from(json_schema!({ "$ref": format!("#/definitions/{}", T::schema_name()) }))
}

/// Makes the schema of an enum that of a table with exactly one entry, which is one of the variants.
/// Variants without arguments are left out.
///
/// Editors support it better than an alternative of tables with one entry each.
pub(crate) fn one_of_these(schema: &mut Schema) {
    let mut entries = Map::new();
    for variant in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        let mut variant = variant.clone();
        describe_entry(&mut variant);
        for (name, arguments) in variant.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut arguments = arguments.clone();
            if let (Some(arguments), Some(about)) = (arguments.as_object_mut(), variant.get("description")) {
                // A reference can't have a description of its own in draft 7.
                if let Some(referred) = arguments.remove("$ref") {
                    arguments
                        .insert("allOf".into(), vec![json_schema!({ "$ref": referred }).to_value()].into());
                }
                arguments.insert("description".into(), about.clone());
            }
            entries.insert(name.clone(), arguments);
        }
    }
    *schema = json_schema!({
        "description": schema.get("description"),
        "type": "object",
        "properties": entries,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    });
}

/// Adds `as` beside the entry of the same table.
pub(crate) fn with_a_name(mut operation: Schema) -> Schema {
    if let Some(entries) = operation.get_mut("properties").and_then(Value::as_object_mut) {
        let name = json_schema!({
            "type": "string",
            "description": "What the key that the operation gives is called from here on.",
        });
        entries.insert("as".into(), name.to_value());
    }
    operation.insert("maxProperties".into(), 2.into());
    operation.insert("description".into(), "`OPERATION = { … }`, perhaps with `as`.".into());
    operation
}

/// Removes null, which TOML does not have, and the width of integers, which is of no use to
/// readers.
fn plain(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|it| it != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(several)) = schema.get_mut("anyOf") {
        several.retain(|it| it.get("type").is_none_or(|it| it != "null"));
        if let [one] = several.as_slice() {
            let one = one.clone();
            schema.remove("anyOf");
            schema.insert("allOf".into(), vec![one].into());
        }
    }
    if schema
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|it| it.starts_with("uint") || it.starts_with("int"))
    {
        schema.remove("format");
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    for variant in schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
        describe_entry(variant);
    }
    transform_subschemas(&mut plain, schema);
}

/// Copies the description of a variant to its only entry, where editors look for it.
fn describe_entry(variant: &mut Value) {
    let Some(about) = variant.get("description").cloned() else { return };
    let Some(entries) = variant.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for entry in entries.values_mut().filter_map(Value::as_object_mut) {
        // A reference can't have a description of its own in draft 7.
        if let Some(referred) = entry.remove("$ref") {
            entry.insert("allOf".into(), vec![json_schema!({ "$ref": referred }).to_value()].into());
        }
        entry.entry("description").or_insert_with(|| about.clone());
    }
}

#[cfg(test)]
mod tests;
