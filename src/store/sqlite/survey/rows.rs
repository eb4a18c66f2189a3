//! What all that is looked at has in common: the experiments that can be read, and how a row is reported.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::Failure;
use super::super::experiments::Stored;
use crate::store::survey::{StoreFault, StoreFinding, Surveyed};
use crate::text::Quoted;

/// The experiments that can be read, and the rows of those that can't.
pub(super) struct KnownExperiments {
    pub(super) by_id: HashMap<i64, Stored>,
    pub(super) unreadable: HashSet<i64>,
    /// The experiments in their spaces.
    pub(super) slots: HashMap<(i64, i64), i64>,
    /// The names of those that are deleted, whose log is there.
    pub(super) deleted: HashMap<i64, String>,
}

impl KnownExperiments {
    /// The name of an experiment, there or deleted, that can be read; nothing for another.
    pub(super) fn name(&self, id: i64) -> &str {
        let stored = self.by_id.get(&id).map(|stored| &*stored.config.name);
        let deleted = self.deleted.get(&id).map(|name| &**name);
        stored.or(deleted).unwrap_or_default()
    }

    pub(super) fn by_name(&self) -> Vec<&Stored> {
        let mut all: Vec<&Stored> = self.by_id.values().collect();
        all.sort_unstable_by_key(|stored| &*stored.config.name);
        all
    }
}

pub(super) fn report(
    rows: &'static str,
    name: impl Fn() -> String,
    subject: &str,
    read: rusqlite::Result<()>,
    found: &mut Surveyed,
) -> Result<(), Failure> {
    let Err(error) = read else { return Ok(()) };
    let problem = decoding(error)?;
    let message = format!(
        "experiment {}: {} cannot be read: {problem}",
        Quoted(subject),
        name()
    );
    found.name(
        rows,
        StoreFinding::new(StoreFault::Unreadable, subject, message),
    );
    Ok(())
}

pub(super) fn unknown_variant(
    rows: &'static str,
    name: impl Fn() -> String,
    stored: &Stored,
    variant: rusqlite::Result<usize>,
    found: &mut Surveyed,
    is_dropped: bool,
) {
    if variant.is_ok_and(|variant| stored.variant_name(variant).is_ok()) {
        return;
    }
    let subject = &*stored.config.name;
    let message = format!(
        "experiment {}: {} is of a variant that it never had",
        Quoted(subject),
        name()
    );
    let finding = StoreFinding::new(StoreFault::UnknownVariant, subject, message);
    found.name(rows, finding.repairable(is_dropped));
}

/// Rows of experiments that are not there, by what is known of the experiment.
#[derive(Default)]
pub(super) struct Orphans(BTreeMap<String, u64>);

impl Orphans {
    pub(super) fn count(&mut self, experiment: String) {
        *self.0.entry(experiment).or_default() += 1;
    }

    pub(super) fn report(self, rows: &'static str, found: &mut Surveyed) {
        for (experiment, count) in self.0 {
            let message = format!("experiment {experiment} does not exist: {count} {rows} of it");
            let finding = StoreFinding::new(StoreFault::Orphan, experiment, message);
            found.name(rows, finding.counting(count));
        }
    }
}

/// What keeps a row from being read; an error of the engine is none of the row's.
pub(super) fn decoding(error: rusqlite::Error) -> Result<String, Failure> {
    match error {
        rusqlite::Error::SqliteFailure(..) => Err(error.into()),
        rusqlite::Error::FromSqlConversionFailure(_, _, cause) => Ok(cause.to_string()),
        other => Ok(other.to_string()),
    }
}
