//! Experiments, overrides, the log: domain types to rows and back.

use tokio_postgres::Row;

use super::connection::Connection;
use super::failure::Failure;
use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::error::{ConfigProblem, ExperimentError, ExperimentStoreError};
use crate::experiment::{
    Assignment, ChangeRecord, ExperimentConfig, ExperimentState, Override, VariantConfig,
};
use crate::exposure::ExposureRecord;
use crate::store::Situation;

/// The columns of an experiment, as [`stored`] reads them; `exp_situation` begins with them, too.
macro_rules! columns {
    () => {
        "e.name, e.description, e.state::text, e.variants::text, e.winner, e.exclusion_group, \
         e.bucketing, floor(extract(epoch FROM e.updated_at))::bigint, e.exp_version"
    };
}

pub(super) const ONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM autumn_experiments e WHERE e.name = $1"
);
pub(super) const ALL: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM autumn_experiments e ORDER BY e.name COLLATE \"C\""
);
/// The same, each with the time of its creation.
pub(super) const ALL_WITH_CREATION: &str = concat!(
    "SELECT ",
    columns!(),
    ", floor(extract(epoch FROM e.created_at))::bigint \
     FROM autumn_experiments e ORDER BY e.name COLLATE \"C\""
);
pub(super) const CREATED_AT: usize = 9;
/// Held until the end of the transaction, also against the application and against assignments.
pub(super) const LOCKED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM autumn_experiments e WHERE e.name = $1 FOR UPDATE"
);
/// An experiment, and what has to be looked for in it: whether it has overrides, whether it has
/// assignments, and which others of its group have any. The first of an order is asked for, so that an
/// index is used: the server would read the whole table to find that there is none.
pub(super) const WITH_WHAT_IT_HOLDS: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT true FROM autumn_experiment_overrides \
         WHERE experiment = $1 ORDER BY actor LIMIT 1) IS NOT NULL, \
       (SELECT true FROM autumn_experiment_assignments \
         WHERE experiment = $1 ORDER BY actor LIMIT 1) IS NOT NULL, \
       ARRAY(SELECT s.name FROM autumn_experiments s \
         WHERE s.exclusion_group = e.exclusion_group AND s.name <> e.name \
           AND (SELECT true FROM autumn_experiment_assignments \
             WHERE experiment = s.name ORDER BY actor LIMIT 1) IS NOT NULL) \
     FROM autumn_experiments e WHERE e.name = $1"
);
/// All that decides an actor's assignment, as [`situation`] reads it.
pub(super) const SITUATION: &str = "SELECT * FROM exp_situation($1, $2)";

/// The same, and in the same round trip the exposure of the common cases: the experiment runs, and an
/// assignment is there that nothing has been pinned over. Whatever else there is the rules decide
/// first. The last column is the variant whose exposure was kept; the others may be older than that.
pub(super) const SITUATION_AND_EXPOSURE: &str =
    "WITH found AS MATERIALIZED (SELECT * FROM exp_situation($1, $2))
     SELECT found.*, CASE WHEN state = 'running'
         AND (pinned IS NULL AND assigned IS NOT NULL OR is_override AND pinned = assigned)
         THEN exp_show_again($1, $2, pinned IS NOT NULL, is_override, $3,
             to_timestamp($4::bigint)) END
     FROM found";
pub(super) const SHOWN_AGAIN: usize = 14;

/// A whole assignment, and if that can't decide it, what does.
pub(super) const ASSIGN: &str =
    "SELECT * FROM exp_assign($1, $2, $3, $4, to_timestamp($5::bigint), $6, $7)";
pub(super) const IS_OVERRIDE: usize = 11;
pub(super) const ASSIGNED: usize = 14;
pub(super) const IS_NEW: usize = 15;
pub(super) const IS_PINNED: usize = 16;

/// An experiment as it is stored, and its `exp_version`.
pub(super) struct Stored {
    pub(super) config: ExperimentConfig,
    pub(super) version: i64,
    /// Whether its list of variants is none that either program can read. The application takes it for
    /// one without variants.
    is_unreadable: bool,
}

impl Stored {
    /// The configuration, for who must not take one that can't be read for another.
    pub(super) fn readable(self) -> Result<ExperimentConfig, ExperimentError> {
        if self.is_unreadable {
            return Err(ExperimentError::InvalidConfig {
                experiment: self.config.name,
                problem: ConfigProblem::VariantsUnreadable,
            });
        }
        Ok(self.config)
    }
}

/// The row says what can't be.
fn damaged(store: &str, found: String) -> ExperimentError {
    ExperimentStoreError::Corrupt {
        store: store.to_owned(),
        found,
    }
    .into()
}

/// A count or a time, neither of which is ever negative.
pub(super) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

