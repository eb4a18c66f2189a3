//! What the variants of an experiment stand for: a JSON value for each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::variant::VariantConfig;

/// The JSON value of each variant, by the variant's name. Empty if the experiment has none. All are of one
/// [type](json_type).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct VariantValues(BTreeMap<String, Value>);

impl VariantValues {
    /// The value of that variant.
    #[must_use]
    pub fn get(&self, variant: &str) -> Option<&Value> {
        self.0.get(variant)
    }

    /// Whether no variant has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each variant's name with its value, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(variant, value)| (&**variant, value))
    }

    /// Those of these variants.
    #[must_use]
    pub fn of(&self, variants: &[VariantConfig]) -> Self {
        let values = variants.iter().filter_map(|variant| {
            let value = self.get(&variant.name)?;
            Some((variant.name.clone(), value.clone()))
        });
        values.collect()
    }
}

impl FromIterator<(String, Value)> for VariantValues {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// What JSON calls the type of a value: `null`, `boolean`, `number`, `string`, `array` or `object`.
#[must_use]
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
