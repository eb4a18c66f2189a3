//! Every row of every table, read as the commands read it; and what the rows say of each other.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Row};

use super::super::changes;
use super::super::choice::Choice;
use super::super::experiments;
use super::super::{Failure, outcomes};
use super::assignments;
use super::lossy::lossy;
use super::restore::group_in_log;
use super::rows::{KnownExperiments, Orphans, decoding, report, unknown_variant};
use crate::store::survey::{Invariant, StoreFault, StoreFinding, Surveyed, contradictions};
use crate::text::Quoted;

const INVARIANTS: &[Invariant] = &[
    Invariant {
        code: StoreFault::RemovedVariant,
        sql: "SELECT e.name, count(*) FROM assignments a
             JOIN experiments e ON e.space_id = a.space_id AND e.slot = a.slot
             JOIN variants v ON v.experiment_id = e.id
                 AND v.idx = CASE WHEN a.variant < 0 THEN -1 - a.variant ELSE a.variant END
             WHERE v.position IS NULL GROUP BY e.name",
        subject: "experiment",
        noun: "assignment",
        what: "of a variant that was removed",
        repairable: true,
    },
    Invariant {
        code: StoreFault::InvalidExperiment,
        sql: "SELECT e.name, sum(c.crowd) FROM (
                 SELECT experiment_id, count(*) AS crowd FROM variants WHERE position IS NOT NULL
                 GROUP BY experiment_id, position HAVING count(*) > 1
             ) c JOIN experiments e ON e.id = c.experiment_id GROUP BY e.name",
        subject: "experiment",
        noun: "variant",
        what: "that share a place in its list",
        repairable: false,
    },
    Invariant {
        code: StoreFault::SharedSpace,
        sql: "SELECT e.name, (
                 SELECT count(*) - 1 FROM experiments o WHERE o.space_id = e.space_id
             ) AS others
             FROM experiments e JOIN spaces s ON s.id = e.space_id
             WHERE s.exclusion_group IS NULL AND others > 0 ORDER BY e.name",
        subject: "experiment",
        noun: "experiment",
        what: "beside it in a space that is of no exclusion group",
        repairable: false,
    },
    Invariant {
        code: StoreFault::SharedActor,
        sql: "SELECT s.exclusion_group, count(*) FROM (
                 SELECT space_id FROM assignments WHERE variant >= 0
                 GROUP BY space_id, actor HAVING count(*) > 1
             ) twice JOIN spaces s ON s.id = twice.space_id
             WHERE s.exclusion_group IS NOT NULL GROUP BY s.exclusion_group",
        subject: "group",
        noun: "actor",
        what: "assigned in two of its experiments",
        repairable: false,
    },
    Invariant {
        code: StoreFault::InvalidExperiment,
        sql: "SELECT d.name, count(*) FROM deleted_experiments d
             JOIN experiments e ON e.id = d.id OR e.name = d.name GROUP BY d.id",
        subject: "deleted experiment",
        noun: "experiment",
        what: "still there",
        repairable: false,
    },
    Invariant {
        code: StoreFault::Unlogged,
        sql: "SELECT name, 1 FROM experiments
             WHERE id NOT IN (SELECT experiment_id FROM changes)",
        subject: "experiment",
        noun: "experiment",
        what: "without an entry in the audit log",
        repairable: false,
    },
];

/// What is wrong with the rows, in a file that is whole and has all its tables.
pub(super) fn examine(db: &Connection, found: &mut Surveyed) -> Result<(), Failure> {
    let known = experiments(db, found)?;
    missing_spaces(db, found)?;
    for table in [CHANGES, EXPOSURES, OVERRIDES] {
        read_rows(db, &table, &known, found)?;
    }
    all_outcomes(db, found)?;
    for (rows, table) in OF_EXPERIMENTS {
        orphans(db, rows, table, &known, found)?;
    }
    assignments::examine(db, &known, found)?;
    let readable = known.by_id.values().map(|stored| &*stored.config.name);
    let readable: HashSet<&str> = readable.collect();
    for invariant in INVARIANTS {
        let mut query = db.prepare(invariant.sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let name = lossy(row, 0);
            let finding = invariant.violated(&name, row.get(1)?);
            // A variant is listed again as any other change is made: to what could be read before.
            let is_decided =
                finding.code != StoreFault::RemovedVariant || readable.contains(&*name);
            let finding = finding.repairable(invariant.repairable && is_decided);
            found.name(invariant.nouns(), finding);
        }
    }
    Ok(())
}

