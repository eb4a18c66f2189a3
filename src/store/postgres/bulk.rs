//! Assigning many actors: the rules of one, in few large steps.
//!
//! New assignments go in by `COPY`. Where somebody else has taken an actor meanwhile it fails on the
//! key, and from there on the actors are locked. So are those of a group from the start, as no key
//! keeps siblings apart. So many locks fit into a server's memory only in small batches.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, SystemTime};

use foldhash::fast::FixedState;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::PgExperimentStore;
use super::connection::Connection;
use super::experiments::{self, WITH_WHAT_IT_HOLDS};
use super::failure::{self, Failure};
use super::locks::{LOCK_ACTORS_AND_SHARE_GATE, SHARE_GATE};
use super::pace::Pace;
use super::pool::Loan;
use crate::bulk::{Answers, AssignManyRequest, Keep, ManyReason};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::ExperimentConfig;
use crate::rules::assignment::{self, AssignmentFacts, AssignmentReason};
use crate::store::Assigned;
use crate::validation::validate_actor;

/// Actors in one transaction.
const BATCH: usize = 50_000;

/// Batches are locked one after another, in their order.
#[derive(Default)]
struct Turns {
    next: Mutex<usize>,
    moved: Condvar,
}

impl Turns {
    /// Waits until all before it have passed. `None` if there is nothing to wait for any more.
    fn wait_for(&self, index: usize) -> Option<Turn<'_>> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.moved.wait_while(next, |next| *next < index);
        let next = *waited.unwrap_or_else(PoisonError::into_inner);
        (next != usize::MAX).then_some(Turn {
            turns: self,
            index,
            is_done: false,
        })
    }

    fn move_to(&self, index: usize) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(index);
        self.moved.notify_all();
    }
}

/// A batch's turn. Unless it is done, nobody goes on after it: it has failed.
struct Turn<'a> {
    turns: &'a Turns,
    index: usize,
    is_done: bool,
}

impl Turn<'_> {
    /// The next may lock.
    fn pass(&self) {
        self.turns.move_to(self.index + 1);
    }

    fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.turns.move_to(usize::MAX);
        }
    }
}

