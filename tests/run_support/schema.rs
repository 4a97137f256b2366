//! As much of JSON Schema as the schema of the events uses.

use serde_json::Value;

/// Says what in `value` does not follow `schema`; `root` has the definitions.
pub fn violation(schema: &Value, value: &Value, root: &Value) -> Option<String> {
    let keys = schema.as_object()?;
    if let Some(reference) = keys.get("$ref").and_then(Value::as_str) {
        let target = root
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("the schema has no {reference}"));
        if let Some(found) = violation(target, value, root) {
            return Some(found);
        }
    }
    if let Some(kinds) = keys.get("type") {
        let fits = match kinds {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
            kind => is_of(kind, value),
        };
        if !fits {
            return Some(format!("{value} is not of type {kinds}"));
        }
    }
    if keys.get("const").is_some_and(|constant| constant != value) {
        return Some(format!("{value} is not {}", keys["const"]));
    }
    if let Some(names) = keys.get("enum").and_then(Value::as_array)
        && !names.contains(value)
    {
        return Some(format!("{value} is none of {names:?}"));
    }
    for name in keys
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if value.get(name.as_str()?).is_none() {
            return Some(format!("{name} is missing in {value}"));
        }
    }
    let properties = keys.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if let Some(inner) = value.get(name)
            && let Some(found) = violation(schema, inner, root)
        {
            return Some(format!("{name}: {found}"));
        }
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = keys.get(choice).and_then(Value::as_array) {
            let found: Vec<_> = choices.iter().map(|c| violation(c, value, root)).collect();
            if found.iter().all(Option::is_some) {
                return Some(format!("no choice fits {value}: {found:?}"));
            }
        }
    }
    None
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("null") => value.is_null(),
        _ => panic!("the schema has a type that this test doesn't know: {kind}"),
    }
}
