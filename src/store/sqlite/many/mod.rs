//! Assigning many actors: the rules of one, in few large steps.
//!
//! What makes it fast: actors are taken in the order of the key, whatever order they come in; new
//! ones are inserted many rows a statement, without asking first whether they are there, and only
//! where some were is each asked for; counts are written once a transaction.
//! What keeps others alive: no transaction lasts much longer than [`HOLD`], and before the next one
//! comes whoever waits for the lock.

mod found;
mod rows;

use std::time::{Duration, Instant};

use rusqlite::{Connection, Statement};

use self::found::Finder;
use self::rows::Settled;
use super::actors::{self, Actor};
use super::choice::Choice;
use super::experiments::{self, Stored};
use super::{Failure, SqliteExperimentStore, exposures, load_known, overrides, periods};
use crate::assignment::{
    AnsweredPart, Answers, AssignManyRequest, EachPart, Keep, Question, decide,
};
use crate::bucketing::Allocation;
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::rule::AssignmentReason;

/// How long a transaction goes on taking actors, and how long if somebody waits for it to end.
const HOLD: Duration = Duration::from_millis(200);
const HOLD_IF_AWAITED: Duration = Duration::from_millis(25);
/// How many rows one statement inserts.
const ROWS: usize = 64;
/// From how many actors on a call gets a large page cache, and moves the write-ahead log into the
/// file when it is done, so that nobody else has to.
const LARGE: usize = 10_000;
/// After how many groups that had no new actor it is tried again without asking first.
const CAUTIOUS_GROUPS: u32 = 16;

impl SqliteExperimentStore {
    pub(super) fn settle_many(
        &self,
        request: &AssignManyRequest<'_>,
        each: EachPart<'_>,
    ) -> Result<(), ExperimentError> {
        request.validate()?;
        let order = match request.keep {
            // Nothing will be looked up, so any order is as good.
            Keep::Nothing if self.is_blank(request.experiment)? => request.places(),
            _ => request.sorted(),
        };
        let is_large = order.len() >= LARGE && request.keep != Keep::Nothing;
        if is_large {
            let begun = self.write_ahead_log.begin_many(&self.lock());
            begun.map_err(|error| self.failed("prepare for many", error))?;
        }
        let assigned = self.assign_in_order(request, &order, each);
        if is_large {
            let ended = self.write_ahead_log.end_many(&mut self.lock());
            ended.map_err(|error| self.failed("finish many", error))?;
        }
        assigned
    }

    fn assign_in_order(
        &self,
        request: &AssignManyRequest<'_>,
        mut rest: &[u32],
        each: EachPart<'_>,
    ) -> Result<(), ExperimentError> {
        while !rest.is_empty() {
            let step = |db: &Connection| {
                let experiment = load_known(db, request.experiment)?;
                Batch::new(db, self, request, &experiment)?.run(rest)
            };
            let answers = match request.keep {
                Keep::Nothing => self.read("read the assignments", step)?,
                _ => self.write_long("store the assignments", step)?,
            };
            let (places, after) = rest.split_at(answers.len());
            let part = AnsweredPart {
                places,
                answers: &answers,
            };
            if each(&part).is_break() {
                break;
            }
            rest = after;
        }
        Ok(())
    }

    /// Whether nothing is stored of any actor that could concern this experiment.
    fn is_blank(&self, experiment: &str) -> Result<bool, ExperimentError> {
        self.read("read the assignments", |db| {
            let experiment = load_known(db, experiment)?;
            Ok(actors::is_blank(db, &experiment)? && !overrides::has_any(db, &experiment)?)
        })
    }
}

