//! Rows that are printed as they come, in constant memory: TSV, CSV with a header, or JSON Lines.

use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::Context as _;
use experiments::{ExperimentError, ExperimentStoreError, StoreLocation};
use schemars::{Schema, json_schema};

use super::{json, tsv};
use crate::options::Format;

/// A field that every row has.
pub(crate) struct Column {
    name: &'static str,
    holds: Kind,
    doc: &'static str,
}

/// What a field may hold.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    TextOrNull,
    Count,
    Number,
    Flag,
}

impl Column {
    pub(crate) const fn text(name: &'static str, doc: &'static str) -> Self {
        let holds = Kind::Text;
        Self { name, holds, doc }
    }

    pub(crate) const fn text_or_null(name: &'static str, doc: &'static str) -> Self {
        let holds = Kind::TextOrNull;
        Self { name, holds, doc }
    }

    pub(crate) const fn count(name: &'static str, doc: &'static str) -> Self {
        let holds = Kind::Count;
        Self { name, holds, doc }
    }

    pub(crate) const fn number(name: &'static str, doc: &'static str) -> Self {
        let holds = Kind::Number;
        Self { name, holds, doc }
    }

    pub(crate) const fn flag(name: &'static str, doc: &'static str) -> Self {
        let holds = Kind::Flag;
        Self { name, holds, doc }
    }
}

/// The JSON Schema of a row that has these columns.
pub(crate) fn schema(columns: &[Column]) -> Schema {
    let properties = columns.iter().map(|column| {
        let mut property = match column.holds {
            Kind::Text => json_schema!({ "type": "string" }),
            Kind::TextOrNull => json_schema!({ "type": ["string", "null"] }),
            Kind::Count => json_schema!({ "type": "integer", "minimum": 0 }),
            Kind::Number => json_schema!({ "type": "number" }),
            Kind::Flag => json_schema!({ "type": "boolean" }),
        };
        property.insert("description".to_owned(), column.doc.into());
        (column.name.to_owned(), property.to_value())
    });
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    json_schema!({
        "type": "object",
        "properties": properties.collect::<serde_json::Map<_, _>>(),
        "required": names,
    })
}

/// The value of a field.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Optional(Option<&'a str>),
    Number(u64),
    /// Digits of a number.
    Figure(&'a str),
    Flag(bool),
}

/// A writer of rows that all have these columns.
pub(crate) struct Rows<W: Write> {
    writer: W,
    format: Format,
    columns: &'static [Column],
    line: String,
    /// What kept a row from being written.
    failed: Option<io::Error>,
}

impl<W: Write> Rows<W> {
    /// Rows of TSV without a header.
    pub(crate) fn tsv(writer: W, columns: &'static [Column]) -> Self {
        Self {
            writer,
            format: Format::Tsv,
            columns,
            line: String::new(),
            failed: None,
        }
    }
}

impl Rows<BufWriter<StdoutLock<'static>>> {
    /// Rows on standard output, with a header where there is one.
    pub(crate) fn printed(format: Format, wants_header: bool, columns: &'static [Column]) -> Self {
        let stdout = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let mut rows = Self::tsv(stdout, columns);
        rows.format = format;
        let has_header = match rows.format {
            Format::Csv => true,
            Format::Json => false,
            _ => wants_header,
        };
        if has_header {
            let header: Vec<Field<'_>> = columns
                .iter()
                .map(|column| Field::Text(column.name))
                .collect();
            // What failed is kept, and ends the first scan.
            let _ = rows.row(&header);
        }
        rows
    }
}

impl<W: Write> Rows<W> {
    /// Prints a row. What a scan is given to end with when it can't is reported by [`finish`](Self::finish).
    pub(crate) fn row(&mut self, fields: &[Field<'_>]) -> Result<(), ExperimentError> {
        if self.failed.is_some() {
            return Err(unprinted());
        }
        self.line.clear();
        match self.format {
            Format::Json => json_line(&mut self.line, self.columns, fields),
            Format::Csv => separated(&mut self.line, fields, ',', csv_field),
            _ => separated(&mut self.line, fields, '\t', tsv::field),
        }
        if let Err(error) = self.writer.write_all(self.line.as_bytes()) {
            self.failed = Some(error);
            return Err(unprinted());
        }
        Ok(())
    }

    /// Prints what is left, or reports why a row could not be printed.
    pub(crate) fn finish(mut self) -> anyhow::Result<W> {
        let flushed = match self.failed.take() {
            Some(error) => Err(error),
            None => self.writer.flush(),
        };
        flushed.context("cannot write to standard output")?;
        Ok(self.writer)
    }
}

/// Only ends a scan; nobody reads it.
fn unprinted() -> ExperimentError {
    ExperimentStoreError::Backend {
        store: StoreLocation::Other("of the scan".to_owned()),
        doing: "be printed",
        source: "standard output is closed".into(),
    }
    .into()
}

fn separated(
    line: &mut String,
    fields: &[Field<'_>],
    separator: char,
    text: impl Fn(&mut String, &str),
) {
    use std::fmt::Write as _;
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            line.push(separator);
        }
        let _ = match *field {
            Field::Text(value) | Field::Optional(Some(value)) => {
                text(line, value);
                Ok(())
            }
            Field::Optional(None) => Ok(()),
            Field::Number(value) => write!(line, "{value}"),
            Field::Figure(digits) => write!(line, "{digits}"),
            Field::Flag(value) => write!(line, "{value}"),
        };
    }
    line.push('\n');
}

/// As RFC 4180 has it: in quotes where it has to be.
fn csv_field(line: &mut String, field: &str) {
    let needs_quotes = field.is_empty()
        || field.contains(['"', ',', '\n', '\r'])
        || field.starts_with(char::is_whitespace)
        || field.ends_with(char::is_whitespace);
    if needs_quotes {
        line.push('"');
        line.push_str(&field.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(field);
    }
}

fn json_line(line: &mut String, columns: &[Column], fields: &[Field<'_>]) {
    use std::fmt::Write as _;
    for (index, (column, field)) in columns.iter().zip(fields).enumerate() {
        line.push(if index == 0 { '{' } else { ',' });
        let _ = write!(line, "\"{}\":", column.name);
        let _ = match *field {
            Field::Text(value) | Field::Optional(Some(value)) => {
                json::string(line, value);
                Ok(())
            }
            Field::Optional(None) => write!(line, "null"),
            Field::Number(value) => write!(line, "{value}"),
            Field::Figure(digits) => write!(line, "{digits}"),
            Field::Flag(value) => write!(line, "{value}"),
        };
    }
    line.push_str("}\n");
}
