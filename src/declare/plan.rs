//! A plan: what would be done to a store, as it is shown, written to a file and applied.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::current::Current;
use super::moves::{Moves, gives_variants};
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig, VariantValues};
use crate::hypothesis;
use crate::lifecycle::{self, Mutation, MutationFacts, Write};
use crate::metric::MetricConfig;
use crate::store::Expected;

/// What would be done to a store, and what the store must be like for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of this format: [`VERSION`](Self::VERSION).
    pub exp_plan: u32,
    /// The experiments, in the order of the files; those to be archived come last.
    pub experiments: Vec<PlannedExperiment>,
}

/// What would be done to one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlannedExperiment {
    /// Its name.
    pub experiment: String,
    /// What is done to it, in a word.
    pub action: Action,
    /// The experiment as the store has it, if it does.
    pub before: Option<ExperimentConfig>,
    /// What it is to be.
    pub after: ExperimentConfig,
    /// The steps, in order. Each is one entry of the audit log.
    pub steps: Vec<PlanStep>,
    /// Who moves.
    pub moves: Moves,
    /// The metrics, by name, that are added or changed after the experiment has started: their numbers prove
    /// nothing.
    #[serde(default)]
    pub exploratory: Vec<String>,
}

/// What a plan does to an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Create,
    /// It changes.
    Change,
    /// It is in the store but in no file, and is archived.
    Prune,
    /// It stays as it is.
    Nothing,
}

impl Action {
    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Prune => "prune",
            Self::Nothing => "nothing",
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PlanStep {
    /// Create the experiment.
    Insert(ExperimentConfig),
    /// Replace the draft.
    Replace(ExperimentConfig),
    /// Replace the description.
    SetDescription(Option<String>),
    /// Replace the share of the newcomers who enter.
    SetCoverage(Coverage),
    /// Let newcomers in, or keep them out.
    SetEnrolling(bool),
    /// Replace the metrics.
    SetMetrics(Vec<MetricConfig>),
    /// Replace the variants. One that goes takes its value along.
    SetVariants(Vec<VariantConfig>),
    /// Replace the variants and what all of them stand for.
    SetVariantsAndValues {
        /// The variants.
        variants: Vec<VariantConfig>,
        /// Their values.
        values: VariantValues,
    },
    /// Replace what the variants stand for.
    SetValues(VariantValues),
    /// Move to a state.
    SetState {
        /// Which.
        state: ExperimentState,
        /// The winner, for [`ExperimentState::Concluded`].
        winner: Option<String>,
    },
}

impl PlanStep {
    pub(super) fn mutation<'a>(&'a self, experiment: &'a str) -> Mutation<'a> {
        match self {
            Self::Insert(config) => Mutation::Insert(config),
            Self::Replace(config) => Mutation::Upsert(config),
            Self::SetDescription(description) => Mutation::SetDescription {
                experiment,
                description: description.as_deref(),
            },
            Self::SetCoverage(coverage) => Mutation::SetCoverage {
                experiment,
                coverage: *coverage,
            },
            Self::SetEnrolling(enrolling) => Mutation::SetEnrolling {
                experiment,
                enrolling: *enrolling,
            },
            Self::SetMetrics(metrics) => Mutation::SetMetrics {
                experiment,
                metrics,
            },
            Self::SetVariants(variants) => Mutation::SetVariants {
                experiment,
                variants,
                values: None,
            },
            Self::SetVariantsAndValues { variants, values } => Mutation::SetVariants {
                experiment,
                variants,
                values: Some(values),
            },
            Self::SetValues(values) => Mutation::SetValues { experiment, values },
            Self::SetState { state, winner } => Mutation::SetState {
                experiment,
                state: *state,
                winner: winner.as_deref(),
            },
        }
    }
}

impl Plan {
    /// The version of the format that is read and written. It goes up when an earlier program would take a plan for
    /// something else: version 1 knew neither `enrolling` nor `values`, and left them out of what it created.
    pub const VERSION: u32 = 2;

    /// Whether it does anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.experiments.iter().any(|e| !e.steps.is_empty())
    }

    /// The name of an experiment whose steps come to something else than the plan shows, if there is
    /// one: somebody has edited the plan.
    #[must_use]
    pub fn contradiction(&self) -> Option<&str> {
        let mut seen = HashSet::new();
        let mut experiments = self.experiments.iter();
        let wrong = experiments
            .find(|planned| !seen.insert(&planned.experiment) || !planned.comes_to_what_it_shows());
        wrong.map(|planned| &*planned.experiment)
    }