/// One transaction's worth of actors.
struct Batch<'a> {
    db: &'a Connection,
    store: &'a SqliteExperimentStore,
    request: &'a AssignManyRequest<'a>,
    experiment: &'a Stored,
    allocation: Allocation,
    now: i64,
    /// Whether there is anything of an actor to ask for that a conflict doesn't tell.
    must_look: bool,
    /// Whether there is nothing to be found of anybody.
    is_blank: bool,
    /// Groups for which to ask first.
    cautious: u32,
    finder: Finder<'a>,
    insert: Statement<'a>,
    /// New assignments by `idx`.
    assigned: Vec<u64>,
    answers: Answers,
    exposed: Vec<(u32, Choice)>,
}

impl<'a> Batch<'a> {
    fn new(
        db: &'a Connection,
        store: &'a SqliteExperimentStore,
        request: &'a AssignManyRequest<'a>,
        experiment: &'a Stored,
    ) -> Result<Self, Failure> {
        let has_overrides = overrides::has_any(db, experiment)?;
        // Taking it that nothing is stored is only right for who would be assigned now: the insertion
        // proves it.
        let is_blank = actors::is_blank(db, experiment)?;
        let must_look = has_overrides
            || request.keep == Keep::Nothing
            || experiment.config.weights().all(|weight| weight == 0)
            || !experiment.config.enrolling
            || experiment.config.coverage != Coverage::FULL
            || experiments::has_siblings(db, experiment)?;
        Ok(Self {
            db,
            store,
            request,
            experiment,
            allocation: experiment.config.allocation(),
            now: store.now(),
            must_look,
            is_blank: is_blank && !has_overrides && request.keep == Keep::Nothing,
            cautious: 0,
            finder: Finder::new(db, experiment, store.clock, has_overrides)?,
            insert: db.prepare(&rows::insert_statement(ROWS))?,
            assigned: Vec::new(),
            answers: Answers::default(),
            exposed: Vec::new(),
        })
    }

    /// Settles as many of these actors as one transaction should, the first ones; gives their answers.
    fn run(mut self, places: &[u32]) -> Result<Answers, Failure> {
        let begun = Instant::now();
        for group in places.chunks(ROWS) {
            self.group(group)?;
            if self.is_long(begun.elapsed()) {
                break;
            }
        }
        if self.request.keep == Keep::AssignmentsAndExposures {
            self.append_exposures()?;
        }
        for (variant, &count) in self.assigned.iter().enumerate() {
            if count > 0 {
                let choice = Choice {
                    variant,
                    is_override: false,
                };
                let Stored {
                    id, weight_period, ..
                } = *self.experiment;
                periods::count(self.db, id, weight_period, choice, count.cast_signed())?;
            }
        }
        Ok(self.answers)
    }

    /// Whether a transaction of this age should end.
    fn is_long(&self, age: Duration) -> bool {
        let holds_lock = self.request.keep != Keep::Nothing;
        age > HOLD || holds_lock && age > HOLD_IF_AWAITED && self.store.queue.is_awaited()
    }

    fn group(&mut self, places: &[u32]) -> Result<(), Failure> {
        if !self.must_look && self.cautious == 0 {
            let settled = self.settle(places, false)?;
            // A refusal is not proved by an insertion: whom it refuses may be stored.
            let is_provable = settled.iter().all(|s| s.verdict.variant.is_some());
            if is_provable && self.insert_all(&settled)? {
                self.answer(&settled);
                return Ok(());
            }
            self.cautious = CAUTIOUS_GROUPS;
        }
        self.cautious = self.cautious.saturating_sub(1);
        let settled = self.settle(places, true)?;
        if settled
            .iter()
            .any(|s| s.verdict.reason == AssignmentReason::Assigned)
        {
            self.cautious = 0;
        }
        if self.request.keep != Keep::Nothing && !self.insert_all(&settled)? {
            let what = "an actor has an assignment that is not found".to_owned();
            return Err(experiments::contradiction(what).into());
        }
        self.answer(&settled);
        Ok(())
    }

