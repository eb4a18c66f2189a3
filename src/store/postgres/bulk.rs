//! Assigning many actors: the rules of one, in few large steps.
//!
//! New assignments go in by `COPY`. Where somebody else has taken an actor meanwhile it fails on the
//! key, and from there on the actors are locked, a batch at a time. So are those of a group from the
//! start, as no key keeps siblings apart. So many locks fit into a server's memory only in small
//! batches.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;

use foldhash::fast::FixedState;
use postgres::Client;

use super::PgExperimentStore;
use super::experiments::{self, ONE, SHARE_GATE};
use super::failure::{self, Failure};
use super::mutation;
use super::pool::Connection;
use crate::bulk::{Answers, AssignManyRequest, Keep};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::ExperimentConfig;
use crate::rules::assignment::{self, AssignmentFacts, AssignmentReason};
use crate::store::Assigned;
use crate::validation::validate_actor;

/// Actors in one transaction.
const BATCH: usize = 50_000;
/// The same where each is locked: a server has room for 6400 locks unless it is told otherwise.
const LOCKED_BATCH: usize = 1_000;

/// What is stored of an actor.
#[derive(Default)]
pub(super) struct Found {
    pinned: Option<String>,
    stored: Option<(String, bool)>,
    in_sibling: bool,
}

impl AssignmentFacts for Found {
    fn override_variant(&self) -> Result<Option<Cow<'_, str>>, ExperimentStoreError> {
        Ok(self.pinned.as_deref().map(Cow::Borrowed))
    }

    fn assignment(&self) -> Result<Option<(Cow<'_, str>, bool)>, ExperimentStoreError> {
        let stored = self.stored.as_ref();
        Ok(stored.map(|(variant, is_override)| (Cow::Borrowed(&**variant), *is_override)))
    }

    fn assigned_in_sibling(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.in_sibling)
    }
}

type ByActor<T> = HashMap<String, T, FixedState>;
type Settled = Vec<Result<Assigned, ExperimentError>>;

impl PgExperimentStore {
    pub(super) fn assign_in_bulk(
        &self,
        request: &AssignManyRequest<'_>,
    ) -> Result<Answers, ExperimentError> {
        for actor in request.actors {
            validate_actor(request.experiment, actor)?;
        }
        let writes = request.keep != Keep::Nothing;
        let mut answers = Answers::default();
        let mut rest = request.actors;
        // Once somebody else was met who takes the same actors, each of them is locked.
        let mut was_met = false;
        while !rest.is_empty() {
            let settled = if writes {
                self.write("store the assignments", |db| {
                    let settled = self.batch(db, request, rest, was_met);
                    was_met |= matches!(&settled, Err(Failure::Postgres(error))
                        if failure::is_conflict(error));
                    settled
                })
            } else {
                self.read("read the assignments", |db| {
                    self.batch(db, request, rest, false)
                })
            }?;
            rest = &rest[settled.len()..];
            for answer in settled {
                answers.push(answer)?;
            }
        }
        Ok(answers)
    }

    /// Settles as many of the actors as one transaction should.
    fn batch(
        &self,
        db: &mut Connection,
        request: &AssignManyRequest<'_>,
        actors: &[&str],
        was_met: bool,
    ) -> Result<Settled, Failure> {
        let name = request.experiment;
        let load = |db: &mut Connection, sql| {
            let stored = experiments::load(self.address(), db, sql, name)?;
            let stored = stored.ok_or_else(|| ExperimentError::NotFound(name.to_owned()))?;
            Ok::<_, Failure>(stored.config)
        };
        let mut config = load(db, ONE)?;
        let is_locked =
            (config.exclusion_group.is_some() || was_met) && request.keep != Keep::Nothing;
        let size = if is_locked { LOCKED_BATCH } else { BATCH };
        let actors = &actors[..actors.len().min(size)];
        if request.keep != Keep::Nothing {
            // Everybody locks in this order: actors, then experiments. Without the locks, an
            // experiment that has entered a group meanwhile would go unnoticed.
            if is_locked {
                mutation::lock_actors(db, actors)?;
            }
            db.row(SHARE_GATE, &[&name])?;
            let locked = load(db, ONE)?;
            if locked.exclusion_group != config.exclusion_group {
                return Err(ExperimentError::ChangedMeanwhile(name.to_owned()).into());
            }
            config = locked;
        }
        let found = find(db, &config, actors)?;
        let settled = settle(request, &config, actors, &found)?;
        if request.keep != Keep::Nothing {
            self.keep(db, request, actors, &settled)?;
        }
        Ok(settled)
    }