    /// Whether these experiments are all as the plan would make them, whenever that was done.
    #[must_use]
    pub fn is_applied(&self, current: &[ExperimentConfig]) -> bool {
        self.experiments.iter().all(|planned| {
            let found = current.iter().find(|c| c.name == planned.experiment);
            found.is_some_and(|found| {
                let updated_at_secs = found.updated_at_secs;
                *found
                    == ExperimentConfig {
                        updated_at_secs,
                        ..planned.after.clone()
                    }
            })
        })
    }

    /// What a store must hold for the plan to be what was shown.
    #[must_use]
    pub fn expected(&self) -> Vec<Expected<'_>> {
        let experiments = self.experiments.iter();
        let expected = experiments.map(|planned| Expected {
            experiment: &planned.experiment,
            config: planned.before.as_ref(),
        });
        expected.collect()
    }

    /// Its steps, as a store takes them.
    #[must_use]
    pub fn mutations(&self) -> Vec<Mutation<'_>> {
        let experiments = self.experiments.iter();
        let mutations = experiments.flat_map(|planned| {
            let steps = planned.steps.iter();
            steps.map(|step| step.mutation(&planned.experiment))
        });
        mutations.collect()
    }
}

/// What steps come to, by the rules that a store asks when it takes them; with the first that they
/// refuse, if they refuse one.
pub(super) fn replay<'a>(
    steps: &'a [PlanStep],
    experiment: &str,
    before: Option<&ExperimentConfig>,
    facts: &impl MutationFacts,
) -> (
    Option<ExperimentConfig>,
    Option<(&'a PlanStep, ExperimentError)>,
) {
    let mut reached = before.cloned();
    for step in steps {
        match lifecycle::decide(&step.mutation(experiment), reached.as_ref(), facts) {
            Ok(Some(taken)) => {
                if let Write::Config(config) = taken.write {
                    reached = Some(config);
                }
            }
            Ok(None) => {}
            Err(refusal) => return (reached, Some((step, refusal))),
        }
    }
    (reached, None)
}

/// The metrics, by name, that are exploratory once `before` becomes `after`.
pub(super) fn exploratory(
    before: Option<&ExperimentConfig>,
    after: &ExperimentConfig,
) -> Vec<String> {
    let Some(before) = before.filter(|before| before.state != ExperimentState::Draft) else {
        return Vec::new();
    };
    let changed = hypothesis::changed(&before.analysis.metrics, &after.analysis.metrics);
    changed.into_iter().map(str::to_owned).collect()
}

impl PlannedExperiment {
    /// Whether anybody gets a variant of it before the plan: it runs, or is concluded.
    #[must_use]
    pub fn gives_variants_before(&self) -> bool {
        self.before.as_ref().is_some_and(gives_variants)
    }

    /// Whether anybody gets a variant of it after the plan.
    #[must_use]
    pub fn gives_variants_after(&self) -> bool {
        gives_variants(&self.after)
    }

    fn comes_to_what_it_shows(&self) -> bool {
        let name = &self.experiment;
        let mut steps = self.steps.iter();
        if steps.any(|step| step.mutation(name).experiment() != name) {
            return false;
        }
        // Whether a variant is in use, the store will tell.
        let nobody = None::<&Current>;
        let (reached, refusal) = replay(&self.steps, name, self.before.as_ref(), &nobody);
        if refusal.is_some() {
            return false;
        }
        let before = self.before.as_ref();
        let is_prune = self.action == Action::Prune;
        let action = match (before, self.steps.is_empty()) {
            (None, _) => Action::Create,
            (Some(_), true) => Action::Nothing,
            (Some(_), false) if is_prune => Action::Prune,
            (Some(_), false) => Action::Change,
        };
        let only_archives = matches!(
            &self.steps[..],
            [PlanStep::SetState {
                state: ExperimentState::Archived,
                winner: None
            }]
        );
        if is_prune && !only_archives || !self.moves.are_of(before, &self.after) {
            return false;
        }
        if self.exploratory != exploratory(before, &self.after) {
            return false;
        }
        let named = before.is_none_or(|before| before.name == self.experiment);
        named && self.action == action && reached.as_ref() == Some(&self.after)
    }
}
