//! Rows that are printed as they come, in constant memory: TSV, CSV with a header, or JSON Lines.

use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::Context as _;
use experiments::{ExperimentError, ExperimentStoreError, StoreLocation};

use super::{json, tsv};
use crate::options::Format;

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
    columns: &'static [&'static str],
    line: String,
    /// What kept a row from being written.
    failed: Option<io::Error>,
}

impl<W: Write> Rows<W> {
    /// Rows of TSV without a header.
    pub(crate) fn tsv(writer: W, columns: &'static [&'static str]) -> Self {
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
    pub(crate) fn printed(
        format: Format,
        wants_header: bool,
        columns: &'static [&'static str],
    ) -> Self {
        let stdout = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let mut rows = Self::tsv(stdout, columns);
        rows.format = format;
        let has_header = match rows.format {
            Format::Csv => true,
            Format::Json => false,
            _ => wants_header,
        };
        if has_header {
            let header: Vec<Field<'_>> = columns.iter().map(|name| Field::Text(name)).collect();
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

fn json_line(line: &mut String, columns: &[&str], fields: &[Field<'_>]) {
    use std::fmt::Write as _;
    for (index, (column, field)) in columns.iter().zip(fields).enumerate() {
        line.push(if index == 0 { '{' } else { ',' });
        let _ = write!(line, "\"{column}\":");
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
