//! Reads one value, by the kind of field that it is for.

use std::borrow::Cow;

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
        let text = || found.as_str().map(Cow::Borrowed);
        let (type_name, written, parse): (_, _, fn(&str) -> _) = match kind {
            FieldKind::Name | FieldKind::Text(_) | FieldKind::Column => {
                return self.text(key, value).map(FieldValue::Text);
            }
            FieldKind::OneOf { words, .. } => return self.word(key, words, value),
            FieldKind::Flag => ("true or false", flag(found), |text| {
                text.parse().ok().map(FieldValue::Flag)
            }),
            FieldKind::Share => ("a number", number(found), |digits| {
                digits.parse().ok().map(FieldValue::Share)
            }),
            FieldKind::Number(_) => ("a number", number(found), |digits| {
                digits.parse().ok().map(FieldValue::Number)
            }),
            FieldKind::Count(_) => ("a whole number", whole(found), |digits| {
                digits.parse().ok().map(FieldValue::Count)
            }),
            FieldKind::Window => ("text", text(), |text| {
                text.parse().ok().map(FieldValue::Window)
            }),
            FieldKind::Cap => ("a number or text", number(found).or_else(text), |text| {
                text.parse().ok().map(FieldValue::Cap)
            }),
            // Lists are read by themselves, and values with the list of variants.
            FieldKind::Variants | FieldKind::Values | FieldKind::Metrics => return None,
        };
        let (lint, message) = if let Some(written) = written {
            if let Some(read) = parse(&written) {
                return Some(read);
            }
            (
                Lint::BadValue,
                format!("{} is not a valid {key}", Quoted(&written)),
            )
        } else {
            let found = article(found.type_str());
            let message = format!("{key} must be {type_name}, not {found}");
            (Lint::WrongType, message)
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
            None => format!(
                "it must be one of {}",
                words().collect::<Vec<_>>().join(", ")
            ),
        };
        let message = format!("unknown {key} {}", Quoted(text));
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
            let message = format!("{key} must be text, not {}", article(found));
            self.tell(Lint::WrongType, value.span(), message, "put it in quotes");
        }
        text
    }
}

fn flag<'t>(value: &'t DeValue<'_>) -> Option<Cow<'t, str>> {
    Some(value.as_bool()?.to_string().into())
}

/// A whole number, to base ten.
fn whole<'t>(value: &'t DeValue<'_>) -> Option<Cow<'t, str>> {
    let digits = value.as_integer()?;
    if digits.radix() == 10 {
        return Some(digits.as_str().into());
    }
    let number = i128::from_str_radix(digits.as_str(), digits.radix());
    Some(number.map_or_else(
        |_| digits.as_str().into(),
        |number| number.to_string().into(),
    ))
}

/// A number, whole or not, to base ten.
fn number<'t>(value: &'t DeValue<'_>) -> Option<Cow<'t, str>> {
    let float = value.as_float().map(|float| float.as_str().into());
    float.or_else(|| whole(value))
}
