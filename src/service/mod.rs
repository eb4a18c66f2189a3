//! The front door: every operation of the library on one store.
//!
//! It orchestrates: asks the store for an atomic step, then tells the exposure sink. The rules
//! themselves are in `assignment` and `lifecycle`, and are applied inside the store's transaction. Here is what
//! assigns and what reads; changes are in `administration`, what a status shows in `summary`.

mod administration;
mod summary;

use std::sync::Arc;

pub use self::summary::{ExperimentSummary, VariantSummary};
use crate::assignment::{
    Answers, AssignManyRequest, AssignRequest, Assigned, EachPart, Explanation, Gathered, Keep,
};
use crate::error::ExperimentError;
use crate::experiment::{
    AssignmentRecord, ChangeRecord, ChangeScan, ExperimentConfig, Override, WeightPeriod,
};
use crate::exposure::{
    ExposureRecord, ExposureScan, ExposureSink, ExposureTotal, TracingExposureSink,
};
use crate::outcome::{Outcome, Tracked};
use crate::store::{Each, ExperimentStore};

/// Assigns actors and administers experiments. Cheap to clone; clones share store and sink.
///
/// ```
/// use experiments::{ExperimentConfig, ExperimentService, InMemoryExperimentStore, VariantConfig};
///
/// let service = ExperimentService::new(InMemoryExperimentStore::new());
/// service.create(ExperimentConfig::new(
///     "checkout_v2",
///     vec![VariantConfig::new("control", 50), VariantConfig::new("treatment", 50)],
/// ))?;
/// service.start("checkout_v2")?;
///
/// assert_eq!(service.assign("checkout_v2", "user:1")?, "control");
/// assert_eq!(service.assign("checkout_v2", "user:2")?, "treatment");
/// # Ok::<(), experiments::ExperimentError>(())
/// ```
#[derive(Clone)]
pub struct ExperimentService {
    store: Arc<dyn ExperimentStore>,
    sink: Arc<dyn ExposureSink>,
    stored_exposures: bool,
}

impl std::fmt::Debug for ExperimentService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExperimentService")
            .field("stored_exposures", &self.stored_exposures)
            .finish_non_exhaustive()
    }
}

impl ExperimentService {
    /// A service on this store, with [`TracingExposureSink`] as its sink.
    #[must_use]
    pub fn new(store: impl ExperimentStore) -> Self {
        Self {
            store: Arc::new(store),
            sink: Arc::new(TracingExposureSink),
            stored_exposures: false,
        }
    }

    /// Sends exposures to this sink.
    #[must_use]
    pub fn with_exposure_sink(mut self, sink: impl ExposureSink) -> Self {
        self.sink = Arc::new(sink);
        self
    }

    /// Keeps every exposure in the store as well, in the transaction of its assignment.
    #[must_use]
    pub fn with_stored_exposures(mut self) -> Self {
        self.stored_exposures = true;
        self
    }

    /// Makes the store ready for the first call, so that it is as fast as the others.
    ///
    /// # Errors
    /// When the store fails.
    pub fn preload(&self) -> Result<(), ExperimentError> {
        self.store.preload()
    }

    /// The actor's variant: assigned now, or as it was before.
    ///
    /// # Errors
    /// The experiment is [unknown](ExperimentError::NotFound),
    /// [archived](ExperimentError::Archived), [a draft or paused](ExperimentError::NotRunning); the actor is
    /// [in another experiment](ExperimentError::ExcludedByGroup) of the group, or new and
    /// [not enrolled](ExperimentError::NotEnrolled); all weights are [zero](ExperimentError::NoVariant); or
    /// the store fails.
    pub fn assign(&self, experiment: &str, actor: &str) -> Result<String, ExperimentError> {
        self.decide(experiment, actor, None)
            .map(|assigned| assigned.variant)
    }

