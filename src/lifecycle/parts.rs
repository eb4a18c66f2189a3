//! What may become of one part of an experiment: its variants and what they stand for, its description,
//! who enters, its metrics.

use super::effect::{Effect, Write};
use super::mutation::MutationFacts;
use crate::coverage::Coverage;
use crate::error::ExperimentError;
use crate::experiment::{
    ChangeDetail, ChangeSide, ExperimentConfig, ExperimentState, VariantConfig, VariantValues,
};
use crate::metric::MetricConfig;
use crate::validation::{
    validate_control, validate_description, validate_edges, validate_metrics,
    validate_new_variants, validate_values, validate_variants,
};

pub(super) fn set_variants(
    current: &ExperimentConfig,
    variants: &[VariantConfig],
    values: Option<&VariantValues>,
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    require_not_concluded(current)?;
    if variants == current.variants && values.is_none_or(|values| *values == current.values) {
        return Ok(None);
    }
    validate_variants(&current.name, variants)?;
    let next = ExperimentConfig {
        variants: variants.to_vec(),
        values: values.map_or_else(|| current.values.of(variants), Clone::clone),
        ..current.clone()
    };
    match values {
        Some(values) => validate_values(&current.name, variants, values)?,
        // Another program may have added a variant without a value; this one does not.
        None => validate_new_variants(current, &next)?,
    }
    validate_edges(&next, Some(current))?;
    validate_control(current, &next)?;
    require_unused(current, variants, facts)?;
    let drops_value = next.values != current.values;
    let side = |config: &ExperimentConfig| ChangeSide {
        variants: Some(config.variants.clone()),
        values: drops_value.then(|| config.values.clone()),
        ..ChangeSide::default()
    };
    let detail = ChangeDetail {
        before: side(current),
        after: side(&next),
    };
    Ok(Some(Effect {
        write: Write::Config(next),
        mutation: "set_weights".to_owned(),
        detail,
    }))
}

pub(super) fn set_weights(
    current: &ExperimentConfig,
    weights: &[VariantConfig],
    facts: &impl MutationFacts,
) -> Result<Option<Effect>, ExperimentError> {
    // As they are given, so that one that is there twice is refused.
    validate_variants(&current.name, weights)?;
    let mut variants = current.variants.clone();
    for given in weights {
        match variants.iter_mut().find(|known| known.name == given.name) {
            Some(known) => known.weight = given.weight,
            None => variants.push(given.clone()),
        }
    }
    set_variants(current, &variants, None, facts)
}

pub(super) fn require_not_concluded(config: &ExperimentConfig) -> Result<(), ExperimentError> {
    if config.state == ExperimentState::Concluded {
        return Err(ExperimentError::Concluded(config.name.clone()));
    }
    Ok(())
}

/// A variant that actors are assigned to is in every next list.
pub(super) fn require_unused(
    current: &ExperimentConfig,
    next: &[VariantConfig],
    facts: &impl MutationFacts,
) -> Result<(), ExperimentError> {
    let mut in_use = Vec::new();
    for dropped in &current.variants {
        let kept = next.iter().any(|variant| variant.name == dropped.name);
        if !kept && facts.has_assignments(&dropped.name)? {
            in_use.push(dropped.clone());
        }
    }
    let mut in_use = in_use.into_iter();
    let Some(first) = in_use.next() else {
        return Ok(());
    };
    Err(ExperimentError::VariantInUse {
        experiment: current.name.clone(),
        variant: first.name,
        weight: Some(first.weight),
        others: in_use.collect(),
    })
}

pub(super) fn set_description(
    current: &ExperimentConfig,
    description: Option<&str>,
) -> Result<Option<Effect>, ExperimentError> {
    let next = ExperimentConfig {
        description: description.map(str::to_owned),
        ..current.clone()
    };
    if next.description == current.description {
        return Ok(None);
    }
    // Of what is not changed another program may have made what would be refused here.
    validate_description(&current.name, description)?;
    let side = |config: &ExperimentConfig| ChangeSide {
        description: config.description.clone(),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        mutation: "updated".to_owned(),
        detail: ChangeDetail {
            before: side(current),
            after: side(&next),
        },
        write: Write::Config(next),
    }))
}

pub(super) fn set_coverage(
    current: &ExperimentConfig,
    coverage: Coverage,
) -> Result<Option<Effect>, ExperimentError> {
    require_not_concluded(current)?;
    if coverage == current.coverage {
        return Ok(None);
    }
    let side = |coverage| ChangeSide {
        coverage: Some(coverage),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        write: Write::Config(ExperimentConfig {
            coverage,
            ..current.clone()
        }),
        mutation: format!("coverage={coverage}"),
        detail: ChangeDetail {
            before: side(current.coverage),
            after: side(coverage),
        },
    }))
}

pub(super) fn set_enrolling(
    current: &ExperimentConfig,
    enrolling: bool,
) -> Result<Option<Effect>, ExperimentError> {
    require_not_concluded(current)?;
    if enrolling == current.enrolling {
        return Ok(None);
    }
    let side = |enrolling| ChangeSide {
        enrolling: Some(enrolling),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        write: Write::Config(ExperimentConfig {
            enrolling,
            ..current.clone()
        }),
        mutation: format!("enrolling={enrolling}"),
        detail: ChangeDetail {
            before: side(current.enrolling),
            after: side(enrolling),
        },
    }))
}

pub(super) fn set_values(
    current: &ExperimentConfig,
    values: &VariantValues,
) -> Result<Option<Effect>, ExperimentError> {
    require_not_concluded(current)?;
    if *values == current.values {
        return Ok(None);
    }
    validate_values(&current.name, &current.variants, values)?;
    let side = |values: &VariantValues| ChangeSide {
        values: Some(values.clone()),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        mutation: "values".to_owned(),
        detail: ChangeDetail {
            before: side(&current.values),
            after: side(values),
        },
        write: Write::Config(ExperimentConfig {
            values: values.clone(),
            ..current.clone()
        }),
    }))
}

/// Metrics may change as long as anybody may look at them; one that is new after the start is exploratory.
pub(super) fn set_metrics(
    current: &ExperimentConfig,
    metrics: &[MetricConfig],
) -> Result<Option<Effect>, ExperimentError> {
    if metrics == current.analysis.metrics {
        return Ok(None);
    }
    validate_metrics(&current.name, metrics)?;
    let mut next = current.clone();
    next.analysis.metrics = metrics.to_vec();
    validate_edges(&next, Some(current))?;
    let side = |metrics: &[MetricConfig]| ChangeSide {
        metrics: Some(metrics.to_vec()),
        ..ChangeSide::default()
    };
    Ok(Some(Effect {
        mutation: "metrics".to_owned(),
        detail: ChangeDetail {
            before: side(&current.analysis.metrics),
            after: side(metrics),
        },
        write: Write::Config(next),
    }))
}
