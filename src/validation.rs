//! What a store may hold: the limits, and what makes a configuration valid.

use std::collections::HashSet;

use serde_json::Value;

use crate::error::{ConfigProblem, ExperimentError, Field};
use crate::experiment::{
    ExperimentConfig, ExperimentState, VariantConfig, VariantValues, json_type,
};
use crate::field::{
    ConfigField, FieldKind, FieldValue, MAX_DESCRIPTION_BYTES, MAX_METRICS, MAX_NAME_BYTES,
    MAX_VALUE_BYTES, MAX_VALUE_DEPTH, MAX_VARIANTS, MetricField, RESERVED_COLUMNS,
};
use crate::metric::MetricConfig;
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
        // The winner and the control are variants, so their names are among those that are looked at.
        let is_variant = |field| matches!(field, ConfigField::Winner | ConfigField::Control);
        let fields = ConfigField::ALL.into_iter();
        let values = fields
            .filter(|field| !is_variant(*field))
            .filter_map(|field| {
                let value = field.get(self)?;
                value_problem(Field::Config(field), field.kind(), value)
            });
        let mut problems: Vec<_> = values.collect();
        problems.extend(variants_problems(&self.variants));
        problems.extend(self.winner_problem());
        problems.extend(self.control_problem());
        problems.extend(values_problems(&self.variants, &self.values));
        problems.extend(metrics_problems(&self.analysis.metrics));
        problems
    }

    fn control_problem(&self) -> Option<ConfigProblem> {
        let control = self.analysis.control.as_deref()?;
        let is_known = self.variant(control).is_some();
        (!is_known).then(|| ConfigProblem::ControlUnknown(control.to_owned()))
    }

    fn winner_problem(&self) -> Option<ConfigProblem> {
        match (self.state, &self.winner) {
            (ExperimentState::Concluded, None) => Some(ConfigProblem::WinnerMissing),
            (
                ExperimentState::Draft | ExperimentState::Running | ExperimentState::Paused,
                Some(_),
            ) => Some(ConfigProblem::WinnerNotConcluded),
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

    /// Checks that it may be declared: what [`validate`](Self::validate) checks, that each variant has a
    /// value or none has, and that no name has white space at its edges. A store may hold another, as an application
    /// may add a variant.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validate_new(&self) -> Result<(), ExperimentError> {
        validate_declared(self, None)
    }
}

/// Checks that it may be declared in place of `current`, which keeps its names.
pub(crate) fn validate_declared(
    config: &ExperimentConfig,
    current: Option<&ExperimentConfig>,
) -> Result<(), ExperimentError> {
    config.validate()?;
    validate_values(&config.name, &config.variants, &config.values)?;
    validate_edges(config, current)
}

/// Checks that no name which `current` does not have has white space at its edges.
pub(crate) fn validate_edges(
    config: &ExperimentConfig,
    current: Option<&ExperimentConfig>,
) -> Result<(), ExperimentError> {
    first_problem(&config.name, edge_problems(config, current))
}

/// The names with white space at their edges that `current` does not have.
pub(crate) fn edge_problems(
    config: &ExperimentConfig,
    current: Option<&ExperimentConfig>,
) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let fields = [
        (ConfigField::Name, Some(&config.name)),
        (ConfigField::ExclusionGroup, config.exclusion_group.as_ref()),
    ];
    for (field, name) in fields {
        let known = current.and_then(|current| field.get(current)?.text());
        let new = name.filter(|name| known != Some(name.as_str()));
        problems.extend(new.and_then(|name| edge_problem(Field::Config(field), name)));
    }
    for (index, variant) in config.variants.iter().enumerate() {
        let is_known = current.is_some_and(|current| current.variant(&variant.name).is_some());
        let problem = || edge_problem(Field::Variant(index), &variant.name);
        problems.extend((!is_known).then(problem).flatten());
    }
    for (index, metric) in config.analysis.metrics.iter().enumerate() {
        let mut known = current.iter().flat_map(|current| &current.analysis.metrics);
        if known.any(|known| known.name == metric.name) {
            continue;
        }
        let problem = edge_problem(Field::Metric(index, MetricField::Name), &metric.name);
        problems.extend(problem.map(|problem| ConfigProblem::InMetric {
            name: metric.name.clone(),
            problem: Box::new(problem),
        }));
    }
    problems
}

fn edge_problem(field: Field, name: &str) -> Option<ConfigProblem> {
    // What no store can hold is told as that.
    let is_sound = name_problem(field, name).is_none();
    (is_sound && name.trim() != name).then_some(ConfigProblem::BlankEdge(field))
}

