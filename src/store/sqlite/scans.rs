//! Scans: records shown one after another, in one view and in constant memory.
//!
//! Each scan has a connection of its own, so that it keeps nobody from reading or writing by the handle's, not
//! even whatever the records are shown to.

use std::path::Path;

use rusqlite::{Connection, params};

use super::choice::Choice;
use super::columns::{optional_text, text};
use super::experiments::{self, Stored};
use super::failure::Failure;
use super::open::{self, SqliteAccess};
use super::place::Place;
use super::{SqliteExperimentStore, outcomes};
use crate::error::ExperimentError;
use crate::experiment::AssignmentRecord;
use crate::exposure::{ExposureRecord, ExposureScan};
use crate::outcome::{Outcome, OutcomeScan};
use crate::store::Each;
use crate::store::transfer::seconds;

impl SqliteExperimentStore {
    /// Another connection to the file that the handle has open, for reading.
    pub(super) fn another(&self) -> Result<Connection, ExperimentError> {
        // From the root: the process may have changed its working directory.
        let path = {
            let connection = self.lock();
            self.require_in_place(&connection, None)?;
            connection.path().map(|path| Place::new(Path::new(path)))
        };
        let place = path.unwrap_or_else(|| Place::clone(&self.place));
        let opened = open::store(&place, SqliteAccess::Read, self.busy_timeout)?;
        Ok(opened.connection)
    }

    fn scan(
        &self,
        doing: &'static str,
        step: impl FnOnce(&Connection) -> Result<(), Failure>,
    ) -> Result<(), ExperimentError> {
        let mut connection = self.another()?;
        let run = || {
            let transaction = connection.transaction()?;
            self.require_known_schema(&transaction)?;
            step(&transaction)?;
            drop(transaction);
            // Also of the handle's own: the file may have been replaced before the other was opened.
            self.require_in_place(&connection, None)?;
            Ok(self.require_in_place(&self.lock(), None)?)
        };
        run().map_err(|failure| self.reported(doing, failure))
    }

    pub(super) fn scan_assignments_of(
        &self,
        experiment: &str,
        each: Each<'_, AssignmentRecord>,
    ) -> Result<(), ExperimentError> {
        self.scan("read the assignments", |db| {
            match experiments::load(db, experiment)? {
                Some(stored) => assignments(db, &stored, each),
                None => Ok(()),
            }
        })
    }

    pub(super) fn scan_exposures_of(
        &self,
        experiment: &str,
        scan: &ExposureScan,
        each: Each<'_, ExposureRecord>,
    ) -> Result<(), ExperimentError> {
        self.scan("read the exposures", |db| {
            match experiments::load(db, experiment)? {
                Some(stored) => exposures(db, &stored, scan, each),
                None => Ok(()),
            }
        })
    }

    pub(super) fn scan_outcomes_of(
        &self,
        scan: &OutcomeScan<'_>,
        each: Each<'_, Outcome>,
    ) -> Result<(), ExperimentError> {
        self.scan("read the outcomes", |db| outcomes::scan(db, scan, each))
    }
}

/// The variant of the row before, which most rows have again.
struct Last(Option<Choice>);

impl Last {
    /// Writes the name of a row's variant, if it is another than that of the row before.
    fn name(
        &mut self,
        experiment: &Stored,
        choice: Choice,
        name: &mut String,
    ) -> rusqlite::Result<()> {
        if self.0 != Some(choice) {
            experiment.variant_name(choice.variant)?.clone_into(name);
            self.0 = Some(choice);
        }
        Ok(())
    }
}

/// All assignments of an experiment, by actor.
pub(super) fn assignments(
    db: &Connection,
    experiment: &Stored,
    each: Each<'_, AssignmentRecord>,
) -> Result<(), Failure> {
    let mut record = AssignmentRecord {
        experiment: experiment.config.name.clone(),
        actor: String::new(),
        variant: String::new(),
        is_override: false,
        assigned_at_secs: 0,
        weight_period: 0,
    };
    let mut query = db.prepare(
        "SELECT actor, variant, assigned_after, weight_period FROM assignments
         WHERE space_id = ?1 AND slot = ?2 ORDER BY actor",
    )?;
    let mut rows = query.query([experiment.space, experiment.slot])?;
    let mut last = Last(None);
    while let Some(row) = rows.next()? {
        let choice = Choice::read(row, 1)?;
        let at = experiment.created_at.saturating_add(row.get(2)?);
        text(row, 0, &mut record.actor)?;
        last.name(experiment, choice, &mut record.variant)?;
        record.is_override = choice.is_override;
        record.assigned_at_secs = u64::try_from(at).unwrap_or(0);
        record.weight_period = row.get(3)?;
        each(&record)?;
    }
    Ok(())
}

/// The exposures of an experiment, in the order in which they were kept. SQLite sorts the first ones on the
/// disk if they are many.
fn exposures(
    db: &Connection,
    experiment: &Stored,
    scan: &ExposureScan,
    each: Each<'_, ExposureRecord>,
) -> Result<(), Failure> {
    let sql = if scan.first_only {
        "SELECT variant, actor, request_id, exposed_at FROM (
             SELECT *, row_number() OVER (PARTITION BY actor ORDER BY exposed_at, id) AS place
             FROM exposures WHERE experiment_id = ?1 AND exposed_at >= ?2)
         WHERE place = 1 ORDER BY id"
    } else {
        "SELECT variant, actor, request_id, exposed_at FROM exposures
         WHERE experiment_id = ?1 AND exposed_at >= ?2 ORDER BY id"
    };
    let mut record = ExposureRecord {
        experiment: experiment.config.name.clone(),
        variant: String::new(),
        actor: String::new(),
        request_id: None,
        is_override: false,
        timestamp_secs: 0,
    };
    let mut query = db.prepare(sql)?;
    let mut rows = query.query(params![experiment.id, seconds(scan.since_secs)])?;
    let mut last = Last(None);
    while let Some(row) = rows.next()? {
        let choice = Choice::read(row, 0)?;
        last.name(experiment, choice, &mut record.variant)?;
        text(row, 1, &mut record.actor)?;
        optional_text(row, 2, &mut record.request_id)?;
        record.is_override = choice.is_override;
        record.timestamp_secs = row.get(3)?;
        each(&record)?;
    }
    Ok(())
}
