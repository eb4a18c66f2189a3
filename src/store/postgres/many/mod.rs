//! Assigning many actors: the rules of one, in few large steps.
//!
//! New assignments go in by `COPY`. Where somebody else has taken an actor meanwhile it fails on the
//! key, and from there on the actors are locked. So are those of a group from the start, as no key
//! keeps siblings apart. So many locks fit into a server's memory only in small batches.

mod facts;
mod pipeline;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

use tokio_postgres::types::{ToSql, Type};

use self::facts::{Held, Stale, StoredRows};
use self::pipeline::Turn;
use super::PgExperimentStore;
use super::connection::{Connection, Values};
use super::experiments;
use super::failure::{self, Failure};
use super::locks::{LOCK_ACTORS_AND_SHARE_GATE, SHARE_GATE};
use super::pace::Pace;
use super::pool::Loan;
use crate::assignment::{
    AnsweredPart, Answers, AssignManyRequest, EachPart, Keep, Question, Verdict, decide,
};
use crate::error::ExperimentError;

/// Actors in one transaction: in the first one few, so that the caller soon sees answers; then as many as are
/// stored in about [`LONG`], so that they go on coming where the server is far away or busy.
const FIRST_BATCH: usize = 5_000;
const LEAST_BATCH: usize = 1_000;
const BATCH: usize = 50_000;
const LONG: Duration = Duration::from_millis(500);
/// The most whose locks one transaction takes, however many the server has room for.
const LOCKED_BATCH: usize = 10_000;

impl PgExperimentStore {
    pub(super) fn settle_many(
        &self,
        request: &AssignManyRequest<'_>,
        each: EachPart<'_>,
    ) -> Result<(), ExperimentError> {
        request.validate()?;
        if !experiments::is_storable(request.experiment) {
            return Err(ExperimentError::NotFound(request.experiment.to_owned()));
        }
        let (mut done, mut size) = (0, FIRST_BATCH);
        while done < request.actors.len() {
            let rest = &request.actors[done..];
            let actors = &rest[..rest.len().min(size)];
            let batch = AssignManyRequest { actors, ..*request };
            let begun = Instant::now();
            let settled = if request.keep == Keep::Nothing {
                self.read("read the assignments", Pace::Long, |db| {
                    self.settle(db, &batch, false)
                })?
            } else {
                self.without_locks(&batch)?
            };
            let Some(settled) = settled else {
                return self.with_locks(request, done, each);
            };
            size = next_size(size, begun.elapsed());
            if show(each, done, &settled).is_break() {
                break;
            }
            done += settled.len();
        }
        Ok(())
    }

    /// One batch; `None` and nothing is done if its actors have to be locked.
    fn without_locks(
        &self,
        batch: &AssignManyRequest<'_>,
    ) -> Result<Option<Answers>, ExperimentError> {
        let mut was_met = false;
        self.write("store the assignments", Pace::Long, |db| {
            if was_met {
                return Ok(None);
            }
            db.row(SHARE_GATE, &[&batch.experiment])?;
            let settled = self.settle(db, batch, false);
            was_met = matches!(&settled, Err(Failure::Call(fault))
                if failure::is_conflict(fault));
            settled
        })
    }

