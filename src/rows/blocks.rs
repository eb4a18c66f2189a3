//! Input, cut into blocks of whole rows. Where the cuts are depends on what is in the input, and not on how
//! many bytes each read brings.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

use super::csv::{Rows, line_ends, lone_returns, whole_rows};
use super::error::RowsError;
use super::format::{Format, MAX_ROW_BYTES};

/// How many bytes a block has, unless a row is longer. It fits into a core's own cache.
const BLOCK_BYTES: usize = 1 << 20;

/// Some whole rows.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its storage, to be read into again.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// The line in which it begins, counted from 1.
    pub(crate) line: u64,
    /// Whether every row is a line and every field is what is between two delimiters: there is no quote in it,
    /// and no CR but before an LF.
    pub(crate) is_plain: bool,
}

impl Block {
    /// The rows.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    /// Leaves out what has been read of it, and begins in this line.
    pub(crate) fn skip(&mut self, bytes: usize, line: u64) {
        self.begin += bytes;
        self.line = line;
    }

    /// What to read the next block into.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// Input, block by block.
pub(crate) struct Blocks<R> {
    input: R,
    format: Format,
    block_bytes: usize,
    /// What is behind the last whole row so far.
    rest: Vec<u8>,
    line: u64,
    is_begun: bool,
    is_ended: bool,
}

impl<R: Read> Blocks<R> {
    /// All of this input.
    pub(crate) fn new(input: R, format: Format) -> Self {
        Self {
            input,
            format,
            block_bytes: BLOCK_BYTES,
            rest: Vec::new(),
            line: 1,
            is_begun: false,
            is_ended: false,
        }
    }

    /// The same in blocks of another size, for tests that need many.
    #[cfg(test)]
    pub(crate) fn with_block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes;
        self
    }

