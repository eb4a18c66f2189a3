//! Weight periods, and how many assignments of each there are.

use rusqlite::types::Type;
use rusqlite::{Connection, params};

use super::choice::Choice;
use super::experiments::Stored;
use crate::experiment::{VariantConfig, VariantCount, WeightPeriod};
use crate::store::transfer::PeriodRecord;

/// Begins a period with these variants.
pub(super) fn begin(
    db: &Connection,
    experiment: i64,
    period: u32,
    variants: &[VariantConfig],
    at: i64,
) -> rusqlite::Result<()> {
    let variants = serde_json::to_string(variants)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    db.prepare_cached(
        "INSERT INTO weight_periods (experiment_id, period, began_at, variants)
         VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![experiment, period, at, variants])?;
    db.prepare_cached("UPDATE experiments SET weight_period = ?2 WHERE id = ?1")?
        .execute(params![experiment, period])?;
    Ok(())
}

/// The periods of an experiment, in order.
pub(super) fn records(db: &Connection, experiment: i64) -> rusqlite::Result<Vec<PeriodRecord>> {
    let mut query = db.prepare_cached(
        "SELECT began_at, variants, period FROM weight_periods
         WHERE experiment_id = ?1 ORDER BY period",
    )?;
    let records = query.query_map([experiment], |row| {
        let variants = serde_json::from_str(row.get_ref(1)?.as_str()?);
        let unreadable = |error: serde_json::Error| {
            rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error.into())
        };
        Ok(PeriodRecord {
            from_secs: row.get(0)?,
            variants: variants.map_err(unreadable)?,
        })
    })?;
    records.collect()
}

/// The periods with their counts.
pub(super) fn load(db: &Connection, experiment: &Stored) -> rusqlite::Result<Vec<WeightPeriod>> {
    let records = records(db, experiment.id)?.into_iter();
    let mut periods: Vec<WeightPeriod> = (0..)
        .zip(records)
        .map(|(period, record)| WeightPeriod {
            period,
            from_secs: record.from_secs,
            counts: record.variants.iter().map(none_of).collect(),
            variants: record.variants,
        })
        .collect();
    let mut query = db.prepare_cached(
        "SELECT weight_period, variant, assigned, overridden FROM assignment_counts
         WHERE experiment_id = ?1",
    )?;
    let mut rows = query.query([experiment.id])?;
    while let Some(row) = rows.next()? {
        let period = periods.get_mut(row.get::<_, usize>(0)?);
        let variant = experiment.variant_name(row.get(1)?)?;
        let counts = period.map(|period| &mut period.counts);
        let counts = counts.and_then(|counts| counts.iter_mut().find(|c| c.variant == variant));
        if let Some(count) = counts {
            count.assigned = row.get(2)?;
            count.overridden = row.get(3)?;
        }
    }
    Ok(periods)
}

fn none_of(variant: &VariantConfig) -> VariantCount {
    VariantCount {
        variant: variant.name.clone(),
        assigned: 0,
        overridden: 0,
    }
}

/// How many assignments each listed variant has, in all periods together.
pub(super) fn totals(db: &Connection, experiment: &Stored) -> rusqlite::Result<Vec<VariantCount>> {
    let variants = experiment.config.variants.iter();
    let mut totals: Vec<VariantCount> = variants.map(none_of).collect();
    let mut query = db.prepare_cached(
        "SELECT variant, sum(assigned), sum(overridden) FROM assignment_counts
         WHERE experiment_id = ?1 GROUP BY variant",
    )?;
    let mut rows = query.query([experiment.id])?;
    while let Some(row) = rows.next()? {
        let variant = experiment.variant_name(row.get(0)?)?;
        if let Some(total) = totals.iter_mut().find(|total| total.variant == variant) {
            total.assigned = row.get(1)?;
            total.overridden = row.get(2)?;
        }
    }
    Ok(totals)
}

/// The `idx` of each variant that has an assignment.
pub(super) fn in_use(db: &Connection, experiment: i64) -> rusqlite::Result<Vec<usize>> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT variant FROM assignment_counts
         WHERE experiment_id = ?1 AND (assigned <> 0 OR overridden <> 0)",
    )?;
    let found = query.query_map([experiment], |row| row.get(0))?;
    found.collect()
}

/// Changes the count of the assignments of one kind in a period.
pub(super) fn count(
    db: &Connection,
    experiment: i64,
    period: u32,
    choice: Choice,
    by: i64,
) -> rusqlite::Result<()> {
    let update = if choice.is_override {
        "INSERT INTO assignment_counts (experiment_id, weight_period, variant, overridden)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET overridden = overridden + excluded.overridden"
    } else {
        "INSERT INTO assignment_counts (experiment_id, weight_period, variant, assigned)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET assigned = assigned + excluded.assigned"
    };
    db.prepare_cached(update)?
        .execute(params![experiment, period, choice.variant, by])?;
    Ok(())
}