pub(super) fn stored(store: &str, row: &Row) -> Result<Stored, Failure> {
    let name: String = row.try_get(0)?;
    let state: &str = row.try_get(2)?;
    let variants: &str = row.try_get(3)?;
    let bucketing: &str = row.try_get(6)?;
    let unknown = |what: &str, value: &str| {
        damaged(
            store,
            format!("experiment {name:?} has the {what} {value:?}"),
        )
    };
    let state = ExperimentState::ALL
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| unknown("state", state))?;
    let bucketing = Bucketing::ALL
        .into_iter()
        .find(|known| known.as_str() == bucketing)
        .ok_or_else(|| unknown("bucketing", bucketing))?;
    let variants = serde_json::from_str::<Vec<VariantConfig>>(variants);
    let is_unreadable = variants.is_err();
    let updated_at: i64 = row.try_get(7)?;
    Ok(Stored {
        config: ExperimentConfig {
            description: row.try_get(1)?,
            state,
            variants: variants.unwrap_or_default(),
            winner: row.try_get(4)?,
            exclusion_group: row.try_get(5)?,
            bucketing,
            salt: None,
            coverage: Coverage::FULL,
            updated_at_secs: unsigned(updated_at),
            name,
        },
        version: row.try_get(8)?,
        is_unreadable,
    })
}

/// What was found of an actor, and the experiment's `exp_version`.
pub(super) fn situation(
    store: &str,
    row: Option<&Row>,
    experiment: &str,
    actor: &str,
) -> Result<(Situation, i64), Failure> {
    let mut found = Situation::unknown(experiment, actor);
    // Of an outer join the row may be empty.
    let name = row
        .map(|row| row.try_get::<_, Option<&str>>(0))
        .transpose()?;
    let (Some(row), Some(Some(_))) = (row, name) else {
        return Ok((found, 0));
    };
    let Stored {
        config, version, ..
    } = stored(store, row)?;
    found.config = Some(config);
    found.override_variant = row.try_get(9)?;
    if let Some(variant) = row.try_get(10)? {
        let assigned_at: i64 = row.try_get(12)?;
        found.assignment = Some(Assignment {
            experiment: experiment.to_owned(),
            actor: actor.to_owned(),
            variant,
            is_override: row.try_get(11)?,
            assigned_at_secs: unsigned(assigned_at),
        });
    }
    found.sibling = row.try_get(13)?;
    Ok((found, version))
}

/// Whether Postgres can hold the text at all. What it can't is nowhere in it.
pub(super) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

pub(super) fn load(
    store: &str,
    db: &mut Connection,
    sql: &'static str,
    name: &str,
) -> Result<Option<Stored>, Failure> {
    if !is_storable(name) {
        return Ok(None);
    }
    let row = db.row(sql, &[&name])?;
    row.map(|row| stored(store, &row)).transpose()
}

pub(super) fn all(store: &str, db: &mut Connection) -> Result<Vec<ExperimentConfig>, Failure> {
    let rows = db.rows(ALL, &[])?;
    let configs = rows.iter().map(|row| Ok(stored(store, row)?.config));
    configs.collect()
}

/// Writes a configuration: a new experiment, or a new version of `current`, which is locked. Without a
/// time it is the database's.
pub(super) fn save(
    db: &mut Connection,
    current: Option<&ExperimentConfig>,
    config: &ExperimentConfig,
    now: Option<i64>,
) -> Result<(), Failure> {
    // A list that stays is not written: it may hold what this program does not know.
    let stays = current.is_some_and(|current| current.variants == config.variants);
    let variants = (!stays).then(|| serde_json::to_string(&config.variants).unwrap_or_default());
    let sql = if current.is_none() {
        "INSERT INTO autumn_experiments (name, description, state, variants, winner,
            exclusion_group, bucketing, created_at, updated_at)
         VALUES ($1, $2, $3::text::autumn_experiment_state, $4::text::jsonb, $5, $6, $7,
            coalesce(to_timestamp($8::bigint), statement_timestamp()),
            coalesce(to_timestamp($8::bigint), statement_timestamp()))"
    } else {
        "UPDATE autumn_experiments SET description = $2,
            state = $3::text::autumn_experiment_state,
            variants = coalesce($4::text::jsonb, variants), winner = $5,
            exclusion_group = $6, bucketing = $7,
            updated_at = coalesce(to_timestamp($8::bigint), clock_timestamp())
         WHERE name = $1"
    };
    let written = db.execute(
        sql,
        &[
            &config.name,
            &config.description,
            &config.state.as_str(),
            &variants,
            &config.winner,
            &config.exclusion_group,
            &config.bucketing.as_str(),
            &now,
        ],
    )?;
    if written == 0 {
        return Err(in_use(db, &config.name, variants.as_deref())?.into());
    }
    Ok(())
}