    /// Decides for each actor, having looked at what is stored or else taking it that nothing is.
    fn settle(&mut self, places: &[u32], look: bool) -> Result<Vec<Settled<'a>>, Failure> {
        let found = if look && !self.is_blank {
            let actors = places
                .iter()
                .map(|&place| self.request.actors[place as usize]);
            self.finder.find_all(&actors.collect::<Vec<_>>())?
        } else {
            Vec::new()
        };
        let experiment = self.experiment;
        let verdicts = self.request.decide_each(places, |index, actor| {
            decide(&Question {
                experiment: &experiment.config,
                allocation: &self.allocation,
                actor,
                facts: found.get(index).copied().unwrap_or_default().facts,
                candidate: None,
            })
        });
        let verdicts = verdicts.into_iter().enumerate();
        let settled = verdicts.map(|(index, (place, verdict))| {
            verdict.require_answer_to_one(&experiment.config)?;
            Ok(Settled {
                place,
                verdict,
                variant: verdict.variant.and_then(|name| experiment.index_of(name)),
                replaces: found.get(index).is_some_and(|found| found.is_stale),
            })
        });
        settled.collect()
    }

    /// Stores what is to be stored. `false`, and nothing stored, if an actor was there already.
    fn insert_all(&mut self, settled: &[Settled<'_>]) -> Result<bool, Failure> {
        let (one_by_one, ordinary): (Vec<&Settled<'_>>, Vec<&Settled<'_>>) = settled
            .iter()
            .filter(|settled| settled.verdict.store)
            .partition(|settled| settled.verdict.is_override || settled.replaces);
        for settled in one_by_one {
            let actor = self.request.actors[settled.place as usize];
            let found = Actor::load(self.db, self.experiment, actor, self.store.clock)?;
            let variant = settled.verdict.variant.unwrap_or_default();
            let is_override = settled.verdict.is_override;
            found.put_assignment(self.db, variant, is_override, self.now)?;
        }
        if ordinary.is_empty() {
            return Ok(true);
        }
        self.db.prepare_cached("SAVEPOINT many")?.execute([])?;
        let inserted = if ordinary.len() == ROWS {
            rows::insert(
                &mut self.insert,
                self.request,
                self.experiment,
                self.now,
                &ordinary,
            )?
        } else {
            let mut insert = self
                .db
                .prepare_cached(&rows::insert_statement(ordinary.len()))?;
            rows::insert(
                &mut insert,
                self.request,
                self.experiment,
                self.now,
                &ordinary,
            )?
        };
        let all_new = inserted == ordinary.len();
        if all_new {
            for settled in ordinary {
                let variant = settled.variant.unwrap_or_default();
                if self.assigned.len() <= variant {
                    self.assigned.resize(variant + 1, 0);
                }
                self.assigned[variant] += 1;
            }
        } else {
            self.db.prepare_cached("ROLLBACK TO many")?.execute([])?;
        }
        self.db.prepare_cached("RELEASE many")?.execute([])?;
        Ok(all_new)
    }

    fn answer(&mut self, settled: &[Settled<'_>]) {
        for settled in settled {
            self.answers.push(&settled.verdict);
            if let Some(variant) = settled.variant
                && self.request.keep == Keep::AssignmentsAndExposures
                && settled.verdict.is_exposure()
            {
                let choice = Choice {
                    variant,
                    is_override: settled.verdict.is_override,
                };
                self.exposed.push((settled.place, choice));
            }
        }
    }

    /// In the order in which the actors were given.
    fn append_exposures(&mut self) -> Result<(), Failure> {
        self.exposed.sort_unstable_by_key(|(place, _)| *place);
        let now = self.store.now();
        let mut append = self.db.prepare_cached(exposures::APPEND)?;
        for &(place, choice) in &self.exposed {
            let actor = self.request.actors[place as usize];
            append.execute((
                self.experiment.id,
                choice.encode(),
                actor,
                None::<&str>,
                now,
            ))?;
        }
        Ok(())
    }
}
