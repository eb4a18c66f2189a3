//! Reads what a variant stands for: any value of TOML that JSON has too.

use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::Reader;
use crate::declare::finding::Lint;
use crate::field::MAX_VALUE_DEPTH;
use crate::text::Quoted;

impl Reader<'_> {
    /// The value. Every part of it that JSON does not have is told, at its place.
    pub(super) fn json(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        self.json_within(value, MAX_VALUE_DEPTH)
    }

    /// The same of what may be nested so many levels deep.
    fn json_within(&mut self, value: &Spanned<DeValue<'_>>, levels: usize) -> Option<Value> {
        let is_number = "a JSON number is neither nan nor inf; a whole number is from \
            -9223372036854775808 to 18446744073709551615";
        let (lint, message, help) = match value.get_ref() {
            DeValue::String(text) => return Some(Value::from(&**text)),
            DeValue::Boolean(flag) => return Some(Value::from(*flag)),
            DeValue::Integer(digits) => match whole(digits) {
                Some(number) => return Some(Value::Number(number)),
                None => (Lint::BadValue, no_number(digits.as_str()), is_number),
            },
            DeValue::Float(digits) => {
                let number = digits.as_str().parse().ok();
                match number.and_then(Number::from_f64) {
                    Some(number) => return Some(Value::Number(number)),
                    None => (Lint::BadValue, no_number(digits.as_str()), is_number),
                }
            }
            DeValue::Datetime(date) => {
                let message = format!("JSON has no dates such as {date}");
                (Lint::WrongType, message, "put it in quotes")
            }
            DeValue::Array(_) | DeValue::Table(_) if levels == 0 => {
                let message = format!("this is nested more than {MAX_VALUE_DEPTH} levels deep");
                (Lint::BadValue, message, "use fewer levels")
            }
            DeValue::Array(items) => {
                // All of them, to tell of each that can't be read.
                let items = items.iter();
                let items: Vec<_> = items
                    .map(|item| self.json_within(item, levels - 1))
                    .collect();
                return items.into_iter().collect();
            }
            DeValue::Table(members) => {
                let members = members.iter();
                let members: Vec<_> = members
                    .map(|(key, member)| {
                        let member = self.json_within(member, levels - 1)?;
                        Some((key.get_ref().to_string(), member))
                    })
                    .collect();
                return members.into_iter().collect();
            }
        };
        self.tell(lint, value.span(), message, help);
        None
    }
}

fn no_number(written: &str) -> String {
    format!("{} is not a JSON number", Quoted(written))
}

fn whole(digits: &DeInteger<'_>) -> Option<Number> {
    Number::from_i128(i128::from_str_radix(digits.as_str(), digits.radix()).ok()?)
}