    /// Whether all input has been read, so that there is no other block.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended && self.rest.is_empty()
    }

    /// The next block, in this buffer, or `None` at the end.
    pub(crate) fn next(&mut self, mut buffer: Vec<u8>) -> Result<Option<Block>, RowsError> {
        let mut filled = self.rest.len();
        if buffer.len() < self.block_bytes.max(filled) {
            buffer.resize(self.block_bytes.max(filled), 0);
        }
        buffer[..filled].copy_from_slice(&self.rest);
        let mut wanted = self.block_bytes.max(filled);
        loop {
            filled += self.fill(&mut buffer[filled..wanted])?;
            let begin = self.begin(&buffer[..filled]);
            let (rows, is_plain) = self.rows(&buffer[begin..filled]);
            let end = if self.is_ended {
                if rows.is_open {
                    let line = self.line + line_ends(&buffer[begin..begin + rows.end]);
                    return Err(RowsError::OpenQuote(line));
                }
                filled
            } else {
                begin + rows.end
            };
            if end == begin && !self.is_ended {
                if wanted >= MAX_ROW_BYTES {
                    return Err(RowsError::TooLong(self.line));
                }
                wanted = (wanted * 2).min(MAX_ROW_BYTES);
                buffer.resize(wanted.max(buffer.len()), 0);
                continue;
            }
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[end..filled]);
            let block = Block {
                begin,
                end,
                line: self.line,
                is_plain,
                buffer,
            };
            self.line += self.line_ends(block.bytes());
            self.is_begun = true;
            return Ok((begin < end).then_some(block));
        }
    }

    /// Reads until there is no more room or no more input.
    fn fill(&mut self, room: &mut [u8]) -> Result<usize, RowsError> {
        let mut filled = 0;
        while filled < room.len() && !self.is_ended {
            match self.input.read(&mut room[filled..]) {
                Ok(0) => self.is_ended = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    /// How many lines end in it. A lone CR ends none of JSON Lines.
    fn line_ends(&self, bytes: &[u8]) -> u64 {
        match self.format {
            Format::Csv | Format::Tsv => line_ends(bytes),
            Format::JsonLines => memchr::memchr_iter(b'\n', bytes).count() as u64,
        }
    }

    /// Where the text begins: behind a mark of the byte order.
    fn begin(&self, bytes: &[u8]) -> usize {
        let is_marked = !self.is_begun && bytes.starts_with(b"\xef\xbb\xbf");
        if is_marked { 3 } else { 0 }
    }

    /// How far there are whole rows, and whether all is plain.
    fn rows(&self, bytes: &[u8]) -> (Rows, bool) {
        let last_line = Rows {
            end: memrchr(b'\n', bytes).map_or(0, |at| at + 1),
            is_open: false,
        };
        let Some(delimiter) = self.format.delimiter() else {
            return (last_line, true);
        };
        let is_plain =
            memchr(b'"', bytes).is_none() && lone_returns(bytes).all(|at| at + 1 == bytes.len());
        if is_plain {
            return (last_line, true);
        }
        (whole_rows(bytes, delimiter), false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::rows::csv::Fields;

    /// Gives a byte at a time.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let count = room.len().min(1);
            self.0.read(&mut room[..count])
        }
    }

    type Row = (u64, Vec<Vec<u8>>);

    /// Each block's plainness and rows.
    fn blocks(input: impl Read, block_bytes: usize) -> Result<Vec<(bool, Vec<Row>)>, RowsError> {
        let mut blocks = Blocks::new(input, Format::Csv).with_block_bytes(block_bytes);
        let mut read = Vec::new();
        let mut buffer = Vec::new();
        while let Some(block) = blocks.next(buffer)? {
            let (mut fields, mut at, mut line) = (Fields::default(), 0, block.line);
            let mut rows = Vec::new();
            while let Some(line) = fields.read(block.bytes(), b',', &mut at, &mut line) {
                rows.push((line, fields.iter().map(<[u8]>::to_vec).collect()));
            }
            read.push((block.is_plain, rows));
            buffer = block.into_buffer();
        }
        Ok(read)
    }

    #[test]
    fn what_never_ends_is_refused_with_its_line() {
        let open = b"a,b\n1,2\n\"3,4\n5,6\n";
        assert!(matches!(blocks(&open[..], 4), Err(RowsError::OpenQuote(3))));
        let mut long = b"a,b\n1,2\n".to_vec();
        long.resize(MAX_ROW_BYTES + 9, b'x');
        assert!(matches!(blocks(&*long, 100), Err(RowsError::TooLong(3))));
        long.truncate(MAX_ROW_BYTES);
        assert!(blocks(&*long, 100).is_ok());
    }

    #[test]
    fn a_mark_of_the_byte_order_is_no_text() {
        let read = blocks(&b"\xef\xbb\xbfa\n\xef\xbb\xbfb"[..], 5).unwrap();
        assert_eq!(read[0].1, [(1, vec![b"a".to_vec()])]);
        assert_eq!(read[1].1, [(2, vec![b"\xef\xbb\xbfb".to_vec()])]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        /// However it is cut, and however many bytes come at a time.
        #[test]
        fn blocks_hold_the_rows_of_the_whole(text in "[ab\",\r\n]{0,60}", size in 1..20_usize) {
            let is_open = whole_rows(text.as_bytes(), b',').is_open;
            let whole = blocks(text.as_bytes(), 1000);
            prop_assert_eq!(whole.is_err(), is_open);
            let parts = blocks(Dripping(text.as_bytes()), size);
            prop_assert_eq!(parts.is_err(), is_open);
            if let (Ok(whole), Ok(parts)) = (whole, parts) {
                let whole: Vec<Row> = whole.into_iter().flat_map(|block| block.1).collect();
                let again = blocks(text.as_bytes(), size).unwrap();
                prop_assert_eq!(&parts, &again);
                for (is_plain, rows) in &parts {
                    let fields = rows.iter().flat_map(|row| &row.1);
                    let has_sign = fields.flatten().any(|byte| b"\"\r\n,".contains(byte));
                    prop_assert!(!(*is_plain && has_sign));
                }
                let parts: Vec<Row> = parts.into_iter().flat_map(|block| block.1).collect();
                prop_assert_eq!(parts, whole);
            }
        }
    }
}
