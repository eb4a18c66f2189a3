//! Assigning one actor: one look that is often enough, then one step that stores.

use std::sync::Arc;
use std::time::Instant;

use tokio_postgres::Row;

use super::PgExperimentStore;
use super::connection::Values;
use super::experiments::{self, ONE};
use super::failure::{self, Failure};
use super::memory::Remembered;
use super::mutation;
use super::pace::Pace;
use super::situation::{
    self, ASSIGN, ASSIGNED, IS_NEW, IS_OVERRIDE, IS_PINNED, SHOWN_AGAIN, SITUATION,
    SITUATION_AND_EXPOSURE, STORE_ASSIGNMENT,
};
use crate::assignment::{AssignRequest, Assigned, Facts, Situation};
use crate::error::ExperimentError;
use crate::rule::AssignmentReason;
use crate::store::transfer::seconds;

/// What the first round trip of an assignment finds.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for one call, and the large one is the first half of a write"
)]
enum Looked {
    /// All that decides it, and the experiment's `exp_version`.
    Found(Situation, i64),
    /// It is decided, and all that had to be is stored.
    Done(Assigned),
}

impl PgExperimentStore {
    pub(super) fn assign_one(
        &self,
        request: &AssignRequest<'_>,
    ) -> Result<Assigned, ExperimentError> {
        request.validate()?;
        let known = self
            .watched_memory()
            .and_then(|memory| memory.get(request.experiment));
        let is_decided =
            |known: &Arc<Remembered>| !known.is_running() && request.candidate.is_none();
        if let Some(known) = known.filter(is_decided) {
            return request.decide(&known.config, &known.allocation, Facts::default());
        }
        let begun = Instant::now();
        loop {
            let ticket = self.pool.memory.ticket();
            let (situation, version) = match self.look(request)? {
                Looked::Found(situation, version) => (situation, version),
                Looked::Done(assigned) => return Ok(assigned),
            };
            let config = situation.known()?;
            let assigned = request.decide(config, &config.allocation(), situation.facts())?;
            self.pool.memory.keep(ticket, config, version);
            let exposes = request.keep_exposure && assigned.is_exposure();
            if !assigned.stored && !exposes {
                return Ok(assigned);
            }
            if self.store_if_unchanged(request, &situation, version, &assigned)? {
                return Ok(assigned);
            }
            if begun.elapsed() > self.lock_timeout() {
                return Err(mutation::gave_up(self));
            }
        }
    }

    pub(super) fn read_situation(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<(Situation, i64), ExperimentError> {
        let at = self.now();
        self.read("read an assignment", Pace::Quick, |db| {
            if !experiments::is_storable(actor) {
                let mut found = Situation::unknown(experiment, actor);
                let stored = experiments::load(self.address(), db, ONE, experiment)?;
                let version = stored.as_ref().map_or(0, |stored| stored.version);
                found.config = stored.map(|stored| stored.config);
                return Ok((found, version));
            }
            let row = if experiments::is_storable(experiment) {
                db.row(SITUATION, &[&experiment, &actor, &at])?
            } else {
                None
            };
            situation::read(self.address(), row.as_ref(), experiment, actor, at)
        })
    }

    /// The first round trip of an assignment: what decides it. In a running experiment that was seen
    /// before, it is tried at once; elsewhere the exposure of what is stored is kept at once.
    fn look(&self, request: &AssignRequest<'_>) -> Result<Looked, ExperimentError> {
        let AssignRequest {
            experiment, actor, ..
        } = *request;
        if request.candidate.is_none()
            && let Some(known) = self.pool.memory.running(experiment)
        {
            // What the entry rules say to a newcomer. The database applies the standing ones.
            let newcomer = request.decide(&known.config, &known.allocation, Facts::default());
            if let Ok(newcomer) = newcomer {
                return self.try_as_known(request, &known, &newcomer.variant);
            }
        }
        let is_storable = experiments::is_storable(experiment) && experiments::is_storable(actor);
        if !request.keep_exposure || request.candidate.is_some() || !is_storable {
            let (situation, version) = self.read_situation(experiment, actor)?;
            return Ok(Looked::Found(situation, version));
        }
        self.show_again_or_read(request)
    }

    fn try_as_known(
        &self,
        request: &AssignRequest<'_>,
        known: &Remembered,
        bucketed: &str,
    ) -> Result<Looked, ExperimentError> {
        let AssignRequest {
            experiment,
            actor,
            request_id,
            keep_exposure,
            ..
        } = *request;
        let at = self.now();
        // It writes, so it is not repeated on another connection.
        let mut loan = self.pool.get()?;
        let tried = loan.run(|db| {
            let values: Values<'_> = &[
                &experiment,
                &actor,
                &known.version,
                &bucketed,
                &at,
                &keep_exposure,
                &request_id,
            ];
            let row = db.single(ASSIGN, values)?;
            let variant = row.as_ref().map(|row| row.try_get(ASSIGNED));
            let variant: Option<String> = variant.transpose()?.flatten();
            let (Some(row), Some(variant)) = (&row, variant) else {
                return self.found(row.as_ref(), request, at);
            };
            let reason = match (row.try_get(IS_NEW)?, row.try_get(IS_PINNED)?) {
                (true, _) => AssignmentReason::Assigned,
                (false, true) => AssignmentReason::Override,
                (false, false) => AssignmentReason::Sticky,
            };
            Ok(Looked::Done(Assigned {
                value: known.config.values.get(&variant).cloned(),
                variant,
                reason,
                is_override: row.try_get(IS_OVERRIDE)?,
                stored: row.try_get(IS_NEW)?,
            }))
        });
        drop(loan);
        match tried {
            // Two took each other's locks: what is there now decides.
            Err(Failure::Call(fault)) if failure::is_conflict(&fault) => {
                let (situation, version) = self.read_situation(experiment, actor)?;
                Ok(Looked::Found(situation, version))
            }
            tried => tried.map_err(|failure| self.failed("assign", failure)),
        }
    }