fn experiments(db: &Connection, found: &mut Surveyed) -> Result<KnownExperiments, Failure> {
    let mut known = KnownExperiments {
        by_id: HashMap::new(),
        unreadable: HashSet::new(),
        slots: HashMap::new(),
        deleted: HashMap::new(),
    };
    deleted(db, &mut known, found)?;
    let mut query = db.prepare("SELECT id, space_id, slot FROM experiments")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        known.slots.insert((row.get(1)?, row.get(2)?), row.get(0)?);
        known.unreadable.insert(row.get(0)?);
    }
    let mut query = db.prepare(&experiments::select_all())?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        match experiments::read(db, row) {
            Ok(stored) => {
                for finding in contradictions(&stored.config) {
                    found.name("experiments", finding);
                }
                known.unreadable.remove(&stored.id);
                known.by_id.insert(stored.id, stored);
            }
            Err(error) => {
                let name = lossy(row, 1);
                let problem = decoding(error)?;
                let message = format!("experiment {} cannot be read: {problem}", Quoted(&name));
                let finding = StoreFinding::new(StoreFault::Unreadable, name, message);
                found.name("experiments", finding);
            }
        }
    }
    Ok(known)
}

/// The names under which the logs of deleted experiments stay.
fn deleted(
    db: &Connection,
    known: &mut KnownExperiments,
    found: &mut Surveyed,
) -> Result<(), Failure> {
    let mut query = db.prepare("SELECT id, name FROM deleted_experiments")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let name = lossy(row, 1);
        if let Err(error) = row.get::<_, String>(1) {
            let problem = decoding(error)?;
            let message = format!(
                "the name of the deleted experiment {} cannot be read: {problem}",
                Quoted(&name)
            );
            let finding = StoreFinding::new(StoreFault::Unreadable, &*name, message);
            found.name("deleted experiments", finding);
        }
        known.deleted.insert(row.get(0)?, name);
    }
    Ok(())
}

/// An experiment whose space is missing is not there for any command.
fn missing_spaces(db: &Connection, found: &mut Surveyed) -> Result<(), Failure> {
    let mut query = db.prepare(
        "SELECT e.name, e.space_id FROM experiments e
         LEFT JOIN spaces s ON s.id = e.space_id WHERE s.id IS NULL ORDER BY e.name",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let name = lossy(row, 0);
        let is_in_log = group_in_log(db, row.get(1)?)?.is_some();
        let message = format!(
            "experiment {}: its space is missing, so that no command finds it",
            Quoted(&name)
        );
        let finding = StoreFinding::new(StoreFault::MissingSpace, name, message);
        found.name("experiments", finding.repairable(is_in_log));
    }
    Ok(())
}

