//! Assignments, the periods that they belong to, and how many of each are counted.

use std::collections::HashMap;

use rusqlite::Connection;

use super::super::choice::Choice;
use super::super::{Failure, periods};
use super::lossy::lossy;
use super::rows::{KnownExperiments, Orphans, decoding, report, unknown_variant};
use crate::store::survey::{StoreFault, StoreFinding, Surveyed};
use crate::text::Quoted;

/// What is wrong with them.
pub(super) fn examine(
    db: &Connection,
    known: &KnownExperiments,
    found: &mut Surveyed,
) -> Result<(), Failure> {
    periods(db, known, found)?;
    let numbers = assignments(db, known, found)?;
    counts(db, known, numbers, found)
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
        let subject = stored.map_or("", |stored| &*stored.config.name);
        report("assignments", name, subject, read, found)?;
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
