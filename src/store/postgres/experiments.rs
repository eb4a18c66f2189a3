//! Experiments: domain types to rows and back.

use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::connection::Connection;
use super::failure::Failure;
use super::values::arrays;
use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::error::{ConfigProblem, ExperimentError, ExperimentStoreError};
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig};
use crate::location::StoreLocation;
use crate::metric::AnalysisConfig;
use crate::store::transfer::seconds;

/// The columns of an experiment, as [`stored`] reads them; an actor's situation begins with them, too.
macro_rules! columns {
    () => {
        "e.name, e.description, \
         CASE WHEN e.paused AND e.state = 'draft' THEN 'paused' ELSE e.state::text END, \
         e.variants::text, e.winner, e.exclusion_group, \
         e.bucketing, floor(extract(epoch FROM e.updated_at))::bigint, e.exp_version, \
         e.salt, e.coverage, e.analysis::text, e.enrolling, e.variant_values"
    };
}
/// What `functions.sql` knows of them: the same, their types, and which decide how actors are assigned and are
/// in `exp_version`. Whoever adds one adds it to all three, at the same place.
pub(super) const CONFIGURATION: &str = columns!();
pub(super) const TYPED_CONFIGURATION: &str = "name text, description text, state text, \
    variants text, winner text, exclusion_group text, \
    bucketing text, updated_at bigint, version bigint, salt text, coverage integer, \
    analysis text, enrolling boolean, variant_values text";
/// As text, because of a `jsonb` Postgres's hash is the same for many lists of nine variants and more.
pub(super) const DECIDING: &str = "state, paused, variants::text, winner, exclusion_group, bucketing, salt, coverage, enrolling, variant_values";
/// Where the columns that follow them begin.
pub(super) const FOLLOWING: usize = 14;

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
/// The same, each with the time of its creation and the periods of its weights.
pub(super) const ALL_WITH_PERIODS: &str = concat!(
    "SELECT ",
    columns!(),
    ", floor(extract(epoch FROM e.created_at))::bigint, \
       ARRAY(SELECT floor(extract(epoch FROM began_at))::bigint FROM exp_weight_periods \
         WHERE experiment = e.name ORDER BY period), \
       ARRAY(SELECT variants::text FROM exp_weight_periods \
         WHERE experiment = e.name ORDER BY period) \
     FROM autumn_experiments e ORDER BY e.name COLLATE \"C\""
);
pub(super) const CREATED_AT: usize = FOLLOWING;
pub(super) const PERIODS_BEGAN_AT: usize = FOLLOWING + 1;
pub(super) const PERIODS_VARIANTS: usize = FOLLOWING + 2;
/// Held until the end of the transaction, also against the application and against assignments.
pub(super) const LOCKED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM autumn_experiments e WHERE e.name = $1 FOR UPDATE"
);
/// An experiment, and what has to be looked for in it: whether it has overrides, whether it has
/// assignments, which others of its group have any, and the period of its weights. The first of an order is asked for, so that an
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
             WHERE experiment = s.name ORDER BY actor LIMIT 1) IS NOT NULL), \
       e.weight_period \
     FROM autumn_experiments e WHERE e.name = $1"
);
/// An experiment as it is stored, and its `exp_version`.
pub(super) struct Stored {
    pub(super) config: ExperimentConfig,
    pub(super) version: i64,
    /// Whether its list of variants is none that either program can read. The application takes it for
    /// one without variants.
    pub(super) is_unreadable: bool,
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
pub(super) fn damaged(store: &str, found: String) -> ExperimentError {
    ExperimentStoreError::Corrupt {
        store: StoreLocation::Database(store.to_owned()),
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
    let state = ExperimentState::named(state).ok_or_else(|| unknown("state", state))?;
    let bucketing = Bucketing::ALL
        .into_iter()
        .find(|known| known.as_str() == bucketing)
        .ok_or_else(|| unknown("bucketing", bucketing))?;
    let coverage: i32 = row.try_get(10)?;
    let coverage = u64::try_from(coverage)
        .ok()
        .and_then(Coverage::of_10000)
        .ok_or_else(|| unknown("coverage", &coverage.to_string()))?;
    let unreadable = |what: &str, error: serde_json::Error| {
        let found = format!("experiment {name:?} has {what} that cannot be read: {error}");
        damaged(store, found)
    };
    let analysis = json(row.try_get(11)?).map_err(|error| unreadable("an analysis", error))?;
    let values = json(row.try_get(13)?).map_err(|error| unreadable("values", error))?;
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
            salt: row.try_get(9)?,
            coverage,
            enrolling: row.try_get(12)?,
            values,
            analysis,
            updated_at_secs: unsigned(updated_at),
            name,
        },
        version: row.try_get(8)?,
        is_unreadable,
    })
}