/// Why the trigger that looks for assignments of removed variants has let nothing pass: the list that
/// was there could not be read, and so what it removes was not known.
fn in_use(
    db: &mut Connection,
    name: &str,
    variants: Option<&str>,
) -> Result<ExperimentError, Failure> {
    let row = db.row(
        "SELECT min(variant) FROM autumn_experiment_assignments
         WHERE experiment = $1 AND NOT exp_has_variant($2::text::jsonb, variant)",
        &[&name, &variants],
    )?;
    let variant: Option<String> = row.map_or(Ok(None), |row| row.try_get(0))?;
    let experiment = name.to_owned();
    Ok(match variant {
        Some(variant) => ExperimentError::VariantInUse {
            experiment,
            variant,
        },
        None => ExperimentError::ChangedMeanwhile(experiment),
    })
}

/// Returns the time of the entry, which is later than that of the one before it.
pub(super) fn append_change(
    db: &mut Connection,
    change: &ChangeRecord,
    now: Option<i64>,
) -> Result<u64, Failure> {
    let detail = change.detail.as_ref();
    let detail = detail.and_then(|detail| serde_json::to_string(detail).ok());
    let row = db.row(
        "INSERT INTO autumn_experiment_changes (experiment, mutation, actor, changed_at, detail)
         VALUES ($1, $2, $3, coalesce(to_timestamp($4::bigint), clock_timestamp()),
            $5::text::jsonb)
         RETURNING floor(extract(epoch FROM changed_at))::bigint",
        &[
            &change.experiment,
            &change.mutation,
            &change.actor,
            &now,
            &detail,
        ],
    )?;
    Ok(unsigned(row.map_or(Ok(0), |row| row.try_get(0))?))
}

/// The log of an experiment, newest first.
pub(super) fn changes(
    store: &str,
    db: &mut Connection,
    name: &str,
    limit: usize,
) -> Result<Vec<ChangeRecord>, Failure> {
    if !is_storable(name) {
        return Ok(Vec::new());
    }
    // NULL is no limit.
    let limit = (limit > 0).then(|| i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = db.rows(
        "SELECT c.mutation, c.actor, floor(extract(epoch FROM c.changed_at))::bigint,
                c.detail::text
         FROM autumn_experiment_changes c
         WHERE c.experiment = $1 ORDER BY c.id DESC LIMIT $2",
        &[&name, &limit],
    )?;
    rows.iter().map(|row| change(store, name, row)).collect()
}

/// An entry of the log: its mutation, its operator, its time and its detail are the row's first
/// columns.
pub(super) fn change(store: &str, name: &str, row: &Row) -> Result<ChangeRecord, Failure> {
    let at: i64 = row.try_get(2)?;
    let detail: Option<&str> = row.try_get(3)?;
    let detail = detail.map(serde_json::from_str).transpose();
    let unreadable = |_| damaged(store, format!("a change of {name:?} has unreadable detail"));
    Ok(ChangeRecord {
        experiment: name.to_owned(),
        mutation: row.try_get(0)?,
        actor: row.try_get(1)?,
        timestamp_secs: unsigned(at),
        detail: detail.map_err(unreadable)?,
    })
}

pub(super) fn pinned(
    db: &mut Connection,
    experiment: &str,
    actor: &str,
) -> Result<Option<String>, Failure> {
    if !is_storable(experiment) || !is_storable(actor) {
        return Ok(None);
    }
    let row = db.row(
        "SELECT variant FROM autumn_experiment_overrides WHERE experiment = $1 AND actor = $2",
        &[&experiment, &actor],
    )?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// All overrides of an experiment, sorted by actor.
pub(super) fn overrides(db: &mut Connection, experiment: &str) -> Result<Vec<Override>, Failure> {
    if !is_storable(experiment) {
        return Ok(Vec::new());
    }
    let rows = db.rows(
        "SELECT actor, variant, floor(extract(epoch FROM created_at))::bigint
         FROM autumn_experiment_overrides WHERE experiment = $1 ORDER BY actor COLLATE \"C\"",
        &[&experiment],
    )?;
    let pinned = |row: &Row| {
        let at: i64 = row.try_get(2)?;
        Ok(Override {
            experiment: experiment.to_owned(),
            actor: row.try_get(0)?,
            variant: row.try_get(1)?,
            created_at_secs: unsigned(at),
        })
    };
    rows.iter().map(pinned).collect()
}

/// All exposures of an experiment, oldest first.
pub(super) fn exposures(
    db: &mut Connection,
    experiment: &str,
) -> Result<Vec<ExposureRecord>, Failure> {
    if !is_storable(experiment) {
        return Ok(Vec::new());
    }
    let rows = db.rows(
        "SELECT variant, actor, request_id, is_override,
                floor(extract(epoch FROM exposed_at))::bigint
         FROM exp_exposures WHERE experiment = $1 ORDER BY id",
        &[&experiment],
    )?;
    let exposure = |row: &Row| {
        let at: i64 = row.try_get(4)?;
        Ok(ExposureRecord {
            experiment: experiment.to_owned(),
            variant: row.try_get(0)?,
            actor: row.try_get(1)?,
            request_id: row.try_get(2)?,
            is_override: row.try_get(3)?,
            timestamp_secs: unsigned(at),
        })
    };
    rows.iter().map(exposure).collect()
}
