//! What a row of a damaged file holds, as far as it can be shown.

use rusqlite::Row;
use rusqlite::types::ValueRef;

/// Text for a message, whatever bytes it holds.
pub(super) fn lossy(row: &Row<'_>, column: usize) -> String {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Ok(ValueRef::Integer(number)) => number.to_string(),
        _ => String::new(),
    }
}
