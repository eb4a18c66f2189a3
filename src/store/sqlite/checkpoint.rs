//! Moving the write-ahead log into the file on request.

use rusqlite::DEFAULT_NAME;
use rusqlite::wal::CheckpointMode;

use super::SqliteExperimentStore;
use super::locks;
use crate::error::{ExperimentError, ExperimentStoreError};

const DOING: &str = "move the write-ahead log into the file";

impl SqliteExperimentStore {
    /// Moves what is in the write-ahead log into the file and empties the log: until the next commit of
    /// anybody, the file alone is the store. Waits for others as long as the busy timeout says. Returns
    /// whether there was anything to move. When it returns, it survives a power cut.
    ///
    /// # Errors
    /// Others [read or write it](ExperimentStoreError::Busy) for longer than that; the store fails.
    pub fn checkpoint(&self) -> Result<bool, ExperimentError> {
        if self.place.log_with_content().is_none() {
            return Ok(false);
        }
        let mut connection = self.lock();
        self.require_known_schema(&connection)
            .and_then(|()| Ok(locks::wait_for_lock(&mut connection, self.busy_timeout)?))
            .and_then(
                |()| Ok(connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::TRUNCATE)?),
            )
            .map_err(|failure| self.reported(DOING, failure))?;
        self.require_in_place(&connection, None)?;
        if self.place.log_with_content().is_some() {
            // Somebody has written to it since.
            return Err(ExperimentStoreError::Busy {
                store: self.place.store(),
                waited_secs: self.busy_timeout.as_secs(),
            }
            .into());
        }
        Ok(true)
    }
}
