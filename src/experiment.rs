//! What an experiment is: its configuration, its records, and what makes a configuration valid.
//! No rule of assignment or lifecycle belongs here; those are in `rules`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bucketing::Bucketing;
use crate::error::{ConfigProblem, ExperimentError, Field};

/// The longest name of an experiment, a variant or an exclusion group, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest actor or request id, in bytes. Postgres could not index much more.
pub const MAX_ACTOR_BYTES: usize = 1024;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 4096;

/// Where an experiment is in its life. [`Archived`](Self::Archived) is terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentState {
    /// Declared; assigns nobody yet.
    Draft,
    /// Assigns actors and records exposures.
    Running,
    /// Everybody gets the winner; nothing is recorded.
    Concluded,
    /// Over. Nothing about it changes any more.
    Archived,
}

impl ExperimentState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Running, Self::Concluded, Self::Archived];

    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Concluded => "concluded",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for ExperimentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One arm of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VariantConfig {
    /// Unique within the experiment.
    pub name: String,
    /// Relative to the other weights; they need not add up to anything. `0` disables the variant
    /// for new actors without removing it.
    pub weight: u32,
}

impl VariantConfig {
    /// A variant of this name and relative weight.
    #[must_use]
    pub fn new(name: impl Into<String>, weight: u32) -> Self {
        Self {
            name: name.into(),
            weight,
        }
    }
}

/// The configuration of one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentConfig {
    /// Unique in the store.
    pub name: String,
    /// What it is about, for people.
    pub description: Option<String>,
    /// Where it is in its life.
    pub state: ExperimentState,
    /// The arms. Their order decides who gets which.
    pub variants: Vec<VariantConfig>,
    /// The variant everybody gets; only a concluded experiment, or an archived one that was
    /// concluded before, has one.
    pub winner: Option<String>,
    /// Experiments of one group never share an actor (overrides aside).
    pub exclusion_group: Option<String>,
    /// How actors become buckets.
    #[serde(default)]
    pub bucketing: Bucketing,
    /// When the store last changed it, in seconds since the Unix epoch. The store sets it; 0 before.
    #[serde(default)]
    pub updated_at_secs: u64,
}

