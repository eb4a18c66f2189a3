//! The JSON Schema of what is printed as JSON.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The schema of what a value is when it is written.
pub(crate) fn of<T: JsonSchema>() -> Schema {
    generator().into_root_schema_for::<T>()
}

/// The schema of what is one of these.
pub(crate) fn any_of(parts: &[fn(&mut SchemaGenerator) -> Schema]) -> Schema {
    let mut generator = generator();
    let parts: Vec<Schema> = parts.iter().map(|part| part(&mut generator)).collect();
    let mut schema = json_schema!({ "anyOf": parts });
    let definitions = generator.take_definitions(true);
    schema.insert("$defs".to_owned(), definitions.into());
    schema
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with_transform(RecursiveTransform(without_markup));
    settings.into_generator()
}

/// The descriptions are doc comments: their lines are joined, their links have nowhere to go, and what Rust calls
/// `None` is `null`.
fn without_markup(schema: &mut Schema) {
    let Some(Value::String(description)) = schema.get_mut("description") else {
        return;
    };
    let paragraphs = description.split("\n\n");
    let joined: Vec<String> = paragraphs.map(|lines| lines.replace('\n', " ")).collect();
    let mut plain = String::new();
    let text = joined.join("\n\n");
    let mut rest = &*text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((label, after)) = link.split_once(']') else {
            plain.push('[');
            rest = link;
            continue;
        };
        let target = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'));
        // An interval in brackets is no link.
        if target.is_none() && !label.starts_with('`') {
            plain.push('[');
            rest = link;
            continue;
        }
        plain.push_str(label);
        rest = target.map_or(after, |(_, after)| after);
    }
    plain.push_str(rest);
    *description = plain.replace("`None`", "`null`");
}
