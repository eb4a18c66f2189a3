//! The JSON Schema of a file, from which editors complete and validate.

use serde_json::{Map, Value, json};

use crate::field::{
    ConfigField, FieldKind, MAX_METRICS, MAX_NAME_BYTES, MAX_VARIANTS, MetricField,
    RESERVED_COLUMNS,
};
use crate::metric::{MetricConfig, MetricKind, MetricRole};

/// The schema of a file, as JSON Schema draft 7.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let fields = ConfigField::ALL.into_iter();
    let fields = fields.filter(|field| field.has_key());
    let fields = fields.map(|field| (field.key(), field.kind(), field.doc(), field.is_required()));
    let experiment = object("An experiment.", fields, &mut definitions);
    definitions.insert("Experiment".to_owned(), experiment);
    definitions.insert("Variant".to_owned(), variant());
    let fields = MetricField::ALL.into_iter();
    let fields = fields.map(|field| (field.key(), field.kind(), field.doc(), field.is_required()));
    let mut metric = object("What an experiment is judged by.", fields, &mut definitions);
    metric["allOf"] = dependences().into();
    definitions.insert("Metric".to_owned(), metric);
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

/// A table with these fields: the key of each, what it may hold, what it is about, and whether it must be there.
fn object<'a>(
    doc: &str,
    fields: impl Iterator<Item = (&'a str, FieldKind, &'a str, bool)>,
    definitions: &mut Map<String, Value>,
) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, kind, doc, is_required) in fields {
        if let FieldKind::OneOf { set, words } = kind {
            definitions.insert(set.to_owned(), one_of(words));
        }
        let mut property = property(kind);
        if is_required {
            required.push(key);
        } else {
            or_null(&mut property);
        }
        property["description"] = doc.into();
        properties.insert(key.to_owned(), property);
    }
    json!({
        "description": doc,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Name => json!({ "type": "string", "minLength": 1, "maxLength": MAX_NAME_BYTES }),
        FieldKind::Text(limit) => json!({ "type": "string", "maxLength": limit }),
        FieldKind::OneOf { set, .. } => json!({ "anyOf": [reference(set)] }),
        FieldKind::Flag => json!({ "type": "boolean" }),
        // Each beside its variant: any value but null.
        FieldKind::Values => json!({ "type": ["boolean", "number", "string", "array", "object"] }),
        FieldKind::Share => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        FieldKind::Number(range) => {
            let mut schema = json!({ "type": "number", "exclusiveMinimum": range.above });
            if let Some(below) = range.below {
                schema["exclusiveMaximum"] = json!(below);
            }
            schema
        }
        FieldKind::Count(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
        FieldKind::Window => json!({ "type": "string", "pattern": "^0*[1-9][0-9]*[smhdw]$" }),
        FieldKind::Cap => json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": "^[0-9]*\\.?[0-9]+%?$" },
        ]}),
        FieldKind::Column => json!({
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_NAME_BYTES,
            "not": { "enum": RESERVED_COLUMNS },
        }),
        FieldKind::Variants => json!({
            "type": "array",
            "items": reference("Variant"),
            "minItems": 1,
            "maxItems": MAX_VARIANTS,
        }),
        FieldKind::Metrics => json!({
            "type": "array",
            "items": reference("Metric"),
            "maxItems": MAX_METRICS,
        }),
    }
}

/// Lets a property also be null, by which some editors mean that it is left out.
fn or_null(schema: &mut Value) {
    if let Some(only) = schema.get_mut("type") {
        *only = json!([only, "null"]);
    } else if let Some(any) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        any.push(json!({ "type": "null" }));
    }
}

/// Which keys a metric needs, or does not take, for its kind or its role.
fn dependences() -> Vec<Value> {
    let is = |key: &str, words: &[&str]| json!({ "properties": { key: { "enum": words } }, "required": [key] });
    let mut dependences = Vec::new();
    let mut needs = |key: &str, word: &str, metric: MetricConfig| {
        let fields = MetricField::ALL.into_iter();
        let needed = fields.filter(|field| field.need_of(&metric, 0) == Some(word));
        let needed: Vec<&str> = needed.map(MetricField::key).collect();
        if !needed.is_empty() {
            dependences.push(json!({ "if": is(key, &[word]), "then": { "required": needed } }));
        }
    };
    for kind in MetricKind::ALL {
        needs(
            MetricField::Kind.key(),
            kind.as_str(),
            MetricConfig::new("", *kind),
        );
    }
    for role in MetricRole::ALL {
        let metric = MetricConfig {
            role: Some(*role),
            ..MetricConfig::new("", MetricKind::Mean)
        };
        needs(MetricField::Role.key(), role.as_str(), metric);
    }
    for field in MetricField::ALL {
        let others = MetricKind::ALL
            .iter()
            .filter(|kind| !field.takers().contains(kind));
        let others: Vec<&str> = others.map(|kind| kind.as_str()).collect();
        if !others.is_empty() {
            let takes_none = json!({ "properties": { field.key(): { "type": "null" } } });
            let is_other = is(MetricField::Kind.key(), &others);
            dependences.push(json!({ "if": is_other, "then": takes_none }));
        }
    }
    dependences
}

fn one_of(words: &[(&str, &str)]) -> Value {
    let each = words
        .iter()
        .map(|(word, doc)| json!({ "type": "string", "const": word, "description": doc }));
    json!({ "oneOf": each.collect::<Vec<_>>() })
}

fn variant() -> Value {
    let mut value = property(ConfigField::Values.kind());
    value["description"] =
        "What it stands for. All variants have a value of the same type, or none has one.".into();
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
            "value": value,
        },
        "required": ["name", "weight"],
        "additionalProperties": false,
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}
