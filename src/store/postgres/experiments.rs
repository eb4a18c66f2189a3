//! Experiments, and an actor's situation in one: domain types to rows and back.

use tokio_postgres::Row;

use super::connection::Connection;
use super::failure::Failure;
use super::values::arrays;
use super::version::schema_version;
use crate::assignment::Situation;
use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::error::{ConfigProblem, ExperimentError, ExperimentStoreError};
use crate::experiment::{
    Assignment, ExperimentConfig, ExperimentState, Override, VariantConfig, VariantValues,
};
use crate::location::StoreLocation;
use crate::metric::AnalysisConfig;
use crate::store::transfer::seconds;

/// The columns of an experiment, as [`stored`] reads them; an actor's situation begins with them, too.
macro_rules! columns {
    () => {
        "e.name, e.description, e.state::text, e.variants::text, e.winner, e.exclusion_group, \
         e.bucketing, floor(extract(epoch FROM e.updated_at))::bigint, e.exp_version, \
         e.salt, e.coverage, e.analysis::text"
    };
}
/// What `functions.sql` knows of them: the same, their types, and which decide how actors are assigned and are
/// in `exp_version`. Whoever adds one adds it to all three, at the same place.
pub(super) const CONFIGURATION: &str = columns!();
pub(super) const TYPED_CONFIGURATION: &str = "name text, description text, state text, \
    variants text, winner text, exclusion_group text, \
    bucketing text, updated_at bigint, version bigint, salt text, coverage integer, \
    analysis text";
/// As text, because of a `jsonb` Postgres's hash is the same for many lists of nine variants and more.
pub(super) const DECIDING: &str =
    "state, variants::text, winner, exclusion_group, bucketing, salt, coverage";
/// Where the columns that follow them begin.
pub(super) const FOLLOWING: usize = 12;

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
/// All that decides an actor's assignment, as [`situation`] reads it.
pub(super) const SITUATION: &str = concat!(
    "SELECT * FROM exp_situation_",
    schema_version!(),
    "($1, $2)"
);
const PINNED: usize = FOLLOWING;
const STORED: usize = FOLLOWING + 1;
pub(super) const IS_OVERRIDE: usize = FOLLOWING + 2;
const STORED_AT: usize = FOLLOWING + 3;
const SIBLING: usize = FOLLOWING + 4;

/// The same, and in the same round trip the exposure of the common cases: the experiment runs, and an
/// assignment is there that nothing has been pinned over. Whatever else there is the rules decide
/// first. The last column is the variant whose exposure was kept; the others may be older than that.
pub(super) const SITUATION_AND_EXPOSURE: &str = concat!(
    "WITH found AS MATERIALIZED (SELECT * FROM exp_situation_",
    schema_version!(),
    "($1, $2))
     SELECT found.*, CASE WHEN state = 'running'
         AND (pinned IS NULL AND assigned IS NOT NULL OR is_override AND pinned = assigned)
         THEN exp_show_again_",
    schema_version!(),
    "($1, $2, pinned IS NOT NULL, is_override, $3,
             to_timestamp($4::bigint)) END
     FROM found"
);
pub(super) const SHOWN_AGAIN: usize = FOLLOWING + 5;

/// A whole assignment, and if that can't decide it, what does.
pub(super) const ASSIGN: &str = concat!(
    "SELECT * FROM exp_assign_",
    schema_version!(),
    "($1, $2, $3, $4, to_timestamp($5::bigint), $6, $7)"
);
pub(super) const ASSIGNED: usize = FOLLOWING + 5;
pub(super) const IS_NEW: usize = FOLLOWING + 6;
pub(super) const IS_PINNED: usize = FOLLOWING + 7;

/// What the rules decided, if all that they saw is still so.
pub(super) const STORE_ASSIGNMENT: &str = concat!(
    "SELECT exp_store_assignment_",
    schema_version!(),
    "($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9::bigint), $10, $11, $12)"
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
    let state = ExperimentState::ALL
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| unknown("state", state))?;
    let bucketing = Bucketing::ALL
        .into_iter()
        .find(|known| known.as_str() == bucketing)
        .ok_or_else(|| unknown("bucketing", bucketing))?;
    let coverage: i32 = row.try_get(10)?;
    let coverage = u64::try_from(coverage)
        .ok()
        .and_then(Coverage::of_10000)
        .ok_or_else(|| unknown("coverage", &coverage.to_string()))?;
    let analysis: Option<&str> = row.try_get(11)?;
    let analysis = match analysis.map(serde_json::from_str).transpose() {
        Ok(analysis) => analysis.unwrap_or_default(),
        Err(error) => {
            let found = format!("experiment {name:?} has an analysis that cannot be read: {error}");
            return Err(damaged(store, found).into());
        }
    };
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
            enrolling: true,
            values: VariantValues::default(),
            analysis,
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
    let pinned: Option<String> = row.try_get(PINNED)?;
    found.pinned = pinned.map(|variant| Override {
        experiment: experiment.to_owned(),
        actor: actor.to_owned(),
        variant,
        created_at_secs: 0,
        expires_at_secs: None,
        reason: None,
        operator: None,
    });
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
            exclusion_group, bucketing, salt, coverage, analysis, created_at, updated_at)
         VALUES ($1, $2, $3::text::autumn_experiment_state, $4::text::jsonb, $5, $6, $7, $9, $10,
            $11::text::jsonb,
            coalesce(to_timestamp($8::bigint), statement_timestamp()),
            coalesce(to_timestamp($8::bigint), statement_timestamp()))"
    } else {
        "UPDATE autumn_experiments SET description = $2,
            state = $3::text::autumn_experiment_state,
            variants = coalesce($4::text::jsonb, variants), winner = $5,
            exclusion_group = $6, bucketing = $7, salt = $9, coverage = $10,
            analysis = $11::text::jsonb,
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
            &config.salt,
            &config.coverage.parts(),
            &analysis(config),
        ],
    )?;
    if written == 0 {
        return Err(in_use(db, &config.name, variants.as_deref())?.into());
    }
    Ok(())
}

/// How it is analysed, as it is stored; `None` where nothing is set.
fn analysis(config: &ExperimentConfig) -> Option<String> {
    let is_set = config.analysis != AnalysisConfig::default();
    is_set.then(|| serde_json::to_string(&config.analysis).unwrap_or_default())
}

const APPEND: &str = "INSERT INTO autumn_experiments (name, description, state, variants, winner,
        exclusion_group, bucketing, created_at, updated_at, salt, coverage, analysis, weight_period)
     SELECT name, description, state::autumn_experiment_state, variants::jsonb, winner,
        exclusion_group, bucketing, to_timestamp(created_at), to_timestamp(updated_at),
        salt, coverage, analysis::jsonb, weight_period
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::integer[], $12::text[],
        $13::integer[])
     WITH ORDINALITY AS r (name, description, state, variants, winner, exclusion_group,
        bucketing, created_at, updated_at, salt, coverage, analysis, weight_period, place)
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
            |brought| brought.config.state.as_str(),
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
        },
        None => ExperimentError::ChangedMeanwhile(experiment),
    })
}
