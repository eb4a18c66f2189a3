//! Outcomes of actors.

use tokio_postgres::Row;

use super::PgExperimentStore;
use super::connection::{Connection, Values};
use super::experiments::{damaged, is_storable, unsigned};
use super::failure::Failure;
use super::pace::Pace;
use super::values::arrays;
use crate::error::ExperimentError;
use crate::number::Finite;
use crate::outcome::{Outcome, OutcomeScan, Tracked};
use crate::store::Each;
use crate::store::transfer::seconds;

/// Outcomes in one statement.
const BATCH: usize = 50_000;

const TRACK: &str = "INSERT INTO exp_outcomes (actor, metric, value, at, id)
    SELECT actor, metric, value, to_timestamp(at), id
    FROM unnest($1::text[], $2::text[], $3::double precision[], $4::bigint[], $5::text[])
        WITH ORDINALITY AS r (actor, metric, value, at, id, place)
    ORDER BY place
    ON CONFLICT (metric, id) WHERE id IS NOT NULL DO NOTHING";

/// All outcomes, or those of some metrics.
const OUTCOMES: &str = "SELECT actor, metric, value, floor(extract(epoch FROM at))::bigint, id
    FROM exp_outcomes WHERE cardinality($1::text[]) = 0 OR metric = ANY ($1) ORDER BY key";
/// All of them, as [`outcome`] reads them.
pub(super) const ALL: &str =
    "SELECT actor, metric, value, floor(extract(epoch FROM at))::bigint, id
    FROM exp_outcomes ORDER BY key";

pub(super) fn outcome(store: &str, row: &Row) -> Result<Outcome, Failure> {
    let value: f64 = row.try_get(2)?;
    let infinite = || damaged(store, format!("an outcome has the value {value}"));
    Ok(Outcome {
        actor: row.try_get(0)?,
        metric: row.try_get(1)?,
        value: Finite::new(value).ok_or_else(infinite)?,
        timestamp_secs: unsigned(row.try_get(3)?),
        id: row.try_get(4)?,
    })
}

/// Writes them in their order. Returns how many: those whose id is there already are left out.
pub(super) fn append(db: &mut Connection, outcomes: &[&Outcome]) -> Result<u64, Failure> {
    Ok(db.execute(
        TRACK,
        arrays!(
            outcomes,
            |outcome| &*outcome.actor,
            |outcome| &*outcome.metric,
            |outcome| outcome.value.get(),
            |outcome| seconds(outcome.timestamp_secs),
            |outcome| outcome.id.as_deref(),
        ),
    )?)
}

impl PgExperimentStore {
    pub(super) fn track_all(&self, outcomes: &[Outcome]) -> Result<Tracked, ExperimentError> {
        outcomes.iter().try_for_each(Outcome::validate)?;
        let outcomes: Vec<&Outcome> = outcomes.iter().collect();
        let recorded = self.write("keep outcomes", Pace::Long, |db| {
            let mut recorded = 0;
            for batch in outcomes.chunks(BATCH) {
                recorded += append(db, batch)?;
            }
            Ok(recorded)
        })?;
        Ok(Tracked {
            recorded,
            repeated: outcomes.len() as u64 - recorded,
        })
    }

    pub(super) fn scan_outcomes_of(
        &self,
        scan: &OutcomeScan<'_>,
        each: Each<'_, Outcome>,
    ) -> Result<(), ExperimentError> {
        let metrics = scan.metrics.iter().copied();
        let metrics: Vec<&str> = metrics.filter(|metric| is_storable(metric)).collect();
        if metrics.is_empty() && !scan.metrics.is_empty() {
            return Ok(());
        }
        let values: Values<'_> = &[&metrics];
        self.scan("read the outcomes", OUTCOMES, values, &mut |row| {
            Ok(each(&outcome(self.address(), row)?)?)
        })
    }
}