    /// All that is left once so many are done, in batches whose actors are locked.
    fn with_locks(
        &self,
        request: &AssignManyRequest<'_>,
        done: usize,
        each: EachPart<'_>,
    ) -> Result<(), ExperimentError> {
        let size = self.read("read its settings", Pace::Quick, lockable)?;
        let batches: Vec<&[&str]> = request.actors[done..].chunks(size).collect();
        let settle = |loan: &mut Loan, actors: &&[&str], turn: &Turn<'_>| {
            let actors = *actors;
            let batch = AssignManyRequest { actors, ..*request };
            let settled = self.write_on(loan, "store the assignments", Pace::Long, |db| {
                db.row(LOCK_ACTORS_AND_SHARE_GATE, &[&actors, &request.experiment])?;
                turn.pass();
                self.settle(db, &batch, true)
            })?;
            // Actors who are locked are always settled.
            Ok(settled.unwrap_or_default())
        };
        self.in_turn(&batches, settle, |index, settled| {
            show(each, done + index * size, &settled)
        })
    }

    /// Settles these actors; `None`, and nothing is done, if they have to be locked for that and are
    /// not.
    fn settle(
        &self,
        db: &mut Connection,
        batch: &AssignManyRequest<'_>,
        are_locked: bool,
    ) -> Result<Option<Answers>, Failure> {
        let now = self.now();
        let held = Held::read(self.address(), db, batch.experiment)?;
        let not_found = || ExperimentError::NotFound(batch.experiment.to_owned());
        let held = held.ok_or_else(not_found)?;
        let writes = batch.keep != Keep::Nothing;
        if writes && !are_locked && held.config.exclusion_group.is_some() {
            // Who is assigned in another experiment of it meanwhile would go unnoticed.
            return Ok(None);
        }
        let stored = StoredRows::find(db, &held, batch.actors, now)?;
        let known = stored.known()?;
        if writes && !are_locked && !known.stale.is_empty() {
            // What takes their place must not take that of something newer.
            return Ok(None);
        }
        let allocation = held.config.allocation();
        let verdicts = batch.decide_each(&batch.sorted(), |_, actor| {
            decide(&Question {
                experiment: &held.config,
                allocation: &allocation,
                actor,
                facts: known.facts.get(actor).copied().unwrap_or_default(),
                candidate: None,
            })
        });
        let mut answers = Answers::unanswered(verdicts.len());
        for (place, verdict) in &verdicts {
            verdict.require_answer_to_one(&held.config)?;
            answers.set(*place, verdict);
        }
        if writes {
            keep(db, batch, verdicts, &known.stale, held.weight_period, now)?;
        }
        Ok(Some(answers))
    }
}

/// Shows the answers to the actors from that place on.
fn show(each: EachPart<'_>, start: usize, answers: &Answers) -> ControlFlow<()> {
    let start = u32::try_from(start).unwrap_or(u32::MAX);
    let places: Vec<u32> = (start..).take(answers.len()).collect();
    each(&AnsweredPart {
        places: &places,
        answers,
    })
}

/// How many actors the next transaction should take if one of this size took so long.
fn next_size(size: usize, took: Duration) -> usize {
    if took > LONG {
        (size / 2).max(LEAST_BATCH)
    } else if took < LONG / 2 {
        (size * 2).min(BATCH)
    } else {
        size
    }
}