impl ExperimentConfig {
    /// A draft with these variants.
    #[must_use]
    pub fn new(name: impl Into<String>, variants: Vec<VariantConfig>) -> Self {
        Self {
            name: name.into(),
            description: None,
            state: ExperimentState::Draft,
            variants,
            winner: None,
            exclusion_group: None,
            bucketing: Bucketing::default(),
            updated_at_secs: 0,
        }
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Puts it into an exclusion group.
    #[must_use]
    pub fn exclusion_group(mut self, group: impl Into<String>) -> Self {
        self.exclusion_group = Some(group.into());
        self
    }

    /// Sets how actors become buckets.
    #[must_use]
    pub fn bucketing(mut self, bucketing: Bucketing) -> Self {
        self.bucketing = bucketing;
        self
    }

    /// The variant of that name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&VariantConfig> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// The variant of that name, or [`UnknownVariant`](ExperimentError::UnknownVariant).
    pub(crate) fn require_variant(&self, name: &str) -> Result<&VariantConfig, ExperimentError> {
        self.variant(name)
            .ok_or_else(|| ExperimentError::UnknownVariant {
                experiment: self.name.clone(),
                variant: name.to_owned(),
                known: self.variants.iter().map(|v| v.name.clone()).collect(),
            })
    }

    /// Everything that is wrong with it, in the order of its fields; empty when it is valid.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        problems.extend(name_problem(Field::Name, &self.name));
        if let Some(description) = &self.description {
            problems.extend(text_problem(
                Field::Description,
                description,
                MAX_DESCRIPTION_BYTES,
            ));
        }
        problems.extend(variants_problems(&self.variants));
        if let Some(group) = &self.exclusion_group {
            problems.extend(name_problem(Field::ExclusionGroup, group));
        }
        problems.extend(self.winner_problem());
        problems
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

/// Checks that a store can hold this actor: not empty, no NUL, not too long.
pub(crate) fn validate_actor(experiment: &str, actor: &str) -> Result<(), ExperimentError> {
    let problem = if actor.is_empty() {
        Some(ConfigProblem::Empty(Field::Actor))
    } else {
        text_problem(Field::Actor, actor, MAX_ACTOR_BYTES)
    };
    first_problem(experiment, problem)
}

/// Checks that a store can hold this request id.
pub(crate) fn validate_request_id(
    experiment: &str,
    request_id: Option<&str>,
) -> Result<(), ExperimentError> {
    let problem = request_id.and_then(|id| text_problem(Field::RequestId, id, MAX_ACTOR_BYTES));
    first_problem(experiment, problem)
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

fn variants_problems(variants: &[VariantConfig]) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    if variants.is_empty() {
        problems.push(ConfigProblem::NoVariants);
    }
    let mut seen = std::collections::HashSet::new();
    for (index, variant) in variants.iter().enumerate() {
        problems.extend(name_problem(Field::Variant(index), &variant.name));
        if !seen.insert(&variant.name) {
            problems.push(ConfigProblem::DuplicateVariant(variant.name.clone()));
        }
    }
    problems
}

fn name_problem(field: Field, name: &str) -> Option<ConfigProblem> {
    if name.trim().is_empty() {
        Some(ConfigProblem::Empty(field))
    } else if name.chars().any(char::is_control) {
        Some(ConfigProblem::ControlCharacter(field))
    } else {
        too_long(field, name, MAX_NAME_BYTES)
    }
}

/// Free text may hold anything but NUL, which Postgres cannot store.
fn text_problem(field: Field, text: &str, limit: usize) -> Option<ConfigProblem> {
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

/// The stored, sticky variant of one actor in one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The experiment's name.
    pub experiment: String,
    /// Who is assigned.
    pub actor: String,
    /// The variant's name.
    pub variant: String,
    /// Whether an override made it, rather than the actor's bucket.
    pub is_override: bool,
    /// When it was stored, in seconds since the Unix epoch.
    pub assigned_at_secs: u64,
}

/// A variant pinned to one actor by staff or QA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The experiment's name.
    pub experiment: String,
    /// Whom it is pinned to.
    pub actor: String,
    /// The variant's name. It may have been removed since; then the override is ignored.
    pub variant: String,
    /// When it was set, in seconds since the Unix epoch.
    pub created_at_secs: u64,
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// The experiment's name.
    pub experiment: String,
    /// What was done: `created`, `updated`, `state=running`, `state=archived`,
    /// `concluded=<winner>`, `set_weights`, `override=<actor>:<variant>` or
    /// `override_cleared=<actor>`.
    pub mutation: String,
    /// The operator who did it, where the store's handle named one.
    pub actor: Option<String>,
    /// When, in seconds since the Unix epoch.
    pub timestamp_secs: u64,
    /// What it was before and what it is after. `None` for an entry another program wrote.
    pub detail: Option<ChangeDetail>,
}

/// The two sides of a change. Both hold the same fields: those the change is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeDetail {
    /// The values before; empty for a creation.
    pub before: ChangeSide,
    /// The values after.
    pub after: ChangeSide,
}

/// The values on one side of a change; what is not set is not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeSide {
    /// The lifecycle state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ExperimentState>,
    /// The winner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    /// The variants with their weights, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<Vec<VariantConfig>>,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The exclusion group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusion_group: Option<String>,
    /// How actors become buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucketing: Option<Bucketing>,
    /// The variant pinned to the actor whom the mutation names.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
}

/// How many stored assignments one variant has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantCount {
    /// The variant's name.
    pub variant: String,
    /// Assignments that the actors' buckets made.
    pub assigned: u64,
    /// Assignments that overrides made.
    pub overridden: u64,
}
