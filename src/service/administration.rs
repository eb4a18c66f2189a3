//! What changes an experiment, or takes back what is kept of it. What may be done in which state is in `lifecycle`.

use super::ExperimentService;
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{
    ChangeRecord, ExperimentConfig, ExperimentState, Unassigned, VariantConfig, VariantValues,
};
use crate::lifecycle::Mutation;

impl ExperimentService {
    /// Creates an experiment, or replaces the draft of that name.
    ///
    /// # Errors
    /// It is [invalid](ExperimentError::InvalidConfig), it
    /// [exists already](ExperimentError::AlreadyExists) and is not a draft, or
    /// [archived](ExperimentError::Archived); it is a draft with assignments, and [a variant of
    /// them](ExperimentError::VariantInUse) would go or [its group](ExperimentError::GroupInUse) would
    /// change; or the store fails.
    pub fn create(
        &self,
        config: ExperimentConfig,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.upsert(config)
    }

    /// Creates an experiment that must not exist yet, in any state.
    ///
    /// # Errors
    /// As [`create`](Self::create), and also when there is a draft of that name.
    pub fn create_new(
        &self,
        config: ExperimentConfig,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.insert(config)
    }

    /// Starts a draft, resumes a paused experiment, or starts a concluded one again, without its winner. `None` if it runs
    /// already, unless an application has left a winner: that is cleared.
    ///
    /// # Errors
    /// It is unknown or archived, or the store fails.
    pub fn start(&self, experiment: &str) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store
            .set_state(experiment, ExperimentState::Running, None)
    }

    /// Gives nobody a variant until it is [started](Self::start) again. Nothing is forgotten. `None` if it is paused
    /// already.
    ///
    /// # Errors
    /// It is unknown, archived or [not running](ExperimentError::NotRunning), or the store fails.
    pub fn pause(&self, experiment: &str) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store
            .set_state(experiment, ExperimentState::Paused, None)
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

    /// Changes the weights of these variants, and leaves the others as they are; one that is not there is added. Nobody
    /// who is assigned is moved.
    ///
    /// # Errors
    /// It is unknown, concluded or archived; the variants are invalid; or the store fails.
    pub fn set_some_weights(
        &self,
        experiment: &str,
        weights: &[VariantConfig],
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let mutation = Mutation::SetWeights {
            experiment,
            weights,
        };
        self.store.mutate(&mutation, None)
    }

    /// Sets the share of the newcomers who enter. Whoever is in stays in.
    ///
    /// # Errors
    /// It is unknown, concluded or archived, or the store fails.
    pub fn set_coverage(
        &self,
        experiment: &str,
        coverage: Coverage,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let mutation = Mutation::SetCoverage {
            experiment,
            coverage,
        };
        self.store.mutate(&mutation, None)
    }

    /// Lets newcomers in, or keeps them out. Whoever is in stays in.
    ///
    /// # Errors
    /// It is unknown, concluded or archived, or the store fails.
    pub fn set_enrolling(
        &self,
        experiment: &str,
        enrolling: bool,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let mutation = Mutation::SetEnrolling {
            experiment,
            enrolling,
        };
        self.store.mutate(&mutation, None)
    }

    /// Replaces what the variants stand for.
    ///
    /// # Errors
    /// It is unknown, concluded or archived; the values are [invalid](ExperimentError::InvalidConfig); or the store
    /// fails.
    pub fn set_values(
        &self,
        experiment: &str,
        values: &VariantValues,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store
            .mutate(&Mutation::SetValues { experiment, values }, None)
    }

    /// Takes the assignments of some actors back, with their kept exposures: whoever has no override is a newcomer
    /// again. All of it or nothing.
    ///
    /// # Errors
    /// The experiment is unknown, concluded or archived; or the store fails.
    pub fn unassign(
        &self,
        experiment: &str,
        actors: &[&str],
    ) -> Result<Unassigned, ExperimentError> {
        self.store.unassign(experiment, actors, None)
    }

    /// Removes a draft of which nothing is kept but its log, which stays.
    ///
    /// # Errors
    /// It is unknown, archived or [not a draft](ExperimentError::NotDraft); something [is kept of
    /// it](ExperimentError::InUse); or the store fails.
    pub fn delete(&self, experiment: &str) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store.mutate(&Mutation::Delete { experiment }, None)
    }

    /// Gives such a draft another name, and its log with it. `None` if it has that name.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); an experiment with the other name [exists](ExperimentError::AlreadyExists); or an
    /// application that shares the store [knows it by its name](ExperimentError::NameIsShared).
    pub fn rename(
        &self,
        experiment: &str,
        to: &str,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.store
            .mutate(&Mutation::Rename { experiment, to }, None)
    }

    /// Overrides the variant of an actor, from the next assignment on and until that second since the Unix epoch,
    /// if it has an end.
    ///
    /// # Errors
    /// The experiment or the variant is unknown; it is archived; the end has passed; or the store fails.
    pub fn set_override_until(
        &self,
        experiment: &str,
        actor: &str,
        variant: &str,
        expires_at_secs: Option<u64>,
        reason: Option<&str>,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let mutation = Mutation::SetOverride {
            experiment,
            actor,
            variant,
            expires_at_secs,
            reason,
        };
        self.store.mutate(&mutation, None)
    }

    /// Overrides the variant of an actor, from the next assignment on and without end.
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

    /// Removes the kept exposures from before that second, except each actor's first to each variant. Returns
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
}
