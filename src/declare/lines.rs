//! From the bytes of a file to its lines and columns.

use std::ops::Range;

/// How many bytes lie between two places whose character is known without counting.
const STRIDE: usize = 4096;

/// The lines of a text. Looking a place up does not grow dearer with the length of a line.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    /// The byte at which each line begins.
    starts: Vec<usize>,
    /// How many characters begin before every [`STRIDE`]th byte.
    characters: Vec<usize>,
}

/// A line and a column, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl<'a> Lines<'a> {
    /// The lines of this text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut characters = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut sum = 0;
        for chunk in text.as_bytes().chunks(STRIDE) {
            characters.push(sum);
            sum += count(chunk);
        }
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
            characters,
        }
    }

    /// Where a byte is.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let line = self.line(byte);
        Position {
            line: line + 1,
            column: self.characters_before(byte) - self.characters_before(self.starts[line]) + 1,
        }
    }

    /// The bytes of the whole lines in which a span lies, without the last line's end.
    #[must_use]
    pub fn around(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.starts[self.line(span.start)];
        let last = self.line(span.end.max(span.start));
        let end = self.starts.get(last + 1).map_or(self.text.len(), |e| e - 1);
        start..end.max(start)
    }

    /// Which line a byte is in, counted from 0.
    fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|&start| start <= byte) - 1
    }

    fn characters_before(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        let Some(&known) = self.characters.get(byte / STRIDE) else {
            return self.characters.last().map_or(0, |&known| {
                let from = (self.characters.len() - 1) * STRIDE;
                known + count(&self.text.as_bytes()[from..byte])
            });
        };
        known + count(&self.text.as_bytes()[byte / STRIDE * STRIDE..byte])
    }
}

/// How many characters begin in these bytes of UTF-8.
fn count(bytes: &[u8]) -> usize {
    let begins = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
    bytes.iter().filter(begins).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let long = "ä".repeat(STRIDE);
        let text = format!("ab\nä=1\n{long}x");
        let lines = Lines::new(&text);
        let at = |byte| {
            let Position { line, column } = lines.position(byte);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(5), (2, 2));
        assert_eq!(at(text.len() - 1), (3, STRIDE + 1));
        assert_eq!(at(text.len()), (3, STRIDE + 2));
        assert_eq!(&text[lines.around(&(4..5))], "ä=1");
    }
}
