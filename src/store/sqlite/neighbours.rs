//! Whether the files of an open store are still those at their names.

use std::path::PathBuf;

use super::identity::{Identity, identity};
use super::place::{LOG, Place, SHARED_MEMORY, named};
use crate::error::ExperimentStoreError;

impl Place {
    /// Refuses a file that is no longer at its name.
    pub(super) fn require_in_place(
        &self,
        connection: &rusqlite::Connection,
    ) -> Result<(), ExperimentStoreError> {
        if has_moved(connection) {
            return Err(self.replaced(self.name()));
        }
        Ok(())
    }
}

/// Whether the file that the connection has open is no longer at the path at which it was opened.
#[cfg(unix)]
fn has_moved(connection: &rusqlite::Connection) -> bool {
    let mut moved = 0;
    let control = rusqlite::FileControl::HasMoved(&mut moved);
    connection
        .file_control(Some(rusqlite::MAIN_DB), control)
        .is_ok()
        && moved != 0
}

#[cfg(not(unix))]
fn has_moved(_connection: &rusqlite::Connection) -> bool {
    false
}

/// The files that SQLite keeps beside an open store, as they were when it was opened. While a connection
/// is open SQLite never removes them; once somebody else has, other processes do not see what is
/// written, and it is gone with the last who has them open.
#[derive(Debug)]
pub(super) struct Neighbours {
    files: [Neighbour; 2],
}

#[derive(Debug)]
struct Neighbour {
    name: String,
    /// From the root: the process may change its working directory.
    path: PathBuf,
    opened: Option<Identity>,
}

impl Neighbours {
    pub(super) fn of(place: &Place) -> Self {
        let files = [LOG, SHARED_MEMORY].map(|suffix| {
            let path = place.beside(suffix);
            Neighbour {
                name: named(&path),
                opened: identity(&path),
                path: std::path::absolute(&path).unwrap_or(path),
            }
        });
        Self { files }
    }

    pub(super) fn require_in_place(&self, place: &Place) -> Result<(), ExperimentStoreError> {
        let is_gone =
            |file: &&Neighbour| file.opened.is_some() && identity(&file.path) != file.opened;
        match self.files.iter().find(is_gone) {
            Some(file) => Err(place.replaced(file.name.clone())),
            None => Ok(()),
        }
    }
}
