//! The JSON Schema of a file, from which editors complete and validate.

use serde_json::{Map, Value, json};

use crate::field::{ConfigField, FieldKind, MAX_NAME_BYTES, MAX_VARIANTS};

/// The schema of a file, as JSON Schema draft 7.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut properties = Map::new();
    for field in ConfigField::ALL {
        if let FieldKind::OneOf { set, words } = field.kind() {
            definitions.insert(set.to_owned(), one_of(words));
        }
        properties.insert(field.key().to_owned(), property(field));
    }
    let required = ConfigField::ALL.into_iter().filter(|f| f.is_required());
    let required: Vec<&str> = required.map(ConfigField::key).collect();
    let experiment = json!({
        "description": "An experiment.",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    definitions.insert("Experiment".to_owned(), experiment);
    definitions.insert("Variant".to_owned(), variant());
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "exp experiments",
        "description": "Experiments, as exp applies them.",
        "type": "object",
        "properties": {
            "experiment": {
                "description": "The experiments.",
                "type": "array",
                "items": reference("Experiment"),
            },
        },
        "additionalProperties": false,
        "definitions": definitions,
    })
}

fn property(field: ConfigField) -> Value {
    let mut schema = match field.kind() {
        FieldKind::Name => json!({ "type": "string", "minLength": 1, "maxLength": MAX_NAME_BYTES }),
        FieldKind::Text(limit) => json!({ "type": "string", "maxLength": limit }),
        FieldKind::OneOf { set, .. } => json!({ "anyOf": [reference(set), { "type": "null" }] }),
        FieldKind::Share => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        FieldKind::Variants => json!({
            "type": "array",
            "items": reference("Variant"),
            "minItems": 1,
            "maxItems": MAX_VARIANTS,
        }),
    };
    if let Some(only) = schema.get_mut("type").filter(|_| !field.is_required()) {
        *only = json!([only, "null"]);
    }
    schema["description"] = field.doc().into();
    schema
}

fn one_of(words: &[(&str, &str)]) -> Value {
    let each = words
        .iter()
        .map(|(word, doc)| json!({ "type": "string", "const": word, "description": doc }));
    json!({ "oneOf": each.collect::<Vec<_>>() })
}

fn variant() -> Value {
    json!({
        "description": "An arm.",
        "type": "object",
        "properties": {
            "name": {
                "description": "Unique in the experiment.",
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_NAME_BYTES,
            },
            "weight": {
                "description": "Relative to the other weights; 0 gives it to nobody new.",
                "type": "integer",
                "format": "uint32",
                "minimum": 0,
            },
        },
        "required": ["name", "weight"],
        "additionalProperties": false,
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}
