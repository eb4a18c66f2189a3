//! Reads the list of variants, each with its value.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Reader, article};
use crate::declare::declaration::SourceSpans;
use crate::declare::finding::Lint;
use crate::experiment::{VariantConfig, VariantValues};
use crate::field::ConfigField;

const VARIANT_KEYS: &[&str] = &["name", "weight", "value"];

impl Reader<'_> {
    pub(super) fn variants(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        places: &mut SourceSpans,
    ) -> (Vec<VariantConfig>, VariantValues) {
        let help = "write variants = [{ name = \"...\", weight = 50 }, ...]";
        let Some(items) = self.list("variants", value, help) else {
            places.unread.push(ConfigField::Variants);
            return (Vec::new(), VariantValues::default());
        };
        let mut variants = Vec::with_capacity(items.len());
        let mut values = Vec::new();
        for item in items {
            let Some(variant) = self.table(item, "a variant") else {
                places.unread.push(ConfigField::Variants);
                continue;
            };
            self.unknown_keys(variant, VARIANT_KEYS);
            let name = variant.get("name");
            if name.is_none() {
                let help = "add name = \"...\"";
                self.tell(
                    Lint::MissingName,
                    item.span(),
                    "a variant has no name",
                    help,
                );
            }
            let weight = self.weight(variant, item.span());
            let written = variant.get("value");
            let value = written.and_then(|value| Some((self.json(value)?, value.span())));
            if written.is_some() && value.is_none() {
                places.unread.push(ConfigField::Values);
            }
            let name = name.and_then(|name| Some((self.text("name", name)?, name.span())));
            let Some((name, span)) = name else {
                places.unread.push(ConfigField::Variants);
                continue;
            };
            if weight.is_none() {
                places.lacks_weight = true;
            }
            let (weight, weight_span) = weight.unwrap_or_else(|| (0, span.clone()));
            places.variant_names.push(span);
            places.weights.push(weight_span);
            places
                .values
                .push(value.as_ref().map(|(_, span)| span.clone()));
            values.extend(value.map(|(value, _)| (name.to_owned(), value)));
            variants.push(VariantConfig::new(name, weight));
        }
        (variants, values.into_iter().collect())
    }

    fn weight(
        &mut self,
        variant: &DeTable<'_>,
        whole: Range<usize>,
    ) -> Option<(u32, Range<usize>)> {
        let help = "a weight is a whole number from 0 to 4294967295, relative to the other weights";
        let Some(value) = variant.get("weight") else {
            let message = "a variant has no weight";
            self.tell(Lint::BadWeight, whole, message, help);
            return None;
        };
        let parsed = value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        if parsed.is_none() {
            let message = match value.get_ref() {
                DeValue::Integer(_) => "this weight is out of range".to_owned(),
                other => format!(
                    "a weight must be a whole number, not {}",
                    article(other.type_str())
                ),
            };
            self.tell(Lint::BadWeight, value.span(), message, help);
        }
        Some((parsed?, value.span()))
    }
}