fn take(answers: &mut Answers, settled: Settled) -> Result<(), ExperimentError> {
    for answer in settled {
        answers.push(answer)?;
    }
    Ok(())
}

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
        if !experiments::is_storable(request.experiment) {
            return Err(ExperimentError::NotFound(request.experiment.to_owned()));
        }
        let mut answers = Answers::default();
        let mut rest = request.actors;
        while !rest.is_empty() {
            let (actors, after) = rest.split_at(rest.len().min(BATCH));
            let settled = if request.keep == Keep::Nothing {
                self.read("read the assignments", Pace::Long, |db| {
                    self.batch(db, request, actors, false)
                })?
            } else {
                self.without_locks(request, actors)?
            };
            let Some(settled) = settled else {
                for settled in self.with_locks(request, rest)? {
                    take(&mut answers, settled)?;
                }
                break;
            };
            take(&mut answers, settled)?;
            rest = after;
        }
        Ok(answers)
    }

    /// One batch; `None` and nothing is done if its actors have to be locked.
    fn without_locks(
        &self,
        request: &AssignManyRequest<'_>,
        actors: &[&str],
    ) -> Result<Option<Settled>, ExperimentError> {
        let mut was_met = false;
        self.write("store the assignments", Pace::Long, |db| {
            if was_met {
                return Ok(None);
            }
            db.row(SHARE_GATE, &[&request.experiment])?;
            let settled = self.batch(db, request, actors, false);
            was_met = matches!(&settled, Err(Failure::Fault(fault))
                if failure::is_conflict(fault));
            settled
        })
    }

    /// All that is left, two batches at a time where a second connection is free: while one is stored,
    /// the actors of the next are locked and looked for. They lock one after another, so that an actor
    /// who comes twice is assigned where it comes first, unless the first batch had to be taken again.
    fn with_locks(
        &self,
        request: &AssignManyRequest<'_>,
        actors: &[&str],
    ) -> Result<Vec<Settled>, ExperimentError> {
        let size = self.read("read its settings", Pace::Quick, lockable)?;
        let batches: Vec<&[&str]> = actors.chunks(size).collect();
        let (unclaimed, turns) = (AtomicUsize::new(0), Turns::default());
        // Whoever claims a batch has the connection for it, as those that follow wait for it.
        let settle_next = |loan: &mut Loan| -> Result<Option<(usize, Settled)>, ExperimentError> {
            let index = unclaimed.fetch_add(1, Ordering::Relaxed);
            let Some(actors) = batches.get(index) else {
                return Ok(None);
            };
            let Some(turn) = turns.wait_for(index) else {
                return Ok(None);
            };
            let settled = self.write_on(loan, "store the assignments", Pace::Long, |db| {
                db.row(LOCK_ACTORS_AND_SHARE_GATE, &[&actors, &request.experiment])?;
                turn.pass();
                self.batch(db, request, actors, true)
            })?;
            turn.done();
            Ok(settled.map(|settled| (index, settled)))
        };
        let mut first = Some(self.pool.get()?);
        let second = self.pool.get_within(Duration::ZERO).ok().flatten();
        let (all, others) = thread::scope(|scope| {
            let helper = second.map(|mut loan| {
                let settle_next = &settle_next;
                scope.spawn(move || {
                    iter::from_fn(|| settle_next(&mut loan).transpose())
                        .collect::<Result<Vec<_>, _>>()
                })
            });
            // It gives its connection back with each batch, to whoever waits for one.
            let all: Result<Vec<_>, ExperimentError> = iter::from_fn(|| {
                let loan = first.take().map_or_else(|| self.pool.get(), Ok);
                let settled = loan.map_err(ExperimentError::from);
                settled
                    .and_then(|mut loan| settle_next(&mut loan))
                    .transpose()
            })
            .collect();
            let others = helper.map_or(Ok(Ok(Vec::new())), ScopedJoinHandle::join);
            (all, others.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let mut all = all?;
        all.extend(others?);
        all.sort_unstable_by_key(|(index, _)| *index);
        Ok(all.into_iter().map(|(_, settled)| settled).collect())
    }

    /// Settles these actors; `None`, and nothing is done, if they have to be locked for that and are
    /// not.
    fn batch(
        &self,
        db: &mut Connection,
        request: &AssignManyRequest<'_>,
        actors: &[&str],
        are_locked: bool,
    ) -> Result<Option<Settled>, Failure> {
        let name = request.experiment;
        let not_found = || ExperimentError::NotFound(name.to_owned());
        let row = db.row(WITH_WHAT_IT_HOLDS, &[&name])?;
        let held = Held::read(self.address(), &row.ok_or_else(not_found)?)?;
        let writes = request.keep != Keep::Nothing;
        if writes && !are_locked && held.config.exclusion_group.is_some() {
            // Who is assigned in another experiment of it meanwhile would go unnoticed.
            return Ok(None);
        }
        let found = find(db, &held, actors)?;
        let settled = settle(request, &held.config, actors, &found)?;
        if writes {
            self.keep(db, request, actors, &settled)?;
        }
        Ok(Some(settled))
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
        let at = moment(now);
        if !assigned.is_empty() {
            let into = "COPY autumn_experiment_assignments
                (experiment, actor, variant, assigned_at) FROM STDIN BINARY";
            let columns = [Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ];
            let rows = assigned
                .iter()
                .map(|(actor, assigned)| -> Vec<&(dyn ToSql + Sync)> {
                    vec![&request.experiment, actor, &assigned.variant, &at]
                });
            db.copy(into, &columns, rows)?;
        }
        if request.keep == Keep::AssignmentsAndExposures {
            let into = "COPY exp_exposures
                (experiment, actor, variant, exposed_at, is_override) FROM STDIN BINARY";
            let columns = [
                Type::TEXT,
                Type::TEXT,
                Type::TEXT,
                Type::TIMESTAMPTZ,
                Type::BOOL,
            ];
            let shown: Vec<(&str, &Assigned)> = answered()
                .filter(|(_, assigned)| assigned.is_exposure())
                .collect();
            let rows = shown
                .iter()
                .map(|(actor, assigned)| -> Vec<&(dyn ToSql + Sync)> {
                    let is_override = if assigned.is_override() {
                        &true
                    } else {
                        &false
                    };
                    vec![
                        &request.experiment,
                        actor,
                        &assigned.variant,
                        &at,
                        is_override,
                    ]
                });
            db.copy(into, &columns, rows)?;
        }
        Ok(())
    }
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
    Ok(locks.unwrap_or(BATCH).clamp(1, BATCH))
}

/// The experiment, and what has to be looked for.
struct Held {
    config: ExperimentConfig,
    has_overrides: bool,
    has_assignments: bool,
    /// The others of its group that have any.
    siblings: Vec<String>,
}

impl Held {
    fn read(store: &str, row: &Row) -> Result<Self, Failure> {
        Ok(Self {
            config: experiments::stored(store, row)?.config,
            has_overrides: row.try_get(9)?,
            has_assignments: row.try_get(10)?,
            siblings: row.try_get(11)?,
        })
    }
}

/// What is stored of these actors; who has nothing is not in it.
///
/// It takes one search of an index for each: what the server supposes of a table that has only just
/// been filled would have it read all of the table, with every batch.
fn find(db: &mut Connection, held: &Held, actors: &[&str]) -> Result<ByActor<Found>, Failure> {
    let mut found = ByActor::<Found>::default();
    let name = &held.config.name;
    if held.has_overrides {
        let rows = db.rows(
            "SELECT wanted.actor, o.variant FROM unnest($2::text[]) AS wanted (actor)
             CROSS JOIN LATERAL (
                 SELECT variant FROM autumn_experiment_overrides
                 WHERE experiment = $1 AND actor = wanted.actor OFFSET 0
             ) o",
            &[name, &actors],
        )?;
        for row in rows {
            found.entry(row.try_get(0)?).or_default().pinned = Some(row.try_get(1)?);
        }
    }
    let own = held.has_assignments.then_some(name);
    for experiment in own.into_iter().chain(&held.siblings) {
        let rows = db.rows(
            "SELECT wanted.actor, a.variant, a.is_override FROM unnest($2::text[]) AS wanted (actor)
             CROSS JOIN LATERAL (
                 SELECT variant, is_override FROM autumn_experiment_assignments
                 WHERE experiment = $1 AND actor = wanted.actor OFFSET 0
             ) a",
            &[experiment, &actors],
        )?;
        for row in rows {
            let found = found.entry(row.try_get(0)?).or_default();
            if experiment == name {
                found.stored = Some((row.try_get(1)?, row.try_get(2)?));
            } else {
                found.in_sibling = true;
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
        let answer = match answer {
            Err(refusal) if ManyReason::of_refusal(refusal.kind()).is_none() => {
                return Err(refusal.into());
            }
            answer => answer,
        };
        settled.push(answer);
    }
    Ok(settled)
}
