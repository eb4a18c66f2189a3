//! Reads one value, by the kind of field that it is for.

use std::str::FromStr;

use toml::Spanned;
use toml::de::DeValue;

use super::{Reader, article};
use crate::declare::finding::Lint;
use crate::field::{FieldKind, FieldValue};
use crate::suggest::nearest;
use crate::text::Quoted;

impl Reader<'_> {
    /// The value, if it is one for a field of this kind; what else it is, is told. Whether a number is in the
    /// field's range, validation says.
    pub(super) fn value<'t>(
        &mut self,
        key: &str,
        kind: FieldKind,
        value: &'t Spanned<DeValue<'_>>,
    ) -> Option<FieldValue<'t>> {
        let found = value.get_ref();
        match kind {
            FieldKind::Name | FieldKind::Text(_) | FieldKind::Column => {
                self.text(key, value).map(FieldValue::Text)
            }
            FieldKind::OneOf { words, .. } => self.word(key, words, value),
            FieldKind::Share => {
                let parsed = number(found).map(parse);
                self.parsed(
                    key,
                    kind,
                    value,
                    "a number",
                    parsed.map(|p| p.map(FieldValue::Share)),
                )
            }
            FieldKind::Number(_) => {
                let parsed = number(found).map(parse);
                self.parsed(
                    key,
                    kind,
                    value,
                    "a number",
                    parsed.map(|p| p.map(FieldValue::Number)),
                )
            }
            FieldKind::Count(_) => {
                let parsed = found
                    .as_integer()
                    .map(|digits| u64::from_str_radix(digits.as_str(), digits.radix()).ok());
                let parsed = parsed.map(|p| p.map(FieldValue::Count));
                self.parsed(key, kind, value, "a whole number", parsed)
            }
            FieldKind::Window => {
                let parsed = found.as_str().map(parse);
                self.parsed(
                    key,
                    kind,
                    value,
                    "text",
                    parsed.map(|p| p.map(FieldValue::Window)),
                )
            }
            FieldKind::Cap => {
                // In quotes a percentage, as bare a number.
                let percentage = found
                    .as_str()
                    .map(|text| text.ends_with('%').then(|| parse(text))?);
                let parsed = percentage.or_else(|| number(found).map(parse));
                let parsed = parsed.map(|p| p.map(FieldValue::Cap));
                self.parsed(key, kind, value, "a number or text", parsed)
            }
            // Lists are read by themselves.
            FieldKind::Variants | FieldKind::Metrics => None,
        }
    }

    /// What was parsed. The outer option is `None` if it has another type than the key takes.
    fn parsed<'t>(
        &mut self,
        key: &str,
        kind: FieldKind,
        value: &Spanned<DeValue<'_>>,
        type_name: &str,
        parsed: Option<Option<FieldValue<'t>>>,
    ) -> Option<FieldValue<'t>> {
        let found = value.get_ref();
        let (lint, message) = match parsed {
            Some(Some(read)) => return Some(read),
            Some(None) => {
                let written = found.as_str().or_else(|| digits(found)).unwrap_or_default();
                (Lint::BadValue, format!("{} is no {key}", Quoted(written)))
            }
            None => {
                let found = article(found.type_str());
                (
                    Lint::WrongType,
                    format!("{key} is {type_name}, and this is {found}"),
                )
            }
        };
        self.tell(lint, value.span(), message, format!("it must be {kind}"));
        None
    }

    fn word<'t>(
        &mut self,
        key: &str,
        words: &[(&'static str, &str)],
        value: &'t Spanned<DeValue<'_>>,
    ) -> Option<FieldValue<'t>> {
        let text = self.text(key, value)?;
        let words = || words.iter().map(|(word, _)| *word);
        if words().any(|word| word == text) {
            return Some(FieldValue::Text(text));
        }
        let help = match nearest(text, words()) {
            Some(nearest) => format!("did you mean '{nearest}'?"),
            None => format!("it is one of {}", words().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("no {key} is called {}", Quoted(text));
        self.tell(Lint::BadValue, value.span(), message, help);
        None
    }

    pub(super) fn text<'t>(
        &mut self,
        key: &str,
        value: &'t Spanned<DeValue<'_>>,
    ) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let found = value.get_ref().type_str();
            let message = format!("{key} is text, and this is {}", article(found));
            self.tell(Lint::WrongType, value.span(), message, "put it in quotes");
        }
        text
    }
}

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// The digits of a number, whole or not.
fn digits<'t>(value: &'t DeValue<'_>) -> Option<&'t str> {
    let float = value.as_float().map(|float| float.as_str());
    float.or_else(|| Some(value.as_integer()?.as_str()))
}

/// The digits of a number to base ten.
fn number<'t>(value: &'t DeValue<'_>) -> Option<&'t str> {
    let is_other_base = value.as_integer().is_some_and(|whole| whole.radix() != 10);
    digits(value).filter(|_| !is_other_base)
}
