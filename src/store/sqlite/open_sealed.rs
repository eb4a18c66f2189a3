//! Opening a file to read what is in the file itself.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::place::Place;

/// Opens a file to read what is in the file itself: nothing that another connection keeps in memory, nor what
/// is in a log beside it. No lock is taken.
pub(super) fn sealed(place: &Place) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri(&place.path, "immutable=1"), flags)
}

/// The name of a file with what SQLite is told about it.
pub(super) fn uri(path: &Path, told: &str) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push('?');
    uri.push_str(told);
    uri
}
