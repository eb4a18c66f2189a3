//! All rows of an input, one after another, with every cell as text. It is for those who need each cell; what
//! needs a few columns of very many rows reads blocks.

use std::io::Read;

use super::blocks::{Block, Blocks};
use super::csv::Fields;
use super::error::RowsError;
use super::format::Format;
use super::header::{count_problem, other_separator, read_header};
use super::json::{next_line, problem, read_object};

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct TextRow<'a> {
    /// The line in which it begins, counted from 1.
    pub line: u64,
    /// The names of the columns. In JSON Lines those of the rows so far.
    pub columns: &'a [String],
    /// Its cells in the order of the columns; one that is missing is empty.
    pub cells: &'a [String],
    /// What is wrong with it, in a sentence without a full stop. Its cells mean nothing then.
    pub problem: Option<&'a str>,
}

/// Rows of text.
pub struct TextRows<R> {
    blocks: Blocks<R>,
    block: Option<Block>,
    at: usize,
    delimiter: Option<u8>,
    columns: Vec<String>,
    cells: Vec<String>,
    fields: Fields,
    problem: Option<String>,
}

impl<R: Read> TextRows<R> {
    /// Begins to read: of CSV and TSV the header.
    ///
    /// # Errors
    /// There is no header, it is no text, or the input can't be read.
    pub fn new(input: R, format: Format) -> Result<Self, RowsError> {
        let mut blocks = Blocks::new(input, format);
        let mut block = blocks.next(Vec::new())?.ok_or(RowsError::Empty)?;
        let delimiter = format.delimiter();
        let columns = match delimiter {
            Some(delimiter) => read_header(&mut block, delimiter)?,
            None => Vec::new(),
        };
        Ok(Self {
            blocks,
            block: Some(block),
            at: 0,
            delimiter,
            cells: vec![String::new(); columns.len()],
            columns,
            fields: Fields::default(),
            problem: None,
        })
    }

    /// The names of the columns. In JSON Lines those of the rows so far.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What probably separates the columns, where the header was read as a single one with a comma, a tab or a
    /// semicolon in its name.
    pub fn other_separator(&self) -> Option<char> {
        other_separator(&self.columns).filter(|_| self.delimiter.is_some())
    }

    /// The next row, or `None` at the end.
    ///
    /// # Errors
    /// A row never ends, or the input can't be read.
    pub fn next_row(&mut self) -> Result<Option<TextRow<'_>>, RowsError> {
        while let Some(mut block) = self.block.take() {
            let line = match self.delimiter {
                Some(delimiter) => self.next_of_fields(&mut block, delimiter),
                None => self.next_of_json(&mut block),
            };
            if let Some(line) = line {
                self.block = Some(block);
                return Ok(Some(TextRow {
                    line,
                    columns: &self.columns,
                    cells: &self.cells,
                    problem: self.problem.as_deref(),
                }));
            }
            self.at = 0;
            self.block = self.blocks.next(block.into_buffer())?;
        }
        Ok(None)
    }

    fn next_of_fields(&mut self, block: &mut Block, delimiter: u8) -> Option<u64> {
        let mut after = block.line;
        let read = self
            .fields
            .read(block.bytes(), delimiter, &mut self.at, &mut after);
        block.line = after;
        self.problem = count_problem(self.fields.len(), self.columns.len());
        for (cell, field) in self.cells.iter_mut().zip(self.fields.iter()) {
            cell.clear();
            match std::str::from_utf8(field) {
                Ok(field) => cell.push_str(field),
                Err(_) => self.problem = Some("not UTF-8 text".to_owned()),
            }
        }
        read
    }

    fn next_of_json(&mut self, block: &mut Block) -> Option<u64> {
        let Self { columns, cells, .. } = self;
        let mut after = block.line;
        let (line, text) = next_line(block.bytes(), &mut self.at, &mut after)?;
        for cell in &mut *cells {
            cell.clear();
        }
        let (mut odd, mut seen) = (None, vec![false; columns.len()]);
        let read = read_object(text, &mut |key, value| {
            let column = columns.iter().position(|column| column == key);
            let column = column.unwrap_or_else(|| {
                columns.push(key.to_owned());
                cells.push(String::new());
                seen.push(false);
                columns.len() - 1
            });
            if std::mem::replace(&mut seen[column], true) {
                odd = Some(format!("{key} appears twice"));
                return;
            }
            match value.text() {
                Some(text) => cells[column].push_str(&text),
                None => odd = Some(format!("{key} is neither a number nor text")),
            }
        });
        self.problem = read.err().map(|error| problem(&error)).or(odd);
        block.line = after;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], format: Format) -> (Vec<String>, Vec<String>) {
        let mut rows = TextRows::new(text, format).unwrap();
        let mut read = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            let TextRow {
                line,
                cells,
                problem,
                ..
            } = row;
            read.push(match problem {
                None => format!("{line}: {}", cells.join("|")),
                Some(problem) => format!("{line}! {problem}"),
            });
        }
        (rows.columns().to_vec(), read)
    }

    #[test]
    fn every_cell_is_text() {
        let csv =
            b"\xef\xbb\xbfa,\"b\r\nc\"\r\n1,\"x, \"\"y\"\"\"\r\n\r\n2\r\n3,4,5\r\n\xff,6\r\n7,8";
        let (columns, rows) = read(csv, Format::Csv);
        assert_eq!(columns, ["a", "b\r\nc"]);
        let expected = [
            "3: 1|x, \"y\"",
            "5! 1 field, but the header has 2",
            "6! 3 fields, but the header has 2",
            "7! not UTF-8 text",
            "8: 7|8",
        ];
        assert_eq!(rows, expected);
        assert_eq!(read(b"a\tb\n1,5\t2", Format::Tsv).1, ["2: 1,5|2"]);
    }

    #[test]
    fn columns_of_json_are_those_that_were_seen() {
        let json = b"{\"a\": 1}\n\n{\"b\": \"x\"}\n{\"a\": [1]}\n{\n{\"a\": true, \"b\": null}";
        let (columns, rows) = read(json, Format::JsonLines);
        assert_eq!(columns, ["a", "b"]);
        let expected = [
            "1: 1",
            "3: |x",
            "4! a is neither a number nor text",
            "5! not a JSON object: EOF while parsing an object in column 1",
            "6: 1|",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn what_has_no_header_is_refused() {
        for (text, format) in [
            ("", Format::Csv),
            ("\n\r\n", Format::Tsv),
            ("", Format::JsonLines),
        ] {
            let rows = TextRows::new(text.as_bytes(), format);
            assert!(matches!(rows, Err(RowsError::Empty)));
        }
        for text in [&b"a\0,b\n"[..], b"\xff\xfea\0", b"a,\xff\n1,2\n"] {
            let rows = TextRows::new(text, Format::Csv);
            assert!(matches!(rows, Err(RowsError::NotText(1))));
        }
    }
}
