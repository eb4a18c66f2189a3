//! One thread's part of a text: from blocks of rows to its tally.

use super::plan::Role;
use super::tally::Tally;
use crate::rows::{Block, Cell, Fields, count_problem, next_line, problem, read_object};

/// How the rows of a text are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Written<'a> {
    /// In fields.
    Fields {
        delimiter: u8,
        /// How many columns the header has.
        columns: usize,
        /// The places that have a part, in order.
        roles: &'a [(usize, Role)],
    },
    /// As objects.
    Objects {
        /// The keys that have a part.
        roles: &'a [(&'a str, Role)],
        is_timed: bool,
    },
}

/// What one thread works with.
pub(super) struct Scanner<'a> {
    written: Written<'a>,
    pub(super) keys: Keys,
    pub(super) tally: Tally<'a>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(written: Written<'a>, tally: Tally<'a>) -> Self {
        Self {
            written,
            keys: Keys::default(),
            tally,
        }
    }

    /// Reads the rows of a block.
    pub(super) fn scan(&mut self, block: &Block) {
        let Self {
            written,
            keys,
            tally,
        } = self;
        match *written {
            Written::Fields {
                delimiter,
                columns,
                roles,
            } if block.is_plain => scan_plain(block, delimiter, columns, roles, tally),
            Written::Fields {
                delimiter,
                columns,
                roles,
            } => scan_fields(block, delimiter, columns, roles, tally),
            Written::Objects { roles, is_timed } => {
                scan_objects(block, roles, is_timed, keys, tally);
            }
        }
    }
}

/// Rows whose fields may be quoted.
fn scan_fields(
    block: &Block,
    delimiter: u8,
    columns: usize,
    roles: &[(usize, Role)],
    tally: &mut Tally<'_>,
) {
    let (mut fields, mut at, mut after) = (Fields::default(), 0, block.line);
    while let Some(line) = fields.read(block.bytes(), delimiter, &mut at, &mut after) {
        for (place, role) in roles {
            if let Some(field) = fields.get(*place) {
                tally.text_cell(*role, field);
            }
        }
        tally.end_row(line, count_problem(fields.len(), columns));
    }
}

/// Rows that are lines, with fields that are what is between two delimiters.
fn scan_plain(
    block: &Block,
    delimiter: u8,
    columns: usize,
    roles: &[(usize, Role)],
    tally: &mut Tally<'_>,
) {
    let bytes = block.bytes();
    let mut at = 0;
    let mut line = block.line;
    while at < bytes.len() {
        let mut rest = roles;
        let mut place = 0;
        loop {
            let end = field_end(bytes, at, delimiter);
            let is_last = bytes.get(end) != Some(&delimiter);
            let mut field = &bytes[at..end];
            if is_last && let [before @ .., b'\r'] = field {
                field = before;
            }
            at = end + 1;
            if is_last && place == 0 && field.is_empty() {
                break;
            }
            while let [(wanted, role), more @ ..] = rest
                && *wanted == place
            {
                tally.text_cell(*role, field);
                rest = more;
            }
            place += 1;
            if is_last {
                let problem = if place == columns {
                    None
                } else {
                    count_problem(place, columns)
                };
                tally.end_row(line, problem);
                break;
            }
        }
        line += 1;
    }
}

/// Where the field that begins at `at` ends: at a delimiter, a line feed or the end.
#[inline]
fn field_end(bytes: &[u8], mut at: usize, delimiter: u8) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // Most fields are short: eight bytes at a time, as one number. What is 0 in it is what is looked for.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (delimiters, feeds) = (ONES * u64::from(delimiter), ONES * u64::from(b'\n'));
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ delimiters) | zeros(word ^ feeds);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes[at..].iter();
    at + rest
        .take_while(|byte| **byte != delimiter && **byte != b'\n')
        .count()
}

/// The keys of the objects that were read.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// For each role, the last row that had it.
    rows: Vec<u64>,
    /// Some of those that have no part.
    others: Vec<String>,
}

impl Keys {
    /// How many of those that have no part are kept.
    const MOST_OTHERS: usize = 100;

    /// Whether any row had it.
    pub(super) fn has(&self, role: usize) -> bool {
        self.rows.get(role).is_some_and(|row| *row > 0)
    }

    /// Whether there was any key.
    pub(super) fn has_any(&self) -> bool {
        !self.others.is_empty() || self.rows.iter().any(|row| *row > 0)
    }

    /// Some keys that have no part.
    pub(super) fn others(&self) -> &[String] {
        &self.others
    }

    fn note_other(&mut self, key: &str) {
        if self.others.len() < Self::MOST_OTHERS && !self.others.iter().any(|known| known == key) {
            self.others.push(key.to_owned());
        }
    }
}

/// Rows that are objects.
fn scan_objects(
    block: &Block,
    roles: &[(&str, Role)],
    is_timed: bool,
    keys: &mut Keys,
    tally: &mut Tally<'_>,
) {
    keys.rows.resize(roles.len(), 0);
    let (mut at, mut after) = (0, block.line);
    while let Some((line, text)) = next_line(block.bytes(), &mut at, &mut after) {
        let read = read_object(text, &mut |key, cell| {
            let mut has_part = false;
            for (place, (name, role)) in roles.iter().enumerate() {
                if *name != key {
                    continue;
                }
                has_part = true;
                if std::mem::replace(&mut keys.rows[place], line) == line {
                    tally.problem(|plan| format!("{} appears twice", plan.name(*role)));
                } else if *role == Role::Time && !is_timed && cell != Cell::Empty {
                    tally.problem(|plan| {
                        format!("{} is present, but not in the first row", plan.name(*role))
                    });
                } else {
                    tally.typed_cell(*role, cell);
                }
            }
            if !has_part {
                keys.note_other(key);
            }
        });
        let problem = read.err().map(|error| problem(&error));
        tally.end_row(line, problem);
    }
}