/// A table whose rows belong to an experiment by its number: the first two columns are a row's own name
/// and that number.
struct Table {
    rows: &'static str,
    row: &'static str,
    sql: &'static str,
    /// Reads the variant, as the commands do.
    variant: Option<fn(&Row<'_>) -> rusqlite::Result<usize>>,
    /// Reads the other columns.
    read: fn(&Row<'_>) -> rusqlite::Result<()>,
    /// Whether a row that names an unknown variant means nothing, so that a repair drops it.
    is_dropped: bool,
    /// Whether its rows stay when their experiment is deleted.
    outlives: bool,
}

const CHANGES: Table = Table {
    rows: "entries of the audit log",
    row: "entry",
    sql: "SELECT id, experiment_id, mutation, operator, changed_at, detail FROM changes ORDER BY id",
    variant: None,
    read: |row| {
        row.get_ref(2)?.as_str()?;
        row.get_ref(3)?.as_str_or_null()?;
        row.get::<_, u64>(4)?;
        changes::read_detail(row, 5).map(drop)
    },
    is_dropped: false,
    outlives: true,
};

const EXPOSURES: Table = Table {
    rows: "exposures",
    row: "exposure",
    sql: "SELECT id, experiment_id, variant, actor, request_id, exposed_at FROM exposures ORDER BY id",
    variant: Some(|row| Ok(Choice::read(row, 2)?.variant)),
    read: |row| {
        row.get_ref(3)?.as_str()?;
        row.get_ref(4)?.as_str_or_null()?;
        row.get::<_, u64>(5).map(drop)
    },
    is_dropped: false,
    outlives: false,
};

const OVERRIDES: Table = Table {
    rows: "overrides",
    row: "override",
    sql: "SELECT actor, experiment_id, variant, created_at, expires_at, reason, operator
        FROM overrides",
    variant: Some(|row| row.get(2)),
    read: |row| {
        row.get_ref(0)?.as_str()?;
        row.get::<_, u64>(3)?;
        row.get::<_, Option<u64>>(4)?;
        row.get_ref(5)?.as_str_or_null()?;
        row.get_ref(6)?.as_str_or_null()?;
        Ok(())
    },
    is_dropped: true,
    outlives: false,
};

fn read_rows(
    db: &Connection,
    table: &Table,
    known: &KnownExperiments,
    found: &mut Surveyed,
) -> Result<(), Failure> {
    let mut orphans = Orphans::default();
    let mut query = db.prepare(table.sql)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(1)?;
        let stored = known.by_id.get(&id);
        let is_deleted = table.outlives && known.deleted.contains_key(&id);
        if stored.is_none() && !known.unreadable.contains(&id) && !is_deleted {
            orphans.count(format!("number {id}"));
        }
        let read = (table.read)(row);
        let name = || format!("{} {}", table.row, Quoted(&lossy(row, 0)));
        report(table.rows, name, known.name(id), read, found)?;
        let (Some(stored), Some(variant)) = (stored, table.variant) else {
            continue;
        };
        unknown_variant(
            table.rows,
            name,
            stored,
            variant(row),
            found,
            table.is_dropped,
        );
    }
    orphans.report(table.rows, found);
    Ok(())
}

/// Tables of which only those rows are looked at here that belong to no experiment.
const OF_EXPERIMENTS: [(&str, &str); 3] = [
    ("variants", "variants"),
    ("weight periods", "weight_periods"),
    ("counts", "assignment_counts"),
];

fn orphans(
    db: &Connection,
    rows_name: &'static str,
    table: &str,
    known: &KnownExperiments,
    found: &mut Surveyed,
) -> Result<(), Failure> {
    let mut orphans = Orphans::default();
    let mut query = db.prepare(&format!("SELECT DISTINCT experiment_id FROM {table}"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if !known.by_id.contains_key(&id) && !known.unreadable.contains(&id) {
            orphans.count(format!("number {id}"));
        }
    }
    orphans.report(rows_name, found);
    Ok(())
}

/// Outcomes belong to no experiment; their metric must be known.
fn all_outcomes(db: &Connection, found: &mut Surveyed) -> Result<(), Failure> {
    let mut query = db.prepare(
        "SELECT o.id, m.name, o.actor, o.value, o.happened_at, o.outcome_id
         FROM outcomes o LEFT JOIN metrics m ON m.id = o.metric_id ORDER BY o.id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let Err(error) = outcome(row) else { continue };
        let problem = decoding(error)?;
        let metric = lossy(row, 1);
        let message = format!(
            "outcome {} of metric {} cannot be read: {problem}",
            lossy(row, 0),
            Quoted(&metric)
        );
        let finding = StoreFinding::new(StoreFault::Unreadable, metric, message);
        found.name("outcomes", finding);
    }
    Ok(())
}

/// Reads one as a scan does.
fn outcome(row: &Row<'_>) -> rusqlite::Result<()> {
    row.get_ref(1)?.as_str()?;
    row.get_ref(2)?.as_str()?;
    outcomes::value(row, 3)?;
    row.get::<_, u64>(4)?;
    row.get_ref(5)?.as_str_or_null()?;
    Ok(())
}
