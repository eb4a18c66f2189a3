//! The names of columns, in the first row.

use super::blocks::Block;
use super::csv::Fields;
use super::error::RowsError;

/// Reads the header at the beginning of an input's first block, and takes it off the block.
pub(crate) fn read_header(block: &mut Block, delimiter: u8) -> Result<Vec<String>, RowsError> {
    let (mut fields, mut at, mut after) = (Fields::default(), 0, block.line);
    let line = fields.read(block.bytes(), delimiter, &mut at, &mut after);
    let line = line.ok_or(RowsError::Empty)?;
    block.skip(at, after);
    let names = fields.iter().map(|name| {
        let name = std::str::from_utf8(name).ok();
        let name = name.filter(|name| !name.contains('\0'));
        name.map(str::to_owned).ok_or(RowsError::NotText(line))
    });
    names.collect()
}

/// What probably separates the columns, where the header was read as a single one: a comma, a tab or a semicolon.
pub(crate) fn other_separator(columns: &[String]) -> Option<char> {
    let [name] = columns else {
        return None;
    };
    name.chars().find(|c| [',', '\t', ';'].contains(c))
}

/// What is wrong with a row that has so many fields.
pub(crate) fn count_problem(fields: usize, columns: usize) -> Option<String> {
    let s = if fields == 1 { "" } else { "s" };
    (fields != columns).then(|| format!("{fields} field{s}, but the header has {columns}"))
}