/// Stores what the verdicts say, which are in the order of the key: two who take the same actors meet
/// at the first.
fn keep(
    db: &mut Connection,
    batch: &AssignManyRequest<'_>,
    mut verdicts: Vec<(u32, Verdict<'_>)>,
    stale: &Stale<'_>,
    weight_period: i32,
    now: i64,
) -> Result<(), Failure> {
    let at = moment(now);
    let to_store = given(batch, &verdicts, |verdict| verdict.store);
    // Only these can meet a row.
    let (replacing, assigned): (Vec<Given<'_>>, Vec<Given<'_>>) = to_store
        .into_iter()
        .partition(|(actor, _, is_override)| *is_override || stale.contains(actor));
    if !replacing.is_empty() {
        let names: Vec<&str> = replacing.iter().map(|(actor, ..)| *actor).collect();
        let variants: Vec<&str> = replacing.iter().map(|(_, variant, _)| *variant).collect();
        let kinds: Vec<bool> = replacing
            .iter()
            .map(|(.., is_override)| *is_override)
            .collect();
        db.execute(
            "INSERT INTO autumn_experiment_assignments
                    (experiment, actor, variant, is_override, assigned_at, weight_period)
                 SELECT $1, actor, variant, is_override, to_timestamp($5::bigint), $6
                 FROM unnest($2::text[], $3::text[], $4::boolean[])
                    AS given (actor, variant, is_override)
                 ON CONFLICT (experiment, actor) DO UPDATE
                 SET variant = excluded.variant, is_override = excluded.is_override,
                     assigned_at = excluded.assigned_at,
                     weight_period = excluded.weight_period
                 WHERE (autumn_experiment_assignments.variant,
                        autumn_experiment_assignments.is_override)
                     IS DISTINCT FROM (excluded.variant, excluded.is_override)",
            &[
                &batch.experiment,
                &names,
                &variants,
                &kinds,
                &now,
                &weight_period,
            ],
        )?;
    }

    if !assigned.is_empty() {
        count(db, batch.experiment, weight_period, &assigned)?;
        let into = "COPY autumn_experiment_assignments
                (experiment, actor, variant, assigned_at, weight_period) FROM STDIN BINARY";
        let columns = [
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::TIMESTAMPTZ,
            Type::INT4,
        ];
        let rows = assigned
            .iter()
            .map(|(actor, variant, _)| -> Vec<&(dyn ToSql + Sync)> {
                vec![&batch.experiment, actor, variant, &at, &weight_period]
            });
        db.copy(into, &columns, rows)?;
    }

    if batch.keep == Keep::AssignmentsAndExposures {
        let into = "COPY exp_exposures
                (experiment, actor, variant, exposed_at, is_override) FROM STDIN BINARY";
        let columns = [
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::TIMESTAMPTZ,
            Type::BOOL,
        ];
        // In the order in which the actors were given.
        verdicts.sort_unstable_by_key(|(place, _)| *place);
        let shown = given(batch, &verdicts, Verdict::is_exposure);
        let rows = shown.iter().map(
            |(actor, variant, is_override)| -> Vec<&(dyn ToSql + Sync)> {
                vec![&batch.experiment, actor, variant, &at, is_override]
            },
        );
        db.copy(into, &columns, rows)?;
    }
    Ok(())
}

/// Counts the assignments that are about to be copied in, so that no trigger counts them row by row.
fn count(
    db: &mut Connection,
    experiment: &str,
    weight_period: i32,
    assigned: &[Given<'_>],
) -> Result<(), Failure> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, variant, _) in assigned {
        *counts.entry(variant).or_default() += 1;
    }
    let (variants, counts): (Vec<&str>, Vec<i64>) = counts.into_iter().unzip();
    let values: Values<'_> = &[&experiment, &weight_period, &variants, &counts];
    db.row("SELECT exp_count_many($1, $2, $3, $4)", values)?;
    Ok(())
}

/// An actor, with the variant and whether it is an override's.
type Given<'v> = (&'v str, &'v str, bool);

/// The actors whose verdict is wanted, with the variant and whether it is an override's.
fn given<'v>(
    batch: &AssignManyRequest<'v>,
    verdicts: &[(u32, Verdict<'v>)],
    is_wanted: impl Fn(&Verdict<'v>) -> bool,
) -> Vec<Given<'v>> {
    let wanted = verdicts.iter().filter(|(_, verdict)| is_wanted(verdict));
    let given = wanted.filter_map(|(place, verdict)| {
        let actor = batch.actors[*place as usize];
        Some((actor, verdict.variant?, verdict.is_override))
    });
    given.collect()
}

/// A time that Postgres can hold.
fn moment(secs: i64) -> SystemTime {
    /// The last second of its last year, 294276.
    const LAST: u64 = 9_224_318_015_999;
    let secs = u64::try_from(secs).unwrap_or(0).min(LAST);
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

/// How many actors' locks fit into one transaction: a fifth of the locks that the server has room
/// for, 1280 unless it is told otherwise, so that there is room for two, and for others meanwhile.
fn lockable(db: &mut Connection) -> Result<usize, Failure> {
    let row = db.one(
        "SELECT current_setting('max_locks_per_transaction')::bigint
            * (current_setting('max_connections')::bigint
                + current_setting('max_prepared_transactions')::bigint) / 5",
        &[],
    )?;
    let locks = usize::try_from(row.try_get::<_, i64>(0)?);
    Ok(locks.unwrap_or(LOCKED_BATCH).clamp(1, LOCKED_BATCH))
}
