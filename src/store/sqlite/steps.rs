//! Running a step of the store in one transaction: what has to hold before and after it.

use rusqlite::Connection;

use super::SqliteExperimentStore;
use super::failure::Failure;
use super::locks::{self, Hold};
use super::migrations;
use crate::error::{ExperimentError, ExperimentStoreError};

impl SqliteExperimentStore {
    /// Runs `step` in one view of the store.
    pub(super) fn read<T>(
        &self,
        doing: &'static str,
        step: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        self.transaction(doing, None, step)
    }

    /// Runs `step` in one transaction, alone; it is committed if `step` succeeds.
    pub(super) fn write<T>(
        &self,
        doing: &'static str,
        step: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        self.transaction(doing, Some(Hold::Short), step)
    }

    /// The same for a step that takes long.
    pub(super) fn write_long<T>(
        &self,
        doing: &'static str,
        step: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        self.transaction(doing, Some(Hold::Long), step)
    }

    pub(super) fn transaction<T>(
        &self,
        doing: &'static str,
        hold: Option<Hold>,
        step: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, ExperimentError> {
        let mut connection = self.lock();
        let run = || {
            let transaction = if let Some(hold) = hold {
                self.queue.begin(&mut connection, hold, self.busy_timeout)?
            } else {
                locks::wait_for_lock(&mut connection, self.busy_timeout)?;
                connection.transaction()?
            };
            self.require_known_schema(&transaction)?;
            if hold.is_some() {
                // What is beside the name of a file that was replaced is the log of the other one.
                let placed = self.place.require_in_place(&transaction);
                placed.map_err(ExperimentError::from)?;
            }
            let done = step(&transaction)?;
            if let Err(error) = transaction.commit() {
                let failed = self.place.commit_failed(doing, self.busy_timeout, error);
                if matches!(failed, ExperimentStoreError::Unconfirmed { .. }) {
                    self.write_ahead_log.empty(&mut connection);
                }
                return Err(Failure::Refused(failed.into()));
            }
            self.require_in_place(&connection, hold)?;
            self.write_ahead_log.tend(&mut connection);
            Ok(done)
        };
        run().map_err(|failure| self.reported(doing, failure))
    }

    /// Refuses to report what was read from, or written to, files that others no longer find.
    pub(super) fn require_in_place(
        &self,
        connection: &Connection,
        hold: Option<Hold>,
    ) -> Result<(), ExperimentError> {
        self.place.require_in_place(connection)?;
        if let Some(seal) = &self.seal {
            self.place.require_sealed(seal)?;
        }
        if hold.is_some() {
            self.neighbours.require_in_place(&self.place)?;
        }
        Ok(())
    }

    /// Refuses a store that a newer version of the program has migrated since it was opened.
    pub(super) fn require_known_schema(&self, connection: &Connection) -> Result<(), Failure> {
        match migrations::newer(connection)? {
            Some(found) => Err(Failure::Refused(self.place.newer_schema(found).into())),
            None => Ok(()),
        }
    }

    pub(super) fn reported(&self, doing: &'static str, failure: Failure) -> ExperimentError {
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Sqlite(error) => self.failed(doing, error),
        }
    }

    pub(super) fn failed(&self, doing: &'static str, error: rusqlite::Error) -> ExperimentError {
        self.place.failed(doing, self.busy_timeout, error).into()
    }
}