/// Checks that a name may be given.
pub(crate) fn validate_name(name: &str, field: Field) -> Result<(), ExperimentError> {
    let problem = name_problem(field, name).or_else(|| edge_problem(field, name));
    first_problem(name, problem)
}

/// Checks a list of variants as [`ExperimentConfig::validate`] would.
pub(crate) fn validate_variants(
    experiment: &str,
    variants: &[VariantConfig],
) -> Result<(), ExperimentError> {
    first_problem(experiment, variants_problems(variants))
}

/// Checks a list of metrics as [`ExperimentConfig::validate`] would.
pub(crate) fn validate_metrics(
    experiment: &str,
    metrics: &[MetricConfig],
) -> Result<(), ExperimentError> {
    first_problem(experiment, metrics_problems(metrics))
}

/// Checks the values of these variants as [`ExperimentConfig::validate`] would, and that there is none or one for
/// each: where they are declared, as another program may add a variant later.
pub(crate) fn validate_values(
    experiment: &str,
    variants: &[VariantConfig],
    values: &VariantValues,
) -> Result<(), ExperimentError> {
    first_problem(experiment, values_problems(variants, values))?;
    first_problem(experiment, missing_values(variants, values))
}

/// Checks that a variant which `next` has and `current` has not has a value, if another has one.
pub(crate) fn validate_new_variants(
    current: &ExperimentConfig,
    next: &ExperimentConfig,
) -> Result<(), ExperimentError> {
    let mut new = next.variants.clone();
    new.retain(|variant| current.variant(&variant.name).is_none());
    first_problem(&next.name, missing_values(&new, &next.values))
}

/// The variants without a value, if another has one.
pub(crate) fn missing_values(
    variants: &[VariantConfig],
    values: &VariantValues,
) -> impl Iterator<Item = ConfigProblem> {
    let missing = variants.iter().filter(|variant| {
        let has_none = values.get(&variant.name).is_none();
        has_none && !values.is_empty()
    });
    missing.map(|variant| ConfigProblem::ValueMissing(variant.name.clone()))
}

/// Checks that a store can hold this reason of an override.
pub(crate) fn validate_reason(
    experiment: &str,
    reason: Option<&str>,
) -> Result<(), ExperimentError> {
    let problem = |reason| text_problem(Field::Reason, reason, MAX_ACTOR_BYTES);
    first_problem(experiment, reason.and_then(problem))
}