/// What is kept as JSON, where anything is set.
fn json<T: DeserializeOwned + Default>(stored: Option<&str>) -> serde_json::Result<T> {
    stored.map_or(Ok(T::default()), serde_json::from_str)
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

pub(super) fn all(store: &str, db: &mut Connection) -> Result<Vec<Stored>, Failure> {
    let rows = db.rows(ALL, &[])?;
    rows.iter().map(|row| stored(store, row)).collect()
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
            exclusion_group, bucketing, salt, coverage, analysis, paused, enrolling, variant_values,
            created_at, updated_at)
         VALUES ($1, $2, $3::text::autumn_experiment_state, $4::text::jsonb, $5, $6, $7, $9, $10,
            $11::text::jsonb, $12, $13, $14,
            coalesce(to_timestamp($8::bigint), statement_timestamp()),
            coalesce(to_timestamp($8::bigint), statement_timestamp()))"
    } else {
        "UPDATE autumn_experiments SET description = $2,
            state = $3::text::autumn_experiment_state,
            variants = coalesce($4::text::jsonb, variants), winner = $5,
            exclusion_group = $6, bucketing = $7, salt = $9, coverage = $10,
            analysis = $11::text::jsonb, paused = $12, enrolling = $13, variant_values = $14,
            updated_at = coalesce(to_timestamp($8::bigint), clock_timestamp())
         WHERE name = $1"
    };
    let written = db.execute(
        sql,
        &[
            &config.name,
            &config.description,
            &state(config),
            &variants,
            &config.winner,
            &config.exclusion_group,
            &config.bucketing.as_str(),
            &now,
            &config.salt,
            &config.coverage.parts(),
            &analysis(config),
            &is_paused(config),
            &config.enrolling,
            &values(config),
        ],
    )?;
    if written == 0 {
        return Err(in_use(db, &config.name, variants.as_deref())?.into());
    }
    Ok(())
}

/// The state as it is stored: to an application a paused experiment is a draft.
fn state(config: &ExperimentConfig) -> &'static str {
    match config.state {
        ExperimentState::Paused => ExperimentState::Draft.as_str(),
        other => other.as_str(),
    }
}

fn is_paused(config: &ExperimentConfig) -> bool {
    config.state == ExperimentState::Paused
}

/// What the variants stand for, as it is stored; `None` where nothing is set.
fn values(config: &ExperimentConfig) -> Option<String> {
    let is_set = !config.values.is_empty();
    is_set.then(|| serde_json::to_string(&config.values).unwrap_or_default())
}

/// How it is analysed, as it is stored; `None` where nothing is set.
fn analysis(config: &ExperimentConfig) -> Option<String> {
    let is_set = config.analysis != AnalysisConfig::default();
    is_set.then(|| serde_json::to_string(&config.analysis).unwrap_or_default())
}

const APPEND: &str = "INSERT INTO autumn_experiments (name, description, state, variants, winner,
        exclusion_group, bucketing, created_at, updated_at, salt, coverage, analysis, weight_period,
        paused, enrolling, variant_values)
     SELECT name, description, state::autumn_experiment_state, variants::jsonb, winner,
        exclusion_group, bucketing, to_timestamp(created_at), to_timestamp(updated_at),
        salt, coverage, analysis::jsonb, weight_period, paused, enrolling, variant_values
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::integer[], $12::text[],
        $13::integer[], $14::boolean[], $15::boolean[], $16::text[])
     WITH ORDINALITY AS r (name, description, state, variants, winner, exclusion_group,
        bucketing, created_at, updated_at, salt, coverage, analysis, weight_period,
        paused, enrolling, variant_values, place)
     ORDER BY place";

/// An experiment that a copy brings.
pub(super) struct Brought<'a> {
    pub(super) config: &'a ExperimentConfig,
    pub(super) created_at_secs: u64,
    /// The last of its periods of weights.
    pub(super) weight_period: i32,
}

/// Writes experiments that a copy brings.
pub(super) fn append(db: &mut Connection, experiments: &[Brought<'_>]) -> Result<(), Failure> {
    let variants = |config: &ExperimentConfig| serde_json::to_string(&config.variants);
    db.execute(
        APPEND,
        arrays!(
            experiments,
            |brought| &*brought.config.name,
            |brought| brought.config.description.as_deref(),
            |brought| state(brought.config),
            |brought| variants(brought.config).unwrap_or_default(),
            |brought| brought.config.winner.as_deref(),
            |brought| brought.config.exclusion_group.as_deref(),
            |brought| brought.config.bucketing.as_str(),
            |brought| seconds(brought.created_at_secs),
            |brought| seconds(brought.config.updated_at_secs),
            |brought| brought.config.salt.as_deref(),
            |brought| brought.config.coverage.parts(),
            |brought| analysis(brought.config),
            |brought| brought.weight_period,
            |brought| is_paused(brought.config),
            |brought| brought.config.enrolling,
            |brought| values(brought.config),
        ),
    )?;
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
            weight: None,
            others: Vec::new(),
        },
        None => ExperimentError::ChangedMeanwhile(experiment),
    })
}
