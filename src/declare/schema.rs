//! The JSON Schema of a file, from which editors complete and validate.
#![expect(dead_code, reason = "the types are there for their schema")]

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use crate::validation::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, MAX_VARIANTS};

/// Experiments, as exp applies them.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "exp experiments")]
struct File {
    /// The experiments.
    #[serde(default)]
    experiment: Vec<Experiment>,
}

/// An experiment.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Experiment {
    /// Unique in the store.
    #[schemars(length(min = 1, max = MAX_NAME_BYTES))]
    name: String,
    /// What it is about.
    #[schemars(length(max = MAX_DESCRIPTION_BYTES))]
    description: Option<String>,
    /// Where it is in its life. Without, it keeps the state that it has; a new one is a draft.
    state: Option<State>,
    /// The variant that everybody gets once it is concluded.
    #[schemars(length(min = 1, max = MAX_NAME_BYTES))]
    winner: Option<String>,
    /// Experiments of one group never share an actor. Fixed once it has started.
    #[schemars(length(min = 1, max = MAX_NAME_BYTES))]
    exclusion_group: Option<String>,
    /// How actors become buckets. Fixed once it has started; fnv1a if left out.
    bucketing: Option<BucketingName>,
    /// The arms. Their order decides who gets which.
    #[schemars(length(min = 1, max = MAX_VARIANTS))]
    variants: Vec<Variant>,
}

/// An arm.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Variant {
    /// Unique in the experiment.
    #[schemars(length(min = 1, max = MAX_NAME_BYTES))]
    name: String,
    /// Relative to the other weights; 0 gives it to nobody new.
    weight: u32,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Declared; assigns nobody yet.
    Draft,
    /// Assigns actors.
    Running,
    /// Everybody gets the winner.
    Concluded,
    /// Over, for good.
    Archived,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BucketingName {
    /// FNV-1a, as the Autumn web framework has it.
    Fnv1a,
    /// The same with the finaliser of MurmurHash3: no pair of experiments interferes.
    Fnv1aMixed,
}

/// The schema of a file, as JSON Schema draft 7.
#[must_use]
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<File>().to_value()
}