    fn show_again_or_read(&self, request: &AssignRequest<'_>) -> Result<Looked, ExperimentError> {
        let AssignRequest {
            experiment,
            actor,
            request_id,
            ..
        } = *request;
        let at = self.now();
        // It writes, so it is not repeated on another connection.
        let mut loan = self.pool.get()?;
        let ticket = self.pool.memory.ticket();
        let looked = loan.run(|db| {
            let values: Values<'_> = &[&experiment, &actor, &request_id, &at];
            let row = db.single(SITUATION_AND_EXPOSURE, values)?;
            let shown = row.as_ref().map(|row| row.try_get(SHOWN_AGAIN));
            let shown: Option<String> = shown.transpose()?.flatten();
            let found = self.found(row.as_ref(), request, at)?;
            let (Some(variant), Looked::Found(situation, version)) = (shown, &found) else {
                return Ok(found);
            };
            if let Some(config) = &situation.config {
                self.pool.memory.keep(ticket, config, *version);
            }
            // It was kept only if this was still so.
            let reason = match situation.facts().pinned {
                Some(_) => AssignmentReason::Override,
                None => AssignmentReason::Sticky,
            };
            let stored = situation.assignment.as_ref();
            let config = situation.config.as_ref();
            let value = config.and_then(|config| config.values.get(&variant));
            Ok(Looked::Done(Assigned {
                value: value.cloned(),
                variant,
                reason,
                is_override: stored.is_some_and(|stored| stored.is_override),
                stored: false,
            }))
        });
        looked.map_err(|failure| self.failed("read an assignment", failure))
    }

    fn found(
        &self,
        row: Option<&Row>,
        request: &AssignRequest<'_>,
        at: i64,
    ) -> Result<Looked, Failure> {
        let AssignRequest {
            experiment, actor, ..
        } = *request;
        let (situation, version) = situation::read(self.address(), row, experiment, actor, at)?;
        Ok(Looked::Found(situation, version))
    }

    /// The second: stores the variant and the exposure, if all that was seen is still so.
    fn store_if_unchanged(
        &self,
        request: &AssignRequest<'_>,
        seen: &Situation,
        version: i64,
        assigned: &Assigned,
    ) -> Result<bool, ExperimentError> {
        let Situation {
            experiment,
            actor,
            pinned,
            assignment,
            at_secs,
            ..
        } = seen;
        let seen_pinned = pinned.as_ref().map(|pinned| &pinned.variant);
        let seen_until = pinned.as_ref().and_then(|pinned| pinned.expires_at_secs);
        let seen_variant = assignment.as_ref().map(|stored| &stored.variant);
        let seen_is_override = assignment.as_ref().map(|stored| stored.is_override);
        let exposes = request.keep_exposure && assigned.is_exposure();
        let mut loan = self.pool.get()?;
        let stored = loan.run(|db| {
            let row = db.single(
                STORE_ASSIGNMENT,
                &[
                    experiment,
                    actor,
                    &version,
                    &seen_pinned,
                    &seen_until.map(seconds),
                    &seen_variant,
                    &seen_is_override,
                    &assigned.variant,
                    &assigned.is_override,
                    &seconds(*at_secs),
                    &assigned.stored,
                    &exposes,
                    &request.request_id,
                ],
            )?;
            Ok(row.map_or(Ok(false), |row: Row| row.try_get(0))?)
        });
        match stored {
            // Two took each other's locks, or a key: what is there now decides.
            Err(Failure::Call(fault)) if failure::is_conflict(&fault) => Ok(false),
            stored => stored.map_err(|failure| self.failed("store an assignment", failure)),
        }
    }
}
