//! The journal mode of a file, which is where its commits go: to a log beside it, or into itself.

use rusqlite::Connection;

use super::experiments::contradiction;
use super::locks::BUSY_TIMEOUT;
use super::place::Place;
use crate::error::ExperimentStoreError;

/// A journal mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Commits go into the file; a journal beside it holds what they replace until they are done.
    Rollback,
    /// Commits go to the write-ahead log.
    WriteAheadLog,
}

impl Mode {
    const ALL: [Self; 2] = [Self::Rollback, Self::WriteAheadLog];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "delete",
            Self::WriteAheadLog => "wal",
        }
    }

    /// The mode of a file, or an error if it is none of these.
    pub(super) fn of(db: &Connection) -> rusqlite::Result<Self> {
        let found: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let mode = Self::ALL.into_iter().find(|mode| mode.as_str() == found);
        mode.ok_or_else(|| contradiction(format!("its journal mode is {found:?}")))
    }
}

/// Changes the mode. It is a property of the file, and stays so for everybody who opens it.
///
/// SQLite commits the change after it has given the new mode as a row: whoever reads only that row is
/// not told if the commit failed. So the statement is run to its end, and the mode read anew.
pub(super) fn set(
    db: &Connection,
    place: &Place,
    doing: &'static str,
    mode: Mode,
) -> Result<(), ExperimentStoreError> {
    let changed = db.pragma(None, "journal_mode", mode.as_str(), |_| Ok(()));
    let found = changed.and_then(|()| Mode::of(db));
    let found = found.map_err(|error| place.failed(doing, BUSY_TIMEOUT, error))?;
    if found == mode {
        return Ok(());
    }
    let (found, wanted) = (found.as_str(), mode.as_str());
    let problem = format!("its journal mode is still {found}, where {wanted} was asked for");
    Err(place.backend(doing, problem))
}
