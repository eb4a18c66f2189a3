//! The fields of rows whose fields may be quoted, one row after another. It is written for the rows that are
//! not plain; what is plain can be read faster.

use memchr::{memchr, memchr3};

/// The fields of one row, without quotes.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    /// Reads the row that begins at `at`, or after empty lines, and moves `at` and `line` behind it. Returns the
    /// line in which it begins, or `None` if there is no more row.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        delimiter: u8,
        at: &mut usize,
        line: &mut u64,
    ) -> Option<u64> {
        self.text.clear();
        self.ends.clear();
        let blank = bytes[*at..].iter();
        let blank = blank.take_while(|byte| matches!(byte, b'\n' | b'\r'));
        let begin = *at + blank.count();
        *line += line_ends(&bytes[*at..begin]);
        *at = begin;
        if begin == bytes.len() {
            return None;
        }
        let first_line = *line;
        loop {
            if bytes.get(*at) == Some(&b'"') {
                *at = self.read_quoted(bytes, *at + 1);
            }
            let rest = &bytes[*at..];
            let end = memchr3(delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
            self.text.extend_from_slice(&rest[..end]);
            self.ends.push(self.text.len());
            *at += (end + 1).min(rest.len());
            if rest.get(end) != Some(&delimiter) {
                break;
            }
        }
        if bytes[*at - 1] == b'\r' && bytes.get(*at) == Some(&b'\n') {
            *at += 1;
        }
        *line += line_ends(&bytes[begin..*at]);
        Some(first_line)
    }

    /// Reads on behind an opening quote, and returns where the closing one ends.
    fn read_quoted(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(length) = memchr(b'"', &bytes[at..]) {
            self.text.extend_from_slice(&bytes[at..at + length]);
            at += length + 1;
            if bytes.get(at) != Some(&b'"') {
                return at;
            }
            self.text.push(b'"');
            at += 1;
        }
        self.text.extend_from_slice(&bytes[at..]);
        bytes.len()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The field in that place, counted from 0.
    pub(crate) fn get(&self, place: usize) -> Option<&[u8]> {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[begin..*self.ends.get(place)?])
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|place| self.get(place))
    }
}

/// How many lines end in it: with LF, CRLF or CR.
pub(crate) fn line_ends(bytes: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', bytes).count() + lone_returns(bytes).count();
    ends as u64
}

/// Where a CR is followed by something else than LF, or by nothing.
pub(crate) fn lone_returns(bytes: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'\r', bytes).filter(|at| bytes.get(at + 1) != Some(&b'\n'))
}

/// What `whole_rows` found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Where the last row ends that has an end.
    pub(crate) end: usize,
    /// Whether a quote is open behind it.
    pub(crate) is_open: bool,
}

/// How far bytes that begin with a row hold whole rows.
pub(crate) fn whole_rows(bytes: &[u8], delimiter: u8) -> Rows {
    let mut rows = Rows::default();
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                let Some(length) = memchr(b'"', &bytes[at..]) else {
                    rows.is_open = true;
                    return rows;
                };
                at += length + 1;
                if bytes.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
        }
        let Some(length) = memchr3(delimiter, b'\n', b'\r', &bytes[at..]) else {
            return rows;
        };
        at += length + 1;
        match (bytes[at - 1], bytes.get(at)) {
            (b'\n', _) => rows.end = at,
            // An LF that is yet to come would belong to it.
            (b'\r', None) => return rows,
            (b'\r', Some(next)) => {
                at += usize::from(*next == b'\n');
                rows.end = at;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// All rows, each with its line.
    fn rows(bytes: &[u8], delimiter: u8) -> Vec<(u64, Vec<Vec<u8>>)> {
        let (mut fields, mut at, mut line) = (Fields::default(), 0, 1);
        let mut rows = Vec::new();
        while let Some(line) = fields.read(bytes, delimiter, &mut at, &mut line) {
            rows.push((line, fields.iter().map(<[u8]>::to_vec).collect()));
        }
        rows
    }

    fn rows_of_the_crate(bytes: &[u8], delimiter: u8) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        let rows = reader.byte_records().map(Result::unwrap);
        rows.map(|row| row.iter().map(<[u8]>::to_vec).collect())
            .collect()
    }

    #[test]
    fn rows_begin_in_their_lines() {
        let text = b"a\r\n\"1\n2\",b\r\r\r\n\n\"c\"\"\rd\"\nlast";
        let lines: Vec<u64> = rows(text, b',').into_iter().map(|row| row.0).collect();
        assert_eq!(lines, [1, 2, 7, 9]);
        assert_eq!(line_ends(text), 8);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn fields_are_as_the_csv_crate_reads_them(text in "[ab\",\t\r\n]{0,40}") {
            for delimiter in [b',', b'\t'] {
                let ours: Vec<_> = rows(text.as_bytes(), delimiter).into_iter().map(|row| row.1).collect();
                prop_assert_eq!(ours, rows_of_the_crate(text.as_bytes(), delimiter));
            }
        }

        /// Cut where it says, the two parts hold the rows of the whole.
        #[test]
        fn whole_rows_are_whole(text in "[ab\",\r\n]{0,40}", more in "[ab\",\r\n]{0,10}") {
            let end = whole_rows(text.as_bytes(), b',').end;
            let all = text.clone() + &more;
            let (first, second) = all.as_bytes().split_at(end);
            let parts = [rows_of_the_crate(first, b','), rows_of_the_crate(second, b',')].concat();
            prop_assert_eq!(parts, rows_of_the_crate(all.as_bytes(), b','));
            prop_assert_eq!(line_ends(first) + line_ends(second), line_ends(all.as_bytes()));
        }
    }
}
