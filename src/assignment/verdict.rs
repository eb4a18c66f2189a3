//! What the rules answer: one type for one actor, for many, for a dry run and for an explanation.

use serde_json::Value;

use crate::error::{ErrorKind, ExperimentError};
use crate::experiment::ExperimentConfig;
use crate::rule::{AssignmentReason, Rule};
use crate::validation::validate_actor;

/// What the rules decided for one actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The answer of the rule that decided; [`rule`](AssignmentReason::rule) names the rule.
    pub reason: AssignmentReason,
    /// The variant the actor gets; `None` if it is refused.
    pub variant: Option<&'a str>,
    /// What the variant stands for, if it has a value.
    pub value: Option<&'a Value>,
    /// Whether the assignment, stored already or now, is an override's.
    pub is_override: bool,
    /// Whether it must be stored as the actor's assignment; otherwise it is there already, or nothing is
    /// stored.
    pub store: bool,
}

impl<'a> Verdict<'a> {
    pub(super) fn refused(reason: AssignmentReason) -> Self {
        Self {
            reason,
            variant: None,
            value: None,
            is_override: false,
            store: false,
        }
    }

    pub(super) fn given(reason: AssignmentReason, variant: &'a str) -> Self {
        Self {
            reason,
            variant: Some(variant),
            value: None,
            is_override: false,
            store: false,
        }
    }

    /// Whether the actor was shown the variant: always when there is one, but for a concluded experiment.
    #[must_use]
    pub fn is_exposure(&self) -> bool {
        self.reason.is_exposure()
    }

    /// The error that it means, if it refuses. `experiment` is the one that it was made for.
    #[must_use]
    pub fn refusal(&self, experiment: &ExperimentConfig) -> Option<ExperimentError> {
        let name = || experiment.name.clone();
        Some(match self.reason {
            AssignmentReason::Archived => ExperimentError::Archived(name()),
            AssignmentReason::NoWinner => ExperimentError::NoWinner(name()),
            AssignmentReason::NotRunning => ExperimentError::NotRunning(name(), experiment.state),
            AssignmentReason::Excluded => {
                let group = experiment.exclusion_group.clone().unwrap_or_default();
                ExperimentError::ExcludedByGroup(name(), group)
            }
            AssignmentReason::Closed | AssignmentReason::NotCovered => {
                ExperimentError::NotEnrolled {
                    experiment: name(),
                    reason: self.reason,
                }
            }
            AssignmentReason::NoVariant => ExperimentError::NoVariant(name()),
            AssignmentReason::Concluded
            | AssignmentReason::Override
            | AssignmentReason::Sticky
            | AssignmentReason::Assigned => return None,
        })
    }

    /// The variant, or the error that it means.
    ///
    /// # Errors
    /// It refuses.
    pub fn into_result(self, experiment: &ExperimentConfig) -> Result<&'a str, ExperimentError> {
        // Most calls end here, and make no error.
        if let Some(variant) = self.variant {
            return Ok(variant);
        }
        match self.refusal(experiment) {
            Some(refusal) => Err(refusal),
            None => Ok(""),
        }
    }

    /// Ends a call for many if nobody can have a variant, whatever is stored of them.
    ///
    /// # Errors
    /// The refusal, if it [concerns everyone](AssignmentReason::concerns_everyone).
    pub(crate) fn require_answer_to_one(
        &self,
        experiment: &ExperimentConfig,
    ) -> Result<(), ExperimentError> {
        if !self.reason.concerns_everyone() {
            return Ok(());
        }
        self.refusal(experiment).map_or(Ok(()), Err)
    }

    /// The verdict behind an error that concerns one actor only.
    ///
    /// # Errors
    /// The error, if it ends a call for many.
    pub(crate) fn of_one(error: ExperimentError) -> Result<Self, ExperimentError> {
        match error.reason() {
            Some(reason) if !reason.concerns_everyone() => Ok(Self::refused(reason)),
            _ => Err(error),
        }
    }

    /// Checks the actor, unless a rule has answered that looks at what is stored of the experiment or of
    /// the actor. One whom another program has stored is served, even where this one would not store such
    /// an actor.
    ///
    /// # Errors
    /// The actor [can't be stored](crate::actor_problem).
    pub(super) fn require_storable(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<(), ExperimentError> {
        match self.reason.rule() {
            Rule::Group | Rule::Enrolment | Rule::Coverage | Rule::Bucket => {
                validate_actor(experiment, actor)
            }
            Rule::Override if self.store => validate_actor(experiment, actor),
            Rule::Archived
            | Rule::Concluded
            | Rule::NotRunning
            | Rule::Override
            | Rule::Assignment => Ok(()),
        }
    }
}

impl ExperimentError {
    /// The answer of the rules that it stands for, if it is the refusal of an assignment: the inverse of
    /// [`Verdict::refusal`].
    #[must_use]
    pub fn reason(&self) -> Option<AssignmentReason> {
        match self.kind() {
            ErrorKind::NotEnrolled(reason) => Some(reason),
            ErrorKind::Archived => Some(AssignmentReason::Archived),
            ErrorKind::NoWinner => Some(AssignmentReason::NoWinner),
            ErrorKind::NotRunning => Some(AssignmentReason::NotRunning),
            ErrorKind::ExcludedByGroup => Some(AssignmentReason::Excluded),
            ErrorKind::NoVariant => Some(AssignmentReason::NoVariant),
            ErrorKind::NotFound
            | ErrorKind::Concluded
            | ErrorKind::UnknownVariant
            | ErrorKind::AlreadyExists
            | ErrorKind::VariantInUse
            | ErrorKind::ChangedMeanwhile
            | ErrorKind::InvalidConfig
            | ErrorKind::InvalidOutcome
            | ErrorKind::GroupInUse
            | ErrorKind::NotDraft
            | ErrorKind::InUse
            | ErrorKind::NameIsShared
            | ErrorKind::Store(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_its_error_name_each_other() {
        let experiment = ExperimentConfig::new("e", Vec::new()).exclusion_group("g");
        for reason in AssignmentReason::ALL {
            let verdict = Verdict::refused(reason);
            let refusal = verdict.refusal(&experiment);
            assert_eq!(
                refusal.as_ref().and_then(ExperimentError::reason),
                refusal.as_ref().map(|_| reason)
            );
            let gives_a_variant = reason.is_exposure() || reason == AssignmentReason::Concluded;
            assert_eq!(refusal.is_none(), gives_a_variant, "{reason:?}");
        }
    }
}
