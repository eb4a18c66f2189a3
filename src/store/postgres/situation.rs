//! What decides an actor's assignment in an experiment: the questions that are asked for it, and the answer.
//! The functions behind them are in `functions.sql`.

use tokio_postgres::Row;

use super::experiments::{self, FOLLOWING, Stored, unsigned};
use super::failure::Failure;
use super::records;
use super::version::schema_version;
use crate::assignment::Situation;
use crate::experiment::Assignment;

/// All that decides an actor's assignment at a time, as [`read`] reads it.
pub(super) const SITUATION: &str = concat!(
    "SELECT * FROM exp_situation_",
    schema_version!(),
    "($1, $2, to_timestamp($3::bigint))"
);
/// The override, in five columns.
const PINNED: usize = FOLLOWING;
const STORED: usize = FOLLOWING + 5;
pub(super) const IS_OVERRIDE: usize = FOLLOWING + 6;
const STORED_AT: usize = FOLLOWING + 7;
const SIBLING: usize = FOLLOWING + 8;

/// The same, and in the same round trip the exposure of the common cases: the experiment runs, and an
/// assignment is there that counts and that nothing has been pinned over. Whatever else there is the rules decide
/// first. The last column is the variant whose exposure was kept; the others may be older than that.
pub(super) const SITUATION_AND_EXPOSURE: &str = concat!(
    "WITH found AS MATERIALIZED (
         SELECT *, pinned IS NOT NULL AND (pinned_until > $4) IS NOT FALSE AS holds
         FROM exp_situation_",
    schema_version!(),
    "($1, $2, to_timestamp($4::bigint)))
     SELECT found.*, CASE WHEN state = 'running' AND CASE WHEN holds THEN is_override AND pinned = assigned
             WHEN pinned IS NULL THEN assigned IS NOT NULL ELSE NOT is_override END
         THEN exp_show_again_",
    schema_version!(),
    "($1, $2, version, holds, is_override, $3, to_timestamp($4::bigint)) END
     FROM found"
);
pub(super) const SHOWN_AGAIN: usize = FOLLOWING + 10;

/// A whole assignment, and if that can't decide it, what does.
pub(super) const ASSIGN: &str = concat!(
    "SELECT * FROM exp_assign_",
    schema_version!(),
    "($1, $2, $3, $4, to_timestamp($5::bigint), $6, $7)"
);
pub(super) const ASSIGNED: usize = FOLLOWING + 9;
pub(super) const IS_NEW: usize = FOLLOWING + 10;
pub(super) const IS_PINNED: usize = FOLLOWING + 11;

/// What the rules decided, if all that they saw is still so.
pub(super) const STORE_ASSIGNMENT: &str = concat!(
    "SELECT exp_store_assignment_",
    schema_version!(),
    "($1, $2, $3, $4, $5, $6, $7, $8, $9, to_timestamp($10::bigint), $11, $12, $13)"
);

/// What was found of an actor at that time, and the experiment's `exp_version`.
pub(super) fn read(
    store: &str,
    row: Option<&Row>,
    experiment: &str,
    actor: &str,
    at: i64,
) -> Result<(Situation, i64), Failure> {
    let mut found = Situation::unknown(experiment, actor);
    found.at_secs = unsigned(at);
    // Of an outer join the row may be empty.
    let name = row
        .map(|row| row.try_get::<_, Option<&str>>(0))
        .transpose()?;
    let (Some(row), Some(Some(_))) = (row, name) else {
        return Ok((found, 0));
    };
    let Stored {
        config, version, ..
    } = experiments::stored(store, row)?;
    found.config = Some(config);
    if row.try_get::<_, Option<&str>>(PINNED)?.is_some() {
        found.pinned = Some(records::pinned(row, PINNED, experiment, actor)?);
    }
    if let Some(variant) = row.try_get(STORED)? {
        let assigned_at: i64 = row.try_get(STORED_AT)?;
        found.assignment = Some(Assignment {
            experiment: experiment.to_owned(),
            actor: actor.to_owned(),
            variant,
            is_override: row.try_get(IS_OVERRIDE)?,
            assigned_at_secs: unsigned(assigned_at),
        });
    }
    found.sibling = row.try_get(SIBLING)?;
    Ok((found, version))
}