    fn keep(
        &self,
        db: &mut Connection,
        request: &AssignManyRequest<'_>,
        actors: &[&str],
        settled: &Settled,
    ) -> Result<(), Failure> {
        let now = self.now();
        let answered = || {
            let pairs = actors.iter().zip(settled);
            pairs.filter_map(|(actor, answer)| Some((*actor, answer.as_ref().ok()?)))
        };
        let of = |reason| answered().filter(move |(_, assigned)| assigned.reason == reason);

        let pinned: Vec<(&str, &Assigned)> = of(AssignmentReason::Override).collect();
        if !pinned.is_empty() {
            let names: Vec<&str> = pinned.iter().map(|(actor, _)| *actor).collect();
            let variants: Vec<&str> = pinned.iter().map(|(_, a)| &*a.variant).collect();
            db.execute(
                "INSERT INTO autumn_experiment_assignments
                    (experiment, actor, variant, is_override, assigned_at)
                 SELECT DISTINCT ON (actor) $1, actor, variant, true, to_timestamp($4::bigint)
                 FROM unnest($2::text[], $3::text[]) AS pinned (actor, variant) ORDER BY actor
                 ON CONFLICT (experiment, actor) DO UPDATE
                 SET variant = excluded.variant, is_override = true,
                     assigned_at = excluded.assigned_at
                 WHERE (autumn_experiment_assignments.variant,
                        autumn_experiment_assignments.is_override)
                     IS DISTINCT FROM (excluded.variant, true)",
                &[&request.experiment, &names, &variants, &now],
            )?;
        }

        // In the order of the key, so that two who take the same actors meet at the first.
        let mut assigned: Vec<(&str, &Assigned)> = of(AssignmentReason::Assigned).collect();
        assigned.sort_unstable_by_key(|(actor, _)| *actor);
        let at = timestamp(db, now)?;
        if !assigned.is_empty() {
            let into = "COPY autumn_experiment_assignments
                (experiment, actor, variant, assigned_at) FROM STDIN";
            let rows = assigned.iter().map(|(actor, assigned)| (*actor, *assigned));
            copy(&mut db.client, into, rows, |line, actor, assigned| {
                field(line, request.experiment, b'\t');
                field(line, actor, b'\t');
                field(line, &assigned.variant, b'\t');
                field(line, &at, b'\n');
            })?;
        }
        if request.keep == Keep::AssignmentsAndExposures {
            let into = "COPY exp_exposures
                (experiment, variant, actor, is_override, exposed_at) FROM STDIN";
            let shown = answered().filter(|(_, assigned)| assigned.is_exposure());
            copy(&mut db.client, into, shown, |line, actor, assigned| {
                field(line, request.experiment, b'\t');
                field(line, &assigned.variant, b'\t');
                field(line, actor, b'\t');
                field(line, if assigned.is_override() { "t" } else { "f" }, b'\t');
                field(line, &at, b'\n');
            })?;
        }
        Ok(())
    }
}

/// The time as `COPY` reads it.
fn timestamp(db: &mut Connection, secs: i64) -> Result<String, Failure> {
    let row = db.row("SELECT to_timestamp($1::bigint)::text", &[&secs])?;
    Ok(row.map_or(Ok(String::new()), |row| row.try_get(0))?)
}

fn copy<'a>(
    client: &mut Client,
    into: &str,
    rows: impl Iterator<Item = (&'a str, &'a Assigned)>,
    mut write: impl FnMut(&mut Vec<u8>, &str, &Assigned),
) -> Result<(), Failure> {
    const CHUNK: usize = 1 << 16;
    let mut writer = client.copy_in(into)?;
    let mut buffer = Vec::with_capacity(CHUNK + 1024);
    // The writer only fails where the connection does, and `finish` tells how.
    for (actor, assigned) in rows {
        write(&mut buffer, actor, assigned);
        if buffer.len() >= CHUNK {
            if writer.write_all(&buffer).is_err() {
                break;
            }
            buffer.clear();
        }
    }
    let _ = writer.write_all(&buffer);
    writer.finish()?;
    Ok(())
}

