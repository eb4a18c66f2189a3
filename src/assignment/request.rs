//! One actor: what is asked of a store, what it answers, and all that decides it.

use serde_json::Value;

use super::rules::{Candidate, Facts, Question, StoredOverride, StoredVariant, decide};
use super::verdict::Verdict;
use crate::bucketing::Allocation;
use crate::clock::Clock;
use crate::error::ExperimentError;
use crate::experiment::{Assignment, ExperimentConfig, ExperimentState, Override};
use crate::exposure::ExposureRecord;
use crate::rule::AssignmentReason;
use crate::validation::validate_request_id;

/// One call of [`ExperimentStore::assign`](crate::ExperimentStore::assign).
#[derive(Debug, Clone, Copy)]
pub struct AssignRequest<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// Who is to be assigned.
    pub actor: &'a str,
    /// The request it happens in, for the exposure.
    pub request_id: Option<&'a str>,
    /// Whether the store keeps an exposure.
    pub keep_exposure: bool,
    /// The assignment that the caller brings along, to be stored if the standing rules allow it.
    pub candidate: Option<Candidate<'a>>,
}

impl<'a> AssignRequest<'a> {
    /// An assignment by the rules, of which no exposure is kept.
    #[must_use]
    pub fn new(experiment: &'a str, actor: &'a str) -> Self {
        Self {
            experiment,
            actor,
            request_id: None,
            keep_exposure: false,
            candidate: None,
        }
    }

    /// The same with an exposure, which has this request id.
    #[must_use]
    pub fn keep_exposure(mut self, request_id: Option<&'a str>) -> Self {
        self.keep_exposure = true;
        self.request_id = request_id;
        self
    }

    /// Has this assignment stored if the standing rules allow it.
    #[must_use]
    pub fn candidate(mut self, candidate: Candidate<'a>) -> Self {
        self.candidate = Some(candidate);
        self
    }

    /// Checks what does not depend on the store. A store calls it first.
    ///
    /// # Errors
    /// The request id [can't be stored](ExperimentError::InvalidConfig).
    pub fn validate(&self) -> Result<(), ExperimentError> {
        validate_request_id(self.experiment, self.request_id)
    }

    /// What the rules say to this request. A store calls it inside its transaction, writes the assignment
    /// if it is to be [stored](Assigned::stored), and keeps the [exposure](Self::exposure_of).
    ///
    /// # Errors
    /// The refusal of the rule that decides; the experiment has no variant such as the candidate's; or an
    /// actor who is to be stored [can't be](crate::actor_problem).
    pub fn decide(
        &self,
        experiment: &ExperimentConfig,
        allocation: &Allocation,
        facts: Facts<'_>,
    ) -> Result<Assigned, ExperimentError> {
        let verdict = decide(&Question {
            experiment,
            allocation,
            actor: self.actor,
            facts,
            candidate: self.candidate,
        });
        if let Some(candidate) = self.candidate
            && !verdict.reason.concerns_everyone()
        {
            experiment.require_variant(candidate.variant)?;
        }
        verdict.require_storable(self.experiment, self.actor)?;
        Assigned::of(verdict, experiment)
    }

    /// The exposure that the store has to keep for this answer, if any.
    #[must_use]
    pub fn exposure_of(&self, assigned: &Assigned, clock: Clock) -> Option<ExposureRecord> {
        (self.keep_exposure && assigned.is_exposure())
            .then(|| self.exposure(&assigned.variant, assigned.is_override, clock))
    }

    /// The exposure of the actor to that variant.
    pub(crate) fn exposure(
        &self,
        variant: &str,
        is_override: bool,
        clock: Clock,
    ) -> ExposureRecord {
        ExposureRecord {
            experiment: self.experiment.to_owned(),
            variant: variant.to_owned(),
            actor: self.actor.to_owned(),
            request_id: self.request_id.map(str::to_owned),
            is_override,
            timestamp_secs: clock.now_secs(),
        }
    }
}

