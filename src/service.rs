//! The front door: every operation of the library on one store.
//!
//! It orchestrates: asks the store for an atomic step, then tells the exposure sink. The rules
//! themselves are in `assignment` and `lifecycle`, and are applied inside the store's transaction.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::assignment::{Answers, AssignManyRequest, AssignRequest, Assigned, Explanation, Keep};
use crate::bucketing::{BUCKETS, bucket_counts};
use crate::error::ExperimentError;
use crate::experiment::{
    AssignmentRecord, ChangeRecord, ExperimentConfig, ExperimentState, Override, VariantConfig,
    VariantCount, WeightPeriod,
};
use crate::exposure::{ExposureRecord, ExposureScan, ExposureSink, TracingExposureSink};
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

    /// Creates an experiment, or replaces the draft of that name.
    ///
    /// # Errors
    /// It is [invalid](ExperimentError::InvalidConfig), there
    /// [already](ExperimentError::AlreadyExists) and no draft, or
    /// [archived](ExperimentError::Archived); it is a draft with assignments, and [a variant of
    /// them](ExperimentError::VariantInUse) would go or [its group](ExperimentError::GroupInUse) would
    /// change; or the store fails.
    pub fn create(
        &self,
        config: ExperimentConfig,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.upsert(config)
    }

    /// Creates an experiment that must not be there in any state.
    ///
    /// # Errors
    /// As [`create`](Self::create), and also when there is a draft of that name.
    pub fn create_new(
        &self,
        config: ExperimentConfig,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.insert(config)
    }

    /// Starts a draft, or starts a concluded experiment again, without its winner. `None` if it runs
    /// already, unless an application has left a winner: that is cleared.
    ///
    /// # Errors
    /// It is unknown or archived, or the store fails.
    pub fn start(&self, experiment: &str) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store
            .set_state(experiment, ExperimentState::Running, None)
    }

    /// Gives everybody the winner from now on.
    ///
    /// # Errors
    /// It is unknown or archived, the winner is not one of its variants, or the store fails.
    pub fn conclude(
        &self,
        experiment: &str,
        winner: &str,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store
            .set_state(experiment, ExperimentState::Concluded, Some(winner))
    }

    /// Ends an experiment for good. `None` if it is archived already.
    ///
    /// # Errors
    /// It is unknown, or the store fails.
    pub fn archive(&self, experiment: &str) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store
            .set_state(experiment, ExperimentState::Archived, None)
    }

    /// Replaces the variants and their weights. Nobody who is assigned is moved. The change is logged as
    /// `operator`'s; with `None`, as that of the store's own operator.
    ///
    /// # Errors
    /// It is unknown, concluded or archived; the variants are invalid; one that would go
    /// [has assignments](ExperimentError::VariantInUse); or the store fails.
    pub fn set_weights(
        &self,
        experiment: &str,
        variants: Vec<VariantConfig>,
        operator: Option<&str>,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.set_variants(experiment, variants, operator)
    }

    /// Overrides the variant of an actor, from the next assignment on.
    ///
    /// # Errors
    /// The experiment or the variant is unknown, it is archived, or the store fails.
    pub fn set_override(
        &self,
        experiment: &str,
        actor: &str,
        variant: &str,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.set_override(experiment, actor, variant)
    }

    /// Takes an override back and drops the assignment that it made, so that the actor is bucketed
    /// again. `None` if there was none.
    ///
    /// # Errors
    /// It is unknown or archived, or the store fails.
    pub fn clear_override(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.clear_override(experiment, actor)
    }

    /// The actor's variant: assigned now, or as it was before.
    ///
    /// # Errors
    /// The experiment is [unknown](ExperimentError::NotFound),
    /// [archived](ExperimentError::Archived) or [a draft](ExperimentError::NotRunning); the actor is
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

    /// The same, with the rule that chose the variant.
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
    /// The experiment is unknown, archived or a draft; an actor [can't be
    /// stored](ExperimentError::InvalidConfig); or the store fails.
    pub fn assign_many(&self, request: &AssignManyRequest<'_>) -> Result<Answers, ExperimentError> {
        let answers = self.store.assign_many(request)?;
        if request.keep == Keep::AssignmentsAndExposures && self.sink.is_recording() {
            let clock = self.store.clock();
            for (actor, verdict) in request.actors.iter().zip(answers.iter()) {
                let Some(variant) = verdict.variant.filter(|_| verdict.is_exposure()) else {
                    continue;
                };
                let single = AssignRequest::new(request.experiment, actor);
                self.sink
                    .record(single.exposure(variant, verdict.is_override, clock));
            }
        }
        Ok(answers)
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
        let (service, experiment, actor) = (self.clone(), experiment.to_owned(), actor.to_owned());
        let request_id = request_id.map(str::to_owned);
        let assigning = tokio::task::spawn_blocking(move || {
            service.assign_with_request_id(&experiment, &actor, request_id.as_deref())
        });
        match assigning.await {
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

    /// Which rule decides for the actor, and with what numbers. Writes nothing.
    ///
    /// # Errors
    /// The experiment is unknown, the actor [can't be stored](ExperimentError::InvalidConfig), or the
    /// store fails.
    pub fn explain(&self, experiment: &str, actor: &str) -> Result<Explanation, ExperimentError> {
        Explanation::of(self.store.situation(experiment, actor)?)
    }

    /// All experiments, with how many hold each variant: what a plan begins with.
    ///
    /// # Errors
    /// When the store fails.
    #[cfg(feature = "declare")]
    pub fn current(&self) -> Result<Vec<crate::declare::Current>, ExperimentError> {
        let all = self.store.list()?.into_iter();
        all.map(|config| {
            let counts = self.store.variant_counts(&config.name)?;
            Ok(crate::declare::Current { config, counts })
        })
        .collect()
    }

    /// Does what a plan says, in one step: as a whole or not at all. Returns the changes, in order.
    ///
    /// # Errors
    /// An experiment is [not as it was](ExperimentError::ChangedMeanwhile) when the plan was made; a
    /// step is refused; or the store fails.
    #[cfg(feature = "declare")]
    pub fn apply(&self, plan: &crate::declare::Plan) -> Result<Vec<ChangeRecord>, ExperimentError> {
        let changes = self
            .store
            .mutate_all(&plan.expected(), &plan.mutations(), None)?;
        Ok(changes.into_iter().flatten().collect())
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

    /// One experiment, with what each variant has got so far.
    ///
    /// # Errors
    /// It is unknown, or the store fails.
    pub fn summary(&self, experiment: &str) -> Result<ExperimentSummary, ExperimentError> {
        let config = self.status(experiment)?;
        let periods = self.store.weight_periods(experiment)?;
        let counts = VariantCount::totals(&config.variants, &periods);
        let variants = config.variants.iter().zip(counts);
        let variants = variants.map(|(variant, count)| VariantSummary {
            name: variant.name.clone(),
            weight: variant.weight,
            expected_share: share_of(&variant.name, &config.variants),
            expected: expected(&variant.name, &periods),
            assigned: count.assigned,
            overridden: count.overridden,
        });
        Ok(ExperimentSummary {
            variants: variants.collect(),
            config,
            periods,
        })
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

    /// Removes the kept exposures of before that second, but for each actor's first to each variant. Returns
    /// how many.
    ///
    /// # Errors
    /// The experiment is unknown, or the store fails.
    pub fn prune_exposures(
        &self,
        experiment: &str,
        before_secs: u64,
    ) -> Result<u64, ExperimentError> {
        self.store.prune_exposures(experiment, before_secs, None)
    }

    /// The periods of an experiment's weights, in order, each with the counts of its assignments.
    ///
    /// # Errors
    /// When the store fails.
    pub fn weight_periods(&self, experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError> {
        self.store.weight_periods(experiment)
    }

    /// Keeps outcomes, all of them or none. Of one that has an id only the first of its metric is kept.
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

/// The share of the buckets that select a variant of these.
#[expect(clippy::cast_precision_loss, reason = "at most 10000 buckets")]
fn share_of(variant: &str, variants: &[VariantConfig]) -> f64 {
    let place = variants.iter().position(|known| known.name == variant);
    let buckets = bucket_counts(variants.iter().map(|variant| variant.weight));
    place.map_or(0.0, |place| buckets[place] as f64 / BUCKETS as f64)
}

/// How many of the assigned actors a variant should have: of each period's actors the share that its weights
/// promise.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 actors")]
fn expected(variant: &str, periods: &[WeightPeriod]) -> f64 {
    let expected = periods.iter().map(|period| {
        let actors: u64 = period.counts.iter().map(|count| count.assigned).sum();
        share_of(variant, &period.variants) * actors as f64
    });
    // An empty sum of floats is -0.
    expected.sum::<f64>() + 0.0
}

/// One experiment and what its variants have got so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentSummary {
    /// The experiment.
    pub config: ExperimentConfig,
    /// Its variants, in order.
    pub variants: Vec<VariantSummary>,
    /// The periods of its weights, in order, each with its counts.
    pub periods: Vec<WeightPeriod>,
}

/// One variant's part of an [`ExperimentSummary`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantSummary {
    /// The variant's name.
    pub name: String,
    /// Its relative weight.
    pub weight: u32,
    /// The share of the buckets that select it now, from 0 to 1. All zero when every weight is zero.
    pub expected_share: f64,
    /// How many of the assigned actors it should have, by the weights under which each was assigned.
    pub expected: f64,
    /// Stored assignments that the actors' buckets made.
    pub assigned: u64,
    /// Stored assignments that overrides made.
    pub overridden: u64,
}