/// Checks that the variants keep the control that the experiment names, if it has that.
pub(crate) fn validate_control(
    current: &ExperimentConfig,
    next: &ExperimentConfig,
) -> Result<(), ExperimentError> {
    let was_known = current.control_problem().is_none();
    let problem = next.control_problem().filter(|_| was_known);
    first_problem(&next.name, problem)
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

/// What keeps a store from holding this actor: it is empty or blank, holds NUL, or is too long.
#[must_use]
pub fn actor_problem(actor: &str) -> Option<ConfigProblem> {
    if actor.chars().all(is_blank) {
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

fn metrics_problems(metrics: &[MetricConfig]) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    if metrics.len() > MAX_METRICS {
        problems.push(ConfigProblem::TooManyMetrics {
            count: metrics.len(),
            limit: MAX_METRICS,
        });
    }
    let mut seen = HashSet::new();
    for (index, metric) in metrics.iter().enumerate() {
        let fields = MetricField::ALL.into_iter();
        let found = fields.filter_map(|field| metric_problem(metric, index, field));
        problems.extend(found.map(|problem| ConfigProblem::InMetric {
            name: metric.name.clone(),
            problem: Box::new(problem),
        }));
        if !seen.insert(&metric.name) {
            problems.push(ConfigProblem::DuplicateMetric(metric.name.clone()));
        }
    }
    problems
}

fn metric_problem(
    metric: &MetricConfig,
    index: usize,
    field: MetricField,
) -> Option<ConfigProblem> {
    let Some(value) = field.get(metric) else {
        let is = field.need_of(metric, index)?;
        return Some(ConfigProblem::MetricLacks {
            metric: index,
            is,
            field,
        });
    };
    if !field.takers().contains(&metric.kind) {
        return Some(ConfigProblem::MetricTakesNo {
            metric: index,
            kind: metric.kind,
            field,
        });
    }
    let place = Field::Metric(index, field);
    let is_column = field == MetricField::Name && metric.column.is_none();
    value_problem(place, field.kind(), value).or_else(|| {
        let column = value.text().filter(|_| is_column)?;
        reserved_column(place, column)
    })
}

fn value_problem(field: Field, kind: FieldKind, value: FieldValue<'_>) -> Option<ConfigProblem> {
    let is_in_range = match (kind, value) {
        (FieldKind::Name, FieldValue::Text(name)) => return name_problem(field, name),
        (FieldKind::Text(limit), FieldValue::Text(text)) => {
            return text_problem(field, text, limit);
        }
        (FieldKind::Column, FieldValue::Text(name)) => {
            return name_problem(field, name).or_else(|| reserved_column(field, name));
        }
        (FieldKind::Number(range), FieldValue::Number(number)) => range.contains(number),
        (FieldKind::Count(most), FieldValue::Count(count)) => (1..=most).contains(&count),
        (FieldKind::Cap, FieldValue::Cap(cap)) => cap.is_valid(),
        // The others can't be anything else than what is allowed.
        _ => true,
    };
    (!is_in_range).then(|| ConfigProblem::OutOfRange {
        field,
        value: value.to_text().unwrap_or_default().into_owned(),
        allowed: kind.to_string(),
    })
}

fn reserved_column(field: Field, column: &str) -> Option<ConfigProblem> {
    let is_reserved = RESERVED_COLUMNS.contains(&column);
    is_reserved.then(|| ConfigProblem::ReservedColumn {
        field,
        column: column.to_owned(),
    })
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

fn values_problems(variants: &[VariantConfig], values: &VariantValues) -> Vec<ConfigProblem> {
    let is_listed = |name: &str| variants.iter().any(|variant| variant.name == name);
    let unknown = values.iter().filter(|(name, _)| !is_listed(name));
    let mut problems: Vec<_> = unknown
        .map(|(name, _)| ConfigProblem::ValueUnknown(name.to_owned()))
        .collect();
    let mut first: Option<(&str, &'static str)> = None;
    for (index, variant) in variants.iter().enumerate() {
        let Some(value) = values.get(&variant.name) else {
            continue;
        };
        let found = json_type(value);
        if let Some(problem) = value_content_problem(&variant.name, value, MAX_VALUE_DEPTH) {
            problems.push(problem);
            continue;
        }
        if let Some((other, expected)) = first.filter(|(_, expected)| *expected != found) {
            problems.push(ConfigProblem::ValueTypes {
                variant: variant.name.clone(),
                found,
                other: other.to_owned(),
                expected,
            });
        }
        first = first.or(Some((&variant.name, found)));
        problems.extend(too_long(
            Field::Value(index),
            &value.to_string(),
            MAX_VALUE_BYTES,
        ));
    }
    problems
}

/// What keeps a store from holding a value, wherever in it that is. It may be nested so many levels deep.
fn value_content_problem(variant: &str, value: &Value, levels: usize) -> Option<ConfigProblem> {
    let is_nested = value.is_array() || value.is_object();
    if is_nested && levels == 0 {
        return Some(ConfigProblem::ValueTooDeep {
            variant: variant.to_owned(),
            limit: MAX_VALUE_DEPTH,
        });
    }
    let inner = |value| value_content_problem(variant, value, levels - 1);
    match value {
        Value::Null => Some(ConfigProblem::ValueNull(variant.to_owned())),
        Value::Array(items) => items.iter().find_map(inner),
        Value::Object(members) => members.values().find_map(inner),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Mutation;
    use crate::metric::{AnalysisConfig, Cap, MetricKind, MetricRole};
    use crate::number::Finite;
    use crate::store::{ExperimentStore as _, InMemoryExperimentStore};

    fn metric() -> MetricConfig {
        MetricConfig::new("m", MetricKind::Mean)
    }

    fn config(analysis: AnalysisConfig) -> ExperimentConfig {
        let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
        ExperimentConfig::new("e", variants).analysis(analysis)
    }

    /// A metric that no store may hold, and what is said of it.
    fn faulty() -> Vec<(MetricConfig, &'static str)> {
        let ratio = MetricConfig::new("m", MetricKind::Ratio);
        let quantile = MetricConfig::new("m", MetricKind::Quantile);
        let with = |change: fn(&mut MetricConfig)| {
            let mut metric = metric();
            change(&mut metric);
            metric
        };
        vec![
            (
                with(|m| m.name = String::new()),
                "its name is empty or blank",
            ),
            (
                with(|m| m.name = "a\tb".to_owned()),
                "its name contains a control character",
            ),
            (
                with(|m| m.name = "actor".to_owned()),
                "its name is 'actor', which is reserved for actors or times",
            ),
            (
                with(|m| m.column = Some(" ".to_owned())),
                "its column is empty or blank",
            ),
            (
                with(|m| m.column = Some("timestamp".to_owned())),
                "its column is 'timestamp', which is reserved for actors or times",
            ),
            (
                with(|m| m.covariate = Some("actor".to_owned())),
                "its covariate is 'actor', which is reserved for actors or times",
            ),
            (
                with(|m| m.cap = Finite::new(-1.0).map(Cap::Value)),
                "its cap can't be -1; it must be a number above 0, or a percentage above 0 and \
                 below 100, such as \"99.9%\"",
            ),
            (
                with(|m| m.minimum_effect = Finite::new(0.0)),
                "its minimum effect can't be 0; it must be a number above 0",
            ),
            (
                with(|m| m.role = Some(MetricRole::Guardrail)),
                "it is a guardrail but has no minimum effect",
            ),
            (
                with(|m| m.denominator = Some("d".to_owned())),
                "it is a mean, which takes no denominator",
            ),
            (
                with(|m| m.quantile = Finite::new(0.5)),
                "it is a mean, which takes no quantile",
            ),
            (ratio.clone(), "it is a ratio but has no denominator"),
            (
                MetricConfig {
                    denominator: Some("d".to_owned()),
                    covariate: Some("c".to_owned()),
                    ..ratio
                },
                "it is a ratio, which takes no covariate",
            ),
            (
                MetricConfig {
                    quantile: Finite::new(1.0),
                    ..quantile
                },
                "its quantile can't be 1; it must be a number above 0 and below 1",
            ),
        ]
    }

    #[test]
    fn no_store_takes_a_metric_that_check_refuses() {
        let store = InMemoryExperimentStore::new();
        let sound = config(AnalysisConfig::default());
        store.mutate(&Mutation::Insert(&sound), None).unwrap();
        for (metric, told) in faulty() {
            let told = format!("metric '{}': {told}", metric.name.replace('\t', "\\t"));
            let analysis = AnalysisConfig {
                metrics: vec![metric],
                ..AnalysisConfig::default()
            };
            let faulty = config(analysis);
            let problems: Vec<String> = faulty.problems().iter().map(ToString::to_string).collect();
            assert_eq!(problems, [&*told]);
            let set = Mutation::SetMetrics {
                experiment: "e",
                metrics: &faulty.analysis.metrics,
            };
            for mutation in [Mutation::Upsert(&faulty), set] {
                let refused = store.mutate(&mutation, None).unwrap_err();
                assert_eq!(refused.to_string(), format!("experiment 'e': {told}"));
            }
        }
        assert_eq!(store.history("e", 0).unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_with_an_analysis() {
        let told = |change: fn(&mut AnalysisConfig)| {
            let mut analysis = AnalysisConfig::default();
            change(&mut analysis);
            let problems = config(analysis).problems();
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        };
        assert_eq!(told(|_| ()), "");
        assert_eq!(told(|a| a.control = Some("b".to_owned())), "");
        assert_eq!(
            told(|a| a.control = Some("c".to_owned())),
            "its control 'c' is not one of its variants"
        );
        for confidence in [0.5, 1.0, -0.9, 95.0] {
            let analysis = AnalysisConfig {
                confidence: Finite::new(confidence).unwrap(),
                ..AnalysisConfig::default()
            };
            let expected = ConfigProblem::OutOfRange {
                field: Field::Config(ConfigField::Confidence),
                value: confidence.to_string(),
                allowed: "a number above 0.5 and below 1".to_owned(),
            };
            assert_eq!(config(analysis).problems(), [expected]);
        }
        assert_eq!(
            told(|a| a.tuning_actors = 0),
            "its tuning actors can't be 0; it must be a whole number from 1 to 1000000000000"
        );
        assert_eq!(
            told(|a| a.metrics = vec![metric(), metric()]),
            "metric 'm' is declared twice"
        );
        assert_eq!(
            told(|a| {
                let metric = |index| MetricConfig::new(format!("{index}"), MetricKind::Mean);
                a.metrics = (0..=MAX_METRICS).map(metric).collect();
            }),
            "it has 101 metrics; at most 100 are allowed"
        );
    }

    /// An application may have taken the control away. It must not get worse, and may get better.
    #[test]
    fn variants_keep_the_control() {
        let store = InMemoryExperimentStore::new();
        let analysis = AnalysisConfig {
            control: Some("b".to_owned()),
            ..AnalysisConfig::default()
        };
        store
            .mutate(&Mutation::Insert(&config(analysis)), None)
            .unwrap();
        let variants = [VariantConfig::new("a", 1)];
        let set = Mutation::SetVariants {
            experiment: "e",
            variants: &variants,
            values: None,
        };
        let refused = store.mutate(&set, None).unwrap_err();
        let told = "experiment 'e': its control 'b' is not one of its variants";
        assert_eq!(refused.to_string(), told);

        let mut current = store.get("e").unwrap().unwrap();
        current.variants = vec![VariantConfig::new("a", 1), VariantConfig::new("c", 1)];
        let next = ExperimentConfig {
            variants: variants.to_vec(),
            ..current.clone()
        };
        assert!(validate_control(&current, &next).is_ok());
    }
}