/// The answer of [`ExperimentStore::assign`](crate::ExperimentStore::assign).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The variant's name.
    pub variant: String,
    /// What it stands for, if it has a value.
    pub value: Option<Value>,
    /// The answer of the rule that chose it.
    pub reason: AssignmentReason,
    /// Whether the actor's assignment is an override's. It may have outlived its override: then the
    /// reason is [`Sticky`](AssignmentReason::Sticky).
    pub is_override: bool,
    /// Whether this call stored the assignment; otherwise it was there already, or the experiment is
    /// concluded.
    pub stored: bool,
}

impl Assigned {
    /// What a verdict on the experiment gives.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) fn of(
        verdict: Verdict<'_>,
        experiment: &ExperimentConfig,
    ) -> Result<Self, ExperimentError> {
        Ok(Self {
            variant: verdict.into_result(experiment)?.to_owned(),
            value: verdict.value.cloned(),
            reason: verdict.reason,
            is_override: verdict.is_override,
            stored: verdict.store,
        })
    }

    /// The verdict behind it.
    #[must_use]
    pub fn verdict(&self) -> Verdict<'_> {
        Verdict {
            reason: self.reason,
            variant: Some(&self.variant),
            value: self.value.as_ref(),
            is_override: self.is_override,
            store: self.stored,
        }
    }

    /// Whether the call counts as an exposure: always, but for a concluded experiment.
    #[must_use]
    pub fn is_exposure(&self) -> bool {
        self.reason.is_exposure()
    }
}

/// All that decides one actor's assignment in one experiment, as one view of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The name that was asked for.
    pub experiment: String,
    /// The actor that was asked for.
    pub actor: String,
    /// The experiment, or `None` if there is none of that name.
    pub config: Option<ExperimentConfig>,
    /// The actor's override, whether it has expired or not; its variant may have been removed since.
    pub pinned: Option<Override>,
    /// The actor's stored assignment, whether an override made it that has expired or not.
    pub assignment: Option<Assignment>,
    /// The first by name, byte by byte, of the other experiments of the exclusion group in which the
    /// actor has an assignment that [counts](Facts::at). There is more than one only where overrides made them.
    pub sibling: Option<String>,
    /// When this was so, in seconds since the Unix epoch: it decides which overrides have expired.
    pub at_secs: u64,
}

impl Situation {
    /// Nothing is known of either.
    #[must_use]
    pub fn unknown(experiment: &str, actor: &str) -> Self {
        Self {
            experiment: experiment.to_owned(),
            actor: actor.to_owned(),
            config: None,
            pinned: None,
            assignment: None,
            sibling: None,
            at_secs: 0,
        }
    }

    /// The experiment.
    ///
    /// # Errors
    /// It is [unknown](ExperimentError::NotFound).
    pub fn known(&self) -> Result<&ExperimentConfig, ExperimentError> {
        let config = self.config.as_ref();
        config.ok_or_else(|| ExperimentError::NotFound(self.experiment.clone()))
    }

    /// What the rules look at.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let pinned = self.pinned.as_ref().map(StoredOverride::from);
        let stored = self.assignment.as_ref().map(|stored| StoredVariant {
            variant: &stored.variant,
            is_override: stored.is_override,
        });
        Facts {
            in_sibling: self.sibling.is_some(),
            ..Facts::at(|| self.at_secs, pinned, stored)
        }
    }

    /// The same, as if a draft or paused experiment ran.
    #[must_use]
    pub fn as_if_running(mut self) -> Self {
        if let Some(config) = &mut self.config
            && matches!(
                config.state,
                ExperimentState::Draft | ExperimentState::Paused
            )
        {
            config.state = ExperimentState::Running;
        }
        self
    }

    /// What the rules say in it, where nobody brings anything along.
    ///
    /// # Errors
    /// The experiment is unknown, or an actor who would be stored [can't be](crate::actor_problem).
    pub fn verdict(&self) -> Result<Verdict<'_>, ExperimentError> {
        let experiment = self.known()?;
        let verdict = decide(&Question {
            experiment,
            allocation: &experiment.allocation(),
            actor: &self.actor,
            facts: self.facts(),
            candidate: None,
        });
        verdict.require_storable(&self.experiment, &self.actor)?;
        Ok(verdict)
    }
}
