//! Reads a file: TOML to declarations. It reports everything that can't be read, not only the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeFloat, DeTable, DeValue};

use super::declaration::{Declaration, SourceSpans};
use super::finding::{Finding, Findings, Lint, SourceSpan};
use super::source::SourceFile;
use crate::coverage::{Coverage, NotACoverage};
use crate::experiment::{ExperimentConfig, VariantConfig};
use crate::field::{ConfigField, FieldKind, FieldValue};
use crate::suggest::nearest;
use crate::text::Quoted;

const TOP_KEYS: &[&str] = &["experiment"];
const VARIANT_KEYS: &[&str] = &["name", "weight"];

/// How many syntax errors of one file are reported; those after the first few mostly follow from them.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Reads a file. What can't be read is told in `findings`.
pub(super) fn read(file: usize, source: &SourceFile, findings: &mut Findings) -> Vec<Declaration> {
    let mut reader = Reader { file, findings };
    let text = &*source.text;
    if let Some(at) = source.replaced_at {
        let span = on_characters(text, at..at + 1);
        let message = "this is not UTF-8";
        reader.tell(Lint::Syntax, span, message, "save the file as UTF-8");
        return Vec::new();
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            let span = on_characters(text, error.span().unwrap_or(0..0));
            let message = error.message().replace('\n', ", ");
            reader.tell(Lint::Syntax, span, message, "see https://toml.io");
        }
        return Vec::new();
    }
    reader.document(document.get_ref())
}

/// The span, widened to begin and end between characters.
fn on_characters(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..end
}

/// The name of a type, as a sentence has it.
fn article(name: &str) -> String {
    let begins = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if begins { "an" } else { "a" })
}

struct Reader<'f> {
    file: usize,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn tell(
        &mut self,
        lint: Lint,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = SourceSpan {
            file: self.file,
            span,
        };
        self.findings.push(Finding::new(lint, place, message, help));
    }

    fn document(&mut self, document: &DeTable<'_>) -> Vec<Declaration> {
        self.unknown_keys(document, TOP_KEYS);
        let Some(value) = document.get("experiment") else {
            return Vec::new();
        };
        let DeValue::Array(experiments) = value.get_ref() else {
            let found = value.get_ref().type_str();
            let message = format!("experiment is a list, and this is {}", article(found));
            let help = "begin each experiment with [[experiment]]";
            self.tell(Lint::WrongType, value.span(), message, help);
            return Vec::new();
        };
        let declared = experiments.iter().filter_map(|item| {
            let table = self.table(item, "an experiment")?;
            Some(self.experiment(table, item.span()))
        });
        declared.collect()
    }

    fn experiment(&mut self, table: &DeTable<'_>, whole: Range<usize>) -> Declaration {
        self.unknown_keys(table, &ConfigField::ALL.map(ConfigField::key));
        if !table.contains_key("name") {
            let help = "add a line: name = \"...\"";
            self.tell(
                Lint::MissingName,
                whole.clone(),
                "an experiment has no name",
                help,
            );
        }
        let mut config = ExperimentConfig::new("", Vec::new());
        let mut places = SourceSpans {
            file: self.file,
            whole,
            ..SourceSpans::default()
        };
        for field in ConfigField::ALL {
            let Some(value) = table.get(field.key()) else {
                continue;
            };
            if field.kind() == FieldKind::Variants {
                places.fields.insert(field, value.span());
                config.variants = self.variants(value, &mut places);
            } else if self.field(field, value, &mut config) {
                places.fields.insert(field, value.span());
            } else {
                places.unread.push(field);
            }
        }
        let says_state = places.fields.contains_key(&ConfigField::State);
        Declaration {
            state: says_state.then_some(config.state),
            config,
            places,
        }
    }

    /// Reads a field into the configuration, if it can.
    fn field(
        &mut self,
        field: ConfigField,
        value: &Spanned<DeValue<'_>>,
        config: &mut ExperimentConfig,
    ) -> bool {
        if field.kind() == FieldKind::Share {
            let share = self.share(field.key(), value);
            return share.is_some_and(|share| field.set(config, FieldValue::Share(share)));
        }
        let Some(text) = self.text(field.key(), value) else {
            return false;
        };
        let is_read = field.set(config, FieldValue::Text(text));
        if let (false, FieldKind::OneOf { words, .. }) = (is_read, field.kind()) {
            let words = || words.iter().map(|(word, _)| *word);
            let help = match nearest(text, words()) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => format!("it is one of {}", words().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("no {} is called {}", field.key(), Quoted(text));
            self.tell(Lint::BadValue, value.span(), message, help);
        }
        is_read
    }

    fn share(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Coverage> {
        let found = value.get_ref();
        let (lint, message) = match found.as_float().map(DeFloat::as_str) {
            None if found.as_integer().is_none() => (
                Lint::WrongType,
                format!(
                    "{key} is a number, and this is {}",
                    article(found.type_str())
                ),
            ),
            float => {
                let digits = float.or_else(|| Some(found.as_integer()?.as_str()));
                let share = digits.and_then(|digits| digits.parse().ok());
                if share.is_some() {
                    return share;
                }
                (Lint::BadValue, format!("this is no {key}"))
            }
        };
        let help = format!(
            "write {key} = 0.25, or another number {}",
            NotACoverage::RANGE
        );
        self.tell(lint, value.span(), message, help);
        None
    }

    fn variants(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        places: &mut SourceSpans,
    ) -> Vec<VariantConfig> {
        let DeValue::Array(items) = value.get_ref() else {
            let found = value.get_ref().type_str();
            let message = format!("variants is a list, and this is {}", article(found));
            let help = "write variants = [{ name = \"...\", weight = 50 }, ...]";
            self.tell(Lint::WrongType, value.span(), message, help);
            places.unread.push(ConfigField::Variants);
            return Vec::new();
        };
        let mut variants = Vec::with_capacity(items.len());
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
            variants.push(VariantConfig::new(name, weight));
        }
        variants
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
                    "a weight is a whole number, and this is {}",
                    article(other.type_str())
                ),
            };
            self.tell(Lint::BadWeight, value.span(), message, help);
        }
        Some((parsed?, value.span()))
    }

    fn table<'t, 'i>(
        &mut self,
        item: &'t Spanned<DeValue<'i>>,
        what: &str,
    ) -> Option<&'t DeTable<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            let found = item.get_ref().type_str();
            let message = format!("{what} is a table, and this is {}", article(found));
            self.tell(
                Lint::WrongType,
                item.span(),
                message,
                "write { name = ..., ... }",
            );
        }
        table
    }

    fn text<'t>(&mut self, key: &str, value: &'t Spanned<DeValue<'_>>) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let found = value.get_ref().type_str();
            let message = format!("{key} is text, and this is {}", article(found));
            self.tell(Lint::WrongType, value.span(), message, "put it in quotes");
        }
        text
    }

    fn unknown_keys(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let longer = known.iter().copied().find(|known| known.contains(name));
            let help = match nearest(name, known.iter().copied()).or(longer) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let message = format!("unknown key {}", Quoted(name));
            self.tell(Lint::UnknownKey, key.span(), message, help);
        }
    }
}
