//! Every row of every table, read as the commands read it; and what the rows say of each other.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Row};

use super::super::changes;
use super::super::choice::Choice;
use super::super::experiments::{self, Stored};
use super::super::{Failure, outcomes, periods};
use super::lossy::lossy;
use super::restore::group_in_log;
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
    periods(db, &known, found)?;
    let stored = assignments(db, &known, found)?;
    counts(db, &known, stored, found)?;
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

/// The experiments that can be read, and the rows of those that can't.
struct KnownExperiments {
    by_id: HashMap<i64, Stored>,
    unreadable: HashSet<i64>,
    /// The experiments in their spaces.
    slots: HashMap<(i64, i64), i64>,
}

impl KnownExperiments {
    fn by_name(&self) -> Vec<&Stored> {
        let mut all: Vec<&Stored> = self.by_id.values().collect();
        all.sort_unstable_by_key(|stored| &*stored.config.name);
        all
    }
}

fn experiments(db: &Connection, found: &mut Surveyed) -> Result<KnownExperiments, Failure> {
    let mut known = KnownExperiments {
        by_id: HashMap::new(),
        unreadable: HashSet::new(),
        slots: HashMap::new(),
    };
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
};

const OVERRIDES: Table = Table {
    rows: "overrides",
    row: "override",
    sql: "SELECT actor, experiment_id, variant, created_at FROM overrides",
    variant: Some(|row| row.get(2)),
    read: |row| {
        row.get_ref(0)?.as_str()?;
        row.get::<_, u64>(3).map(drop)
    },
    is_dropped: true,
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
        if stored.is_none() && !known.unreadable.contains(&id) {
            orphans.count(format!("number {id}"));
        }
        let read = (table.read)(row);
        let name = || format!("{} {}", table.row, Quoted(&lossy(row, 0)));
        report(table.rows, name, stored, read, found)?;
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

fn report(
    rows: &'static str,
    name: impl Fn() -> String,
    stored: Option<&Stored>,
    read: rusqlite::Result<()>,
    found: &mut Surveyed,
) -> Result<(), Failure> {
    let Err(error) = read else { return Ok(()) };
    let problem = decoding(error)?;
    let subject = stored.map_or("", |stored| &*stored.config.name);
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

fn unknown_variant(
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

/// Whether the periods of each experiment can be read, up to the present one.
fn periods(db: &Connection, known: &KnownExperiments, found: &mut Surveyed) -> Result<(), Failure> {
    for stored in known.by_name() {
        let problem = match periods::records(db, stored.id) {
            Ok(periods) if periods.len() == stored.weight_period as usize + 1 => continue,
            Ok(_) => "one of them is missing, or there is one too many".to_owned(),
            Err(error) => decoding(error)?,
        };
        let name = &*stored.config.name;
        let message = format!(
            "experiment {}: its weight periods cannot be read: {problem}",
            Quoted(name)
        );
        found.push(StoreFinding::new(StoreFault::Unreadable, name, message));
    }
    Ok(())
}

/// How many assignments there are: by experiment, by period, and by variant as it is encoded.
type Numbers = HashMap<(i64, i64, i64), f64>;

/// Looks at each assignment, and counts those of the experiments that can be read.
fn assignments(
    db: &Connection,
    known: &KnownExperiments,
    found: &mut Surveyed,
) -> Result<Numbers, Failure> {
    let mut numbers = Numbers::new();
    let mut orphans = Orphans::default();
    let mut query = db.prepare(
        "SELECT actor, space_id, slot, variant, assigned_after, weight_period FROM assignments",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (space, slot): (i64, i64) = (row.get(1)?, row.get(2)?);
        let id = known.slots.get(&(space, slot));
        if id.is_none() {
            orphans.count(format!("in slot {slot} of space {space}"));
        }
        let stored = id.and_then(|id| known.by_id.get(id));
        let name = || format!("the assignment of {}", Quoted(&lossy(row, 0)));
        let read = row.get_ref(0);
        let read = read.and_then(|actor| Ok(actor.as_str().map(drop)?));
        report("assignments", name, stored, read, found)?;
        let Some(stored) = stored else { continue };
        let variant = Choice::read(row, 3).map(|choice| choice.variant);
        unknown_variant("assignments", name, stored, variant, found, false);
        let period: i64 = row.get(5)?;
        if !(0..=i64::from(stored.weight_period)).contains(&period) {
            let subject = &*stored.config.name;
            let message = format!(
                "experiment {}: {} is of a weight period that it never had",
                Quoted(subject),
                name()
            );
            let finding = StoreFinding::new(StoreFault::UnknownPeriod, subject, message);
            found.name("assignments", finding);
        }
        *numbers.entry((stored.id, period, row.get(3)?)).or_default() += 1.0;
    }
    orphans.report("assignments", found);
    Ok(numbers)
}

/// Whether the counts that are kept are those of the assignments.
fn counts(
    db: &Connection,
    known: &KnownExperiments,
    mut numbers: Numbers,
    found: &mut Surveyed,
) -> Result<(), Failure> {
    let mut query = db.prepare(
        "SELECT experiment_id, weight_period, variant, assigned, overridden FROM assignment_counts",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let variant: i64 = row.get(2)?;
        for (code, column) in [(variant, 3), (!variant, 4)] {
            // In floating point, as the difference from a damaged number may be no integer.
            #[expect(
                clippy::cast_precision_loss,
                reason = "it is only told how far they are off"
            )]
            let counted = row.get::<_, i64>(column)? as f64;
            *numbers.entry((row.get(0)?, row.get(1)?, code)).or_default() -= counted;
        }
    }
    let mut off: HashMap<i64, f64> = HashMap::new();
    for ((id, ..), number) in numbers {
        *off.entry(id).or_default() += number.abs();
    }
    for stored in known.by_name() {
        let Some(off) = off.get(&stored.id).filter(|off| **off > 0.0) else {
            continue;
        };
        let name = &*stored.config.name;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a sum of absolute values; what is more than fits is as many as fit"
        )]
        let off = *off as u64;
        let noun = if off == 1 {
            "assignment"
        } else {
            "assignments"
        };
        let message = format!(
            "experiment {}: {off} {noun} more or less than it counts",
            Quoted(name)
        );
        let finding = StoreFinding::new(StoreFault::Miscounted, name, message);
        found.name("counts", finding.counting(off).repairable(true));
    }
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

/// Rows of experiments that are not there, by what is known of the experiment.
#[derive(Default)]
struct Orphans(std::collections::BTreeMap<String, u64>);

impl Orphans {
    fn count(&mut self, experiment: String) {
        *self.0.entry(experiment).or_default() += 1;
    }

    fn report(self, rows: &'static str, found: &mut Surveyed) {
        for (experiment, count) in self.0 {
            let message = format!("experiment {experiment} is not there: {count} {rows} of it");
            let finding = StoreFinding::new(StoreFault::Orphan, experiment, message);
            found.name(rows, finding.counting(count));
        }
    }
}

/// What keeps a row from being read; an error of the engine is none of the row's.
fn decoding(error: rusqlite::Error) -> Result<String, Failure> {
    match error {
        rusqlite::Error::SqliteFailure(..) => Err(error.into()),
        rusqlite::Error::FromSqlConversionFailure(_, _, cause) => Ok(cause.to_string()),
        other => Ok(other.to_string()),
    }
}
