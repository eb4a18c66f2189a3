//! Reading text into strings that are there already, for scans of millions of rows.

use rusqlite::Row;

/// Reads text into a string that is there.
pub(super) fn text(row: &Row<'_>, column: usize, into: &mut String) -> rusqlite::Result<()> {
    into.clear();
    into.push_str(row.get_ref(column)?.as_str()?);
    Ok(())
}

/// Reads text, or that there is none.
pub(super) fn optional_text(
    row: &Row<'_>,
    column: usize,
    into: &mut Option<String>,
) -> rusqlite::Result<()> {
    match row.get_ref(column)?.as_str_or_null()? {
        Some(found) => {
            let into = into.get_or_insert_default();
            into.clear();
            into.push_str(found);
        }
        None => *into = None,
    }
    Ok(())
}