/// A field in `COPY`'s text format.
fn field(line: &mut Vec<u8>, text: &str, end: u8) {
    for &byte in text.as_bytes() {
        let escaped = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            _ => {
                line.push(byte);
                continue;
            }
        };
        line.extend([b'\\', escaped]);
    }
    line.push(end);
}

/// What is stored of these actors; who has nothing is not in it.
fn find(
    db: &mut Connection,
    config: &ExperimentConfig,
    actors: &[&str],
) -> Result<ByActor<Found>, Failure> {
    let mut found = ByActor::<Found>::default();
    let any = db.row(
        "SELECT EXISTS (SELECT FROM autumn_experiment_overrides WHERE experiment = $1),
                EXISTS (SELECT FROM autumn_experiment_assignments WHERE experiment = $1)",
        &[&config.name],
    )?;
    let any = |column| any.as_ref().map_or(Ok(false), |row| row.try_get(column));
    // One search of an index for each actor: what the server supposes of a table that has only just
    // been filled would have it read all of it, with every batch.
    if any(0)? {
        let rows = db.rows(
            "SELECT wanted.actor, o.variant FROM unnest($2::text[]) AS wanted (actor)
             CROSS JOIN LATERAL (
                 SELECT variant FROM autumn_experiment_overrides
                 WHERE experiment = $1 AND actor = wanted.actor OFFSET 0
             ) o",
            &[&config.name, &actors],
        )?;
        for row in rows {
            found.entry(row.try_get(0)?).or_default().pinned = Some(row.try_get(1)?);
        }
    }
    if any(1)? {
        let rows = db.rows(
            "SELECT wanted.actor, a.variant, a.is_override FROM unnest($2::text[]) AS wanted (actor)
             CROSS JOIN LATERAL (
                 SELECT variant, is_override FROM autumn_experiment_assignments
                 WHERE experiment = $1 AND actor = wanted.actor OFFSET 0
             ) a",
            &[&config.name, &actors],
        )?;
        for row in rows {
            let stored = (row.try_get(1)?, row.try_get(2)?);
            found.entry(row.try_get(0)?).or_default().stored = Some(stored);
        }
    }
    if let Some(group) = &config.exclusion_group {
        let siblings = db.rows(
            "SELECT e.name FROM autumn_experiments e WHERE e.exclusion_group = $1 AND e.name <> $2
                AND EXISTS (SELECT FROM autumn_experiment_assignments WHERE experiment = e.name)",
            &[group, &config.name],
        )?;
        for sibling in siblings {
            let sibling: String = sibling.try_get(0)?;
            let rows = db.rows(
                "SELECT wanted.actor FROM unnest($2::text[]) AS wanted (actor)
                 CROSS JOIN LATERAL (
                     SELECT FROM autumn_experiment_assignments
                     WHERE experiment = $1 AND actor = wanted.actor OFFSET 0
                 ) a",
                &[&sibling, &actors],
            )?;
            for row in rows {
                found.entry(row.try_get(0)?).or_default().in_sibling = true;
            }
        }
    }
    Ok(found)
}

fn settle(
    request: &AssignManyRequest<'_>,
    config: &ExperimentConfig,
    actors: &[&str],
    found: &ByActor<Found>,
) -> Result<Settled, Failure> {
    let allocation = config.allocation();
    let nothing = Found::default();
    let mut first: HashMap<&str, usize, FixedState> = HashMap::default();
    let mut settled = Settled::with_capacity(actors.len());
    for (index, &actor) in actors.iter().enumerate() {
        let facts = found.get(actor).unwrap_or(&nothing);
        let subject = Some((config, &allocation));
        let mut answer =
            assignment::decide(request.experiment, actor, subject, facts).map(Assigned::from);
        if request.keep != Keep::Nothing && first.insert(actor, index).is_some() {
            // Who comes again has what was stored the first time.
            if let Ok(assigned) = &mut answer
                && assigned.reason == AssignmentReason::Assigned
            {
                assigned.reason = AssignmentReason::Sticky;
            }
        }
        // What concerns everybody is no answer to one.
        if let Err(refusal) = answer {
            answer = match refusal {
                ExperimentError::ExcludedByGroup(..) | ExperimentError::NoVariant(_) => {
                    Err(refusal)
                }
                other => return Err(other.into()),
            };
        }
        settled.push(answer);
    }
    Ok(settled)
}
