//! What a store may hold: the limits, and what makes a configuration valid.

use std::collections::HashSet;

use crate::error::{ConfigProblem, ExperimentError, Field};
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig};
use crate::field::{
    ConfigField, FieldKind, FieldValue, MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, MAX_VARIANTS,
};
use crate::text::is_blank;

/// The longest actor or request id, in bytes. Postgres could not index much more.
pub const MAX_ACTOR_BYTES: usize = 1024;

impl ExperimentConfig {
    /// The variant of that name.
    ///
    /// # Errors
    /// [`UnknownVariant`](ExperimentError::UnknownVariant) if it has none.
    pub fn require_variant(&self, name: &str) -> Result<&VariantConfig, ExperimentError> {
        self.variant(name)
            .ok_or_else(|| ExperimentError::UnknownVariant {
                experiment: self.name.clone(),
                variant: name.to_owned(),
                known: self.variants.iter().map(|v| v.name.clone()).collect(),
            })
    }

    /// Everything that is wrong with it; empty when it is valid.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        // The winner is one of the variants, so its name is one that was looked at.
        let texts = ConfigField::ALL.into_iter();
        let texts = texts.filter(|field| *field != ConfigField::Winner);
        let mut problems: Vec<_> = texts.filter_map(|field| self.text_problem(field)).collect();
        problems.extend(variants_problems(&self.variants));
        problems.extend(self.winner_problem());
        problems.extend(analysis_problems(self));
        problems
    }

    fn text_problem(&self, field: ConfigField) -> Option<ConfigProblem> {
        let text = field.get(self).and_then(FieldValue::text)?;
        match field.kind() {
            FieldKind::Name => name_problem(Field::Config(field), text),
            FieldKind::Text(limit) => text_problem(Field::Config(field), text, limit),
            FieldKind::OneOf { .. } | FieldKind::Share | FieldKind::Variants => None,
        }
    }

    fn winner_problem(&self) -> Option<ConfigProblem> {
        match (self.state, &self.winner) {
            (ExperimentState::Concluded, None) => Some(ConfigProblem::WinnerMissing),
            (ExperimentState::Draft | ExperimentState::Running, Some(_)) => {
                Some(ConfigProblem::WinnerNotConcluded)
            }
            (_, Some(winner)) if self.variant(winner).is_none() => {
                Some(ConfigProblem::WinnerUnknown(winner.clone()))
            }
            _ => None,
        }
    }

    /// Checks that a store may hold it.
    ///
    /// # Errors
    /// [`InvalidConfig`](ExperimentError::InvalidConfig) with the first of its
    /// [`problems`](Self::problems).
    pub fn validate(&self) -> Result<(), ExperimentError> {
        first_problem(&self.name, self.problems())
    }
}

/// Checks a list of variants as [`ExperimentConfig::validate`] would.
pub(crate) fn validate_variants(
    experiment: &str,
    variants: &[VariantConfig],
) -> Result<(), ExperimentError> {
    first_problem(experiment, variants_problems(variants))
}

/// Checks the metrics as [`ExperimentConfig::validate`] would.
pub(crate) fn validate_metrics(config: &ExperimentConfig) -> Result<(), ExperimentError> {
    first_problem(&config.name, analysis_problems(config))
}

/// Checks that a store may hold this description.
pub(crate) fn validate_description(
    experiment: &str,
    description: Option<&str>,
) -> Result<(), ExperimentError> {
    first_problem(experiment, description.and_then(description_problem))
}

fn description_problem(description: &str) -> Option<ConfigProblem> {
    let field = Field::Config(ConfigField::Description);
    text_problem(field, description, MAX_DESCRIPTION_BYTES)
}

/// What keeps a store from holding this actor: it is empty, holds NUL, or is too long.
#[must_use]
pub fn actor_problem(actor: &str) -> Option<ConfigProblem> {
    if actor.is_empty() {
        Some(ConfigProblem::Empty(Field::Actor))
    } else {
        text_problem(Field::Actor, actor, MAX_ACTOR_BYTES)
    }
}

/// Checks that a store can hold this actor.
pub(crate) fn validate_actor(experiment: &str, actor: &str) -> Result<(), ExperimentError> {
    first_problem(experiment, actor_problem(actor))
}

/// Checks that a store can hold this request id.
pub(crate) fn validate_request_id(
    experiment: &str,
    request_id: Option<&str>,
) -> Result<(), ExperimentError> {
    first_problem(experiment, request_id.and_then(request_id_problem))
}

/// What keeps a store from holding this request id.
pub(crate) fn request_id_problem(request_id: &str) -> Option<ConfigProblem> {
    text_problem(Field::RequestId, request_id, MAX_ACTOR_BYTES)
}

fn first_problem(
    experiment: &str,
    problems: impl IntoIterator<Item = ConfigProblem>,
) -> Result<(), ExperimentError> {
    match problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(ExperimentError::InvalidConfig {
            experiment: experiment.to_owned(),
            problem,
        }),
    }
}

fn analysis_problems(config: &ExperimentConfig) -> Vec<ConfigProblem> {
    let metrics = config.analysis.metrics.iter().enumerate();
    metrics
        .filter_map(|(index, metric)| name_problem(Field::Metric(index), &metric.name))
        .collect()
}

fn variants_problems(variants: &[VariantConfig]) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    if variants.is_empty() {
        problems.push(ConfigProblem::NoVariants);
    }
    if variants.len() > MAX_VARIANTS {
        problems.push(ConfigProblem::TooManyVariants {
            count: variants.len(),
            limit: MAX_VARIANTS,
        });
    }
    let mut seen = HashSet::new();
    for (index, variant) in variants.iter().enumerate() {
        problems.extend(name_problem(Field::Variant(index), &variant.name));
        if !seen.insert(&variant.name) {
            problems.push(ConfigProblem::DuplicateVariant(variant.name.clone()));
        }
    }
    problems
}

/// What keeps a store from holding a name.
pub(crate) fn name_problem(field: Field, name: &str) -> Option<ConfigProblem> {
    if name.chars().all(is_blank) {
        Some(ConfigProblem::Empty(field))
    } else if name.chars().any(char::is_control) {
        Some(ConfigProblem::ControlCharacter(field))
    } else {
        too_long(field, name, MAX_NAME_BYTES)
    }
}

/// What keeps a store from holding a text. Free text may hold anything but NUL, which Postgres cannot store.
pub(crate) fn text_problem(field: Field, text: &str, limit: usize) -> Option<ConfigProblem> {
    if text.contains('\0') {
        Some(ConfigProblem::ControlCharacter(field))
    } else {
        too_long(field, text, limit)
    }
}

fn too_long(field: Field, text: &str, limit: usize) -> Option<ConfigProblem> {
    let bytes = text.len();
    (bytes > limit).then_some(ConfigProblem::TooLong {
        field,
        bytes,
        limit,
    })
}
