//! The periods of an experiment's weights, and how many assignments were made in each. Triggers keep both;
//! `functions.sql` says how.

use tokio_postgres::Row;

use super::connection::Connection;
use super::experiments::{PERIODS_BEGAN_AT, PERIODS_VARIANTS, is_storable, unsigned};
use super::failure::Failure;
use crate::experiment::{VariantConfig, VariantCount, WeightPeriod};
use crate::store::transfer::{PeriodRecord, seconds};

/// The periods of an experiment in order, each with its counts, all in one view.
const PERIODS: &str =
    "SELECT p.period, floor(extract(epoch FROM p.began_at))::bigint, p.variants::text,
        c.variant, c.is_override, c.assignments
     FROM autumn_experiments e
     JOIN exp_weight_periods p ON p.experiment = e.name
     LEFT JOIN (
         SELECT weight_period, variant, is_override, sum(assignments)::bigint AS assignments
         FROM exp_assignment_counts WHERE experiment = $1
         GROUP BY weight_period, variant, is_override
     ) c ON c.weight_period = p.period
     WHERE e.name = $1 ORDER BY p.period";

pub(super) fn of(db: &mut Connection, experiment: &str) -> Result<Vec<WeightPeriod>, Failure> {
    let mut periods: Vec<WeightPeriod> = Vec::new();
    if !is_storable(experiment) {
        return Ok(periods);
    }
    for row in db.rows(PERIODS, &[&experiment])? {
        let number = u32::try_from(row.try_get::<_, i32>(0)?).unwrap_or(0);
        if periods.last().is_none_or(|last| last.period != number) {
            let variants = variants(row.try_get(2)?);
            periods.push(WeightPeriod {
                period: number,
                from_secs: unsigned(row.try_get(1)?),
                counts: none_of(&variants),
                variants,
            });
        }
        if let Some(period) = periods.last_mut() {
            add(&mut period.counts, &row, 3)?;
        }
    }
    Ok(periods)
}

/// How many assignments each of these variants has, whatever the period.
pub(super) fn totals(
    db: &mut Connection,
    experiment: &str,
    variants: &[VariantConfig],
) -> Result<Vec<VariantCount>, Failure> {
    let mut counts = none_of(variants);
    let rows = db.rows(
        "SELECT variant, is_override, sum(assignments)::bigint FROM exp_assignment_counts
         WHERE experiment = $1 GROUP BY variant, is_override",
        &[&experiment],
    )?;
    for row in rows {
        add(&mut counts, &row, 0)?;
    }
    Ok(counts)
}

fn none_of(variants: &[VariantConfig]) -> Vec<VariantCount> {
    let none = |variant: &VariantConfig| VariantCount {
        variant: variant.name.clone(),
        assigned: 0,
        overridden: 0,
    };
    variants.iter().map(none).collect()
}

/// Adds a number of assignments; variant, kind and number begin at this column, and are empty if there are none.
fn add(counts: &mut [VariantCount], row: &Row, at: usize) -> Result<(), Failure> {
    let variant: Option<&str> = row.try_get(at)?;
    let Some(counted) = counts
        .iter_mut()
        .find(|count| variant == Some(&*count.variant))
    else {
        return Ok(());
    };
    let side = if row.try_get(at + 1)? {
        &mut counted.overridden
    } else {
        &mut counted.assigned
    };
    *side += unsigned(row.try_get(at + 2)?);
    Ok(())
}

/// A list that can't be read is to both programs one without variants.
fn variants(stored: &str) -> Vec<VariantConfig> {
    serde_json::from_str(stored).unwrap_or_default()
}

/// The periods of a row of [`ALL_WITH_PERIODS`](super::experiments::ALL_WITH_PERIODS).
pub(super) fn records(row: &Row) -> Result<Vec<PeriodRecord>, Failure> {
    let began_at: Vec<i64> = row.try_get(PERIODS_BEGAN_AT)?;
    let lists: Vec<&str> = row.try_get(PERIODS_VARIANTS)?;
    let periods = began_at.into_iter().zip(lists);
    let record = |(began_at, list)| PeriodRecord {
        from_secs: unsigned(began_at),
        variants: variants(list),
    };
    Ok(periods.map(record).collect())
}

/// Writes the periods of an experiment that a copy brings.
pub(super) fn append(
    db: &mut Connection,
    experiment: &str,
    periods: &[PeriodRecord],
) -> Result<(), Failure> {
    let json = |period: &PeriodRecord| serde_json::to_string(&period.variants).unwrap_or_default();
    let began_at: Vec<i64> = periods
        .iter()
        .map(|period| seconds(period.from_secs))
        .collect();
    let variants: Vec<String> = periods.iter().map(json).collect();
    db.execute(
        "INSERT INTO exp_weight_periods (experiment, period, began_at, variants)
         SELECT $1, place - 1, to_timestamp(began_at), variants::jsonb
         FROM unnest($2::bigint[], $3::text[]) WITH ORDINALITY AS r (began_at, variants, place)",
        &[&experiment, &began_at, &variants],
    )?;
    Ok(())
}