    /// The same, with the request's id in the exposure.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    pub fn assign_with_request_id(
        &self,
        experiment: &str,
        actor: &str,
        request_id: Option<&str>,
    ) -> Result<String, ExperimentError> {
        self.decide(experiment, actor, request_id)
            .map(|assigned| assigned.variant)
    }

    /// The same, with the variant's value and the rule that chose it.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    pub fn decide(
        &self,
        experiment: &str,
        actor: &str,
        request_id: Option<&str>,
    ) -> Result<Assigned, ExperimentError> {
        let request = AssignRequest {
            request_id,
            keep_exposure: self.stored_exposures,
            ..AssignRequest::new(experiment, actor)
        };
        request.validate()?;
        let assigned = self.store.assign(&request)?;
        if assigned.is_exposure() && self.sink.is_recording() {
            let clock = self.store.clock();
            self.sink
                .record(request.exposure(&assigned.variant, assigned.is_override, clock));
        }
        Ok(assigned)
    }

    /// The variants of many actors, in their order, with the rules that chose them; an actor for whom
    /// there is none has the reason in its place.
    ///
    /// It need not be one step: see [`ExperimentStore::assign_many`].
    ///
    /// # Errors
    /// The experiment is unknown, archived, a draft or paused; an actor [can't be
    /// stored](ExperimentError::InvalidConfig); or the store fails.
    pub fn assign_many(&self, request: &AssignManyRequest<'_>) -> Result<Answers, ExperimentError> {
        Gathered::all(request, |each| self.assign_many_in_parts(request, each))
    }

    /// The same, part by part as the answers are stored, until `each` ends it: see
    /// [`ExperimentStore::assign_many_in_parts`].
    ///
    /// # Errors
    /// As [`assign_many`](Self::assign_many). What was stored before has been shown.
    pub fn assign_many_in_parts(
        &self,
        request: &AssignManyRequest<'_>,
        each: EachPart<'_>,
    ) -> Result<(), ExperimentError> {
        if request.keep != Keep::AssignmentsAndExposures || !self.sink.is_recording() {
            return self.store.assign_many_in_parts(request, each);
        }
        let clock = self.store.clock();
        self.store.assign_many_in_parts(request, &mut |part| {
            for (place, verdict) in part.iter() {
                let Some(variant) = verdict.variant.filter(|_| verdict.is_exposure()) else {
                    continue;
                };
                let single = AssignRequest::new(request.experiment, request.actors[place]);
                self.sink
                    .record(single.exposure(variant, verdict.is_override, clock));
            }
            each(part)
        })
    }

    /// [`assign_with_request_id`](Self::assign_with_request_id) for an async handler: it runs on tokio's
    /// blocking pool.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "tokio")]
    pub async fn assign_async(
        &self,
        experiment: &str,
        actor: &str,
        request_id: Option<&str>,
    ) -> Result<String, ExperimentError> {
        let assigned = self.decide_async(experiment, actor, request_id).await?;
        Ok(assigned.variant)
    }

    /// [`decide`](Self::decide) for an async handler: it runs on tokio's blocking pool.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "tokio")]
    pub async fn decide_async(
        &self,
        experiment: &str,
        actor: &str,
        request_id: Option<&str>,
    ) -> Result<Assigned, ExperimentError> {
        let (service, experiment, actor) = (self.clone(), experiment.to_owned(), actor.to_owned());
        let request_id = request_id.map(str::to_owned);
        let deciding = tokio::task::spawn_blocking(move || {
            service.decide(&experiment, &actor, request_id.as_deref())
        });
        match deciding.await {
            Ok(result) => result,
            Err(lost) => match lost.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(crate::error::ExperimentStoreError::Backend {
                    store: crate::location::StoreLocation::Other("of the service".to_owned()),
                    doing: "assign before the runtime was shut down",
                    source: cancelled.into(),
                }
                .into()),
            },
        }
    }

    /// What an actor would get if a draft or paused experiment ran: their override's variant, what is
    /// stored, or what the entry rules say. Of an experiment in another state, what they would get now. Stores
    /// nothing, and tells the sink nothing.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    pub fn preview(&self, experiment: &str, actor: &str) -> Result<Assigned, ExperimentError> {
        let situation = self.store.situation(experiment, actor)?.as_if_running();
        let assigned = Assigned::of(situation.verdict()?, situation.known()?)?;
        Ok(Assigned {
            stored: false,
            ..assigned
        })
    }

    /// Which rule decides for the actor, and with what numbers. Writes nothing.
    ///
    /// # Errors
    /// The experiment is unknown, the actor [can't be stored](ExperimentError::InvalidConfig), or the
    /// store fails.
    pub fn explain(&self, experiment: &str, actor: &str) -> Result<Explanation, ExperimentError> {
        Explanation::of(self.store.situation(experiment, actor)?)
    }

    /// All experiments, sorted by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        self.store.list()
    }

    /// One experiment as it is configured.
    ///
    /// # Errors
    /// It is unknown, or the store fails.
    pub fn status(&self, experiment: &str) -> Result<ExperimentConfig, ExperimentError> {
        let found = self.store.get(experiment)?;
        found.ok_or_else(|| ExperimentError::NotFound(experiment.to_owned()))
    }

    /// Shows the assignments of an experiment one after another, sorted by actor.
    ///
    /// # Errors
    /// When the store or `each` fails.
    pub fn scan_assignments(
        &self,
        experiment: &str,
        each: Each<'_, AssignmentRecord>,
    ) -> Result<(), ExperimentError> {
        self.store.scan_assignments(experiment, each)
    }

    /// Shows the kept exposures of an experiment one after another, in their order.
    ///
    /// # Errors
    /// When the store or `each` fails.
    pub fn scan_exposures(
        &self,
        experiment: &str,
        scan: &ExposureScan,
        each: Each<'_, ExposureRecord>,
    ) -> Result<(), ExperimentError> {
        self.store.scan_exposures(experiment, scan, each)
    }

    /// The periods of an experiment's weights, in order, each with the counts of its assignments.
    ///
    /// # Errors
    /// When the store fails.
    pub fn weight_periods(&self, experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError> {
        self.store.weight_periods(experiment)
    }

    /// Keeps outcomes, all of them or none. Of several with one id, only the first of a metric is kept.
    ///
    /// # Errors
    /// One of them [can't be stored](ExperimentError::InvalidOutcome), or the store fails.
    pub fn track(&self, outcomes: &[Outcome]) -> Result<Tracked, ExperimentError> {
        self.store.track(outcomes)
    }

    /// The store itself, for what takes one.
    #[must_use]
    pub fn store(&self) -> &dyn ExperimentStore {
        &*self.store
    }

    /// All overrides of an experiment, sorted by actor.
    ///
    /// # Errors
    /// It is unknown, or the store fails.
    pub fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError> {
        self.status(experiment)?;
        self.store.overrides(experiment)
    }

    /// How often the actor was shown what, in all experiments.
    ///
    /// # Errors
    /// When the store fails.
    pub fn exposure_totals(&self, actor: &str) -> Result<Vec<ExposureTotal>, ExperimentError> {
        self.store.exposure_totals(actor)
    }

    /// Entries of the audit log, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn changes(&self, scan: &ChangeScan<'_>) -> Result<Vec<ChangeRecord>, ExperimentError> {
        self.store.changes(scan)
    }

    /// The audit log of an experiment, newest first; `limit` 0 means all. Empty if it is unknown.
    ///
    /// # Errors
    /// When the store fails.
    pub fn history(
        &self,
        experiment: &str,
        limit: usize,
    ) -> Result<Vec<ChangeRecord>, ExperimentError> {
        self.store.history(experiment, limit)
    }
}
