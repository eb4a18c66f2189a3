//! One line of JSON Lines.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::cell::Cell;

/// Shows each key of the object in a line, with its value.
///
/// # Errors
/// The line is no object.
pub(crate) fn read_object(
    line: &[u8],
    each: &mut dyn FnMut(&str, Cell<'_>),
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(line);
    json.deserialize_map(Object(each))?;
    json.end()
}

/// What is wrong with a line that is no object, in a sentence without a full stop.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let told = error.to_string();
    // To the parser each line is the first of a text of its own.
    let place = format!(" at line {line} column {column}");
    let told = told.strip_suffix(&*place).unwrap_or(&told);
    format!("not a JSON object: {told} in column {column}")
}

/// The next line that is not blank, with its number. Moves `at` and `line` behind it.
pub(crate) fn next_line<'a>(
    bytes: &'a [u8],
    at: &mut usize,
    line: &mut u64,
) -> Option<(u64, &'a [u8])> {
    while *at < bytes.len() {
        let rest = &bytes[*at..];
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let number = *line;
        *at += (length + 1).min(rest.len());
        *line += 1;
        let text = rest[..length].trim_ascii();
        if !text.is_empty() {
            return Some((number, text));
        }
    }
    None
}

struct Object<'a>(&'a mut dyn FnMut(&str, Cell<'_>));

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            map.next_value_seed(Value(&mut |cell| (self.0)(&key, cell)))?;
        }
        Ok(())
    }
}

/// A key, borrowed where it can be.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

struct Value<'a>(&'a mut dyn FnMut(Cell<'_>));

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        (self.0)(Cell::Empty);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        (self.0)(Cell::Integer(value.into()));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        (self.0)(Cell::Integer(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        #[expect(clippy::cast_precision_loss, reason = "of what no i64 can hold")]
        let cell = i64::try_from(value).map_or(Cell::Number(value as f64), Cell::Integer);
        (self.0)(cell);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        (self.0)(Cell::Number(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        (self.0)(Cell::Text(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        (self.0)(Cell::Other);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        (self.0)(Cell::Other);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Vec<String>, String> {
        let mut cells = Vec::new();
        let read = read_object(line.as_bytes(), &mut |key, cell| {
            cells.push(format!("{key}: {cell:?}"));
        });
        read.map(|()| cells).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_cells() {
        let line = r#"{"a\n": 1, "b": -1.5, "c": "x\ty", "d": null, "e": true, "f": [1, {"a": 2}],
            "g": {"a": 1}, "h": 18446744073709551615, "i": 0.1, "a\n": "again"}"#;
        let cells = [
            "a\n: Integer(1)",
            "b: Number(-1.5)",
            "c: Text(\"x\\ty\")",
            "d: Empty",
            "e: Integer(1)",
            "f: Other",
            "g: Other",
            "h: Number(1.8446744073709552e19)",
            "i: Number(0.1)",
            "a\n: Text(\"again\")",
        ];
        assert_eq!(read(line).unwrap(), cells);
        assert_eq!(read("{}").unwrap(), [""; 0]);
        // Its last digits decide which of two numbers is nearer.
        assert_eq!(
            read(r#"{"a": 6929495644600919.5}"#).unwrap(),
            ["a: Number(6929495644600920.0)"]
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for line in [
            "",
            "[]",
            "1",
            "{",
            "{\"a\": NaN}",
            "{\"a\": 1} {}",
            "{\"a\": 1e999}",
            "\"",
            "{a: 1}",
            "\u{0}",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        assert!(read_object(b"{\"a\": \"\xff\"}", &mut |_, _| ()).is_err());
        let deep = format!("{{\"a\": {}", "[".repeat(100_000));
        assert!(read(&deep).is_err());
    }
}
