//! A file as the source of a copy.

use std::collections::HashMap;

use rusqlite::Connection;

use super::super::changes;
use super::super::choice::Choice;
use super::super::experiments::{self, Stored, contradiction};
use super::super::{Failure, SqliteExperimentStore, deleted, outcomes, overrides, periods, scans};
use crate::error::ExperimentError;
use crate::experiment::ChangeRecord;
use crate::exposure::ExposureRecord;
use crate::outcome::OutcomeScan;
use crate::store::transfer::{Each, Record, Source, Step, View};

impl Source for SqliteExperimentStore {
    fn location(&self) -> Option<String> {
        self.place.location()
    }

    fn view(&self, step: Step<'_>) -> Result<(), ExperimentError> {
        self.read("be read as a whole", |db| {
            let failed = |error| self.failed("be read as a whole", error);
            let mut scan = Scan { db, failed };
            step(&mut scan).map_err(Failure::Refused)
        })
    }
}

/// What is read in one transaction.
pub(in crate::store::sqlite) struct Scan<'a, F> {
    pub(in crate::store::sqlite) db: &'a Connection,
    pub(in crate::store::sqlite) failed: F,
}

impl<F: Fn(rusqlite::Error) -> ExperimentError> View for Scan<'_, F> {
    fn scan(&mut self, each: Each<'_>) -> Result<(), ExperimentError> {
        scan(self.db, each).map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Sqlite(error) => (self.failed)(error),
        })
    }
}

fn scan(db: &Connection, each: Each<'_>) -> Result<(), Failure> {
    let all = experiments::load_all(db)?;
    let by_id: HashMap<i64, &Stored> = all.iter().map(|stored| (stored.id, stored)).collect();
    let unknown = |id: i64| contradiction(format!("an entry is of experiment number {id}"));
    let known = |id: i64| by_id.get(&id).copied().ok_or_else(|| unknown(id));
    for stored in &all {
        each(Record::Experiment {
            config: stored.config.clone(),
            created_at_secs: u64::try_from(stored.created_at).unwrap_or(0),
            periods: periods::records(db, stored.id)?,
        })?;
    }
    for stored in &all {
        for pinned in overrides::all(db, stored)? {
            each(Record::Override(pinned))?;
        }
    }
    let mut query = db.prepare(
        "SELECT experiment_id, mutation, operator, changed_at, detail FROM changes ORDER BY id",
    )?;
    let mut rows = query.query([])?;
    let deleted = deleted::names(db)?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let name = match by_id.get(&id).map(|stored| &stored.config.name) {
            Some(name) => name,
            None => deleted.get(&id).ok_or_else(|| unknown(id))?,
        };
        each(Record::Change(ChangeRecord {
            experiment: name.clone(),
            mutation: row.get(1)?,
            actor: row.get(2)?,
            timestamp_secs: row.get(3)?,
            detail: changes::read_detail(row, 4)?,
        }))?;
    }
    let mut query = db.prepare(
        "SELECT experiment_id, variant, actor, request_id, exposed_at FROM exposures ORDER BY id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let stored = known(row.get(0)?)?;
        let choice = Choice::read(row, 1)?;
        each(Record::Exposure(ExposureRecord {
            experiment: stored.config.name.clone(),
            variant: stored.variant_name(choice.variant)?.to_owned(),
            actor: row.get(2)?,
            request_id: row.get(3)?,
            is_override: choice.is_override,
            timestamp_secs: row.get(4)?,
        }))?;
    }
    for stored in &all {
        scans::assignments(db, stored, &mut |assignment| {
            each(Record::Assignment(assignment.clone()))
        })?;
    }
    outcomes::scan(db, &OutcomeScan::default(), &mut |outcome| {
        each(Record::Outcome(outcome.clone()))
    })
}
