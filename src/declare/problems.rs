//! What a store would refuse of a declaration, each problem at its place.

use std::collections::HashMap;

use super::declaration::Declaration;
use super::finding::{Finding, Findings, Lint, SourceSpan};
use crate::error::{ConfigProblem, Field};
use crate::experiment::ExperimentConfig;
use crate::field::{ConfigField, MetricField};
use crate::text::Quoted;
use crate::validation::{edge_problems, missing_values};

/// Whether a problem stays as it is: an application may have stored what would be refused here.
fn is_kept(problem: &ConfigProblem, config: &ExperimentConfig, live: &ExperimentConfig) -> bool {
    let is_of_variants = matches!(
        problem,
        ConfigProblem::NoVariants
            | ConfigProblem::TooManyVariants { .. }
            | ConfigProblem::DuplicateVariant(_)
            | ConfigProblem::Empty(Field::Variant(_))
            | ConfigProblem::ControlCharacter(Field::Variant(_))
            | ConfigProblem::TooLong {
                field: Field::Variant(_),
                ..
            }
    );
    let is_of_winner = *problem == ConfigProblem::WinnerNotConcluded;
    // An application that adds a variant gives it no value.
    let is_of_values = matches!(problem, ConfigProblem::ValueMissing(_));
    (!is_of_variants || config.variants == live.variants)
        && (!is_of_winner || config.winner == live.winner)
        && (!is_of_values || config.values == live.values)
        && problems_of(live).contains(problem)
}

/// What is wrong with it, also as a declaration: each variant has a value, or none has.
fn problems_of(config: &ExperimentConfig) -> Vec<ConfigProblem> {
    let mut problems = config.problems();
    problems.extend(missing_values(&config.variants, &config.values));
    problems
}

/// What a store would refuse: the one list of problems, each at its place, without those that the live
/// experiment has already.
pub(super) fn check_config(
    declaration: &Declaration,
    live: Option<&ExperimentConfig>,
    findings: &mut Findings,
) {
    let mut problems = problems_of(&declaration.config);
    problems.extend(edge_problems(&declaration.config, live));
    for problem in problems {
        let is_kept = live.is_some_and(|live| is_kept(&problem, &declaration.config, live));
        let bare = match &problem {
            ConfigProblem::InMetric { problem, .. } => problem,
            other => other,
        };
        if is_kept || is_told_elsewhere(declaration, bare) {
            continue;
        }
        let message = match &*declaration.config.name {
            "" => problem.to_string(),
            name => format!("{}: {problem}", Quoted(name)),
        };
        let (lint, place, help) = describe(declaration, bare);
        findings.push(Finding::new(lint, place, message, help));
    }
    let config = &declaration.config;
    if live.is_none_or(|live| live.variants != config.variants) {
        let names = config.variants.iter().map(|variant| &*variant.name);
        let names = names.enumerate();
        let placed = names.map(|(index, name)| (name, declaration.variant_place(index)));
        check_twice("variant", Lint::DuplicateVariant, placed, findings);
    }
    let metrics = config.analysis.metrics.iter().enumerate();
    let placed = metrics.map(|(index, metric)| {
        let place = declaration.metric_place(index, MetricField::Name);
        (&*metric.name, place)
    });
    check_twice("metric", Lint::DuplicateMetric, placed, findings);
}

/// Whether another finding says it: what the problem comes from could not be read, or both places are named.
fn is_told_elsewhere(declaration: &Declaration, problem: &ConfigProblem) -> bool {
    match problem {
        ConfigProblem::Empty(Field::Config(ConfigField::Name)) => {
            !declaration.says(ConfigField::Name)
        }
        ConfigProblem::NoVariants
        | ConfigProblem::WinnerUnknown(_)
        | ConfigProblem::ControlUnknown(_) => !declaration.is_read(ConfigField::Variants),
        ConfigProblem::ValueMissing(_) => !declaration.is_read(ConfigField::Values),
        ConfigProblem::WinnerNotConcluded => !declaration.is_read(ConfigField::State),
        ConfigProblem::WinnerMissing => !declaration.is_read(ConfigField::Winner),
        ConfigProblem::MetricLacks { metric, field, .. } => {
            !declaration.is_metric_read(*metric, *field)
        }
        ConfigProblem::DuplicateVariant(_) | ConfigProblem::DuplicateMetric(_) => true,
        _ => false,
    }
}

/// The lint of a problem, where it is, and what to do.
pub(super) fn describe(
    declaration: &Declaration,
    problem: &ConfigProblem,
) -> (Lint, SourceSpan, &'static str) {
    let at = |field| declaration.problem_place(field);
    let at_field = |field| declaration.field_place(field);
    match problem {
        ConfigProblem::Empty(field) => (Lint::BlankName, at(*field), "give it a name"),
        ConfigProblem::ControlCharacter(field) => (
            Lint::BadCharacter,
            at(*field),
            "remove the control character",
        ),
        ConfigProblem::BlankEdge(field) => {
            (Lint::BadCharacter, at(*field), "remove the white space")
        }
        ConfigProblem::TooLong { field, .. } => (Lint::TooLong, at(*field), "make it shorter"),
        ConfigProblem::OutOfRange { field, .. } => (
            Lint::BadValue,
            at(*field),
            "write another value, or leave it out",
        ),
        ConfigProblem::ReservedColumn { field, .. } => (
            Lint::ReservedColumn,
            at(*field),
            "name the column that holds the value",
        ),
        ConfigProblem::NoVariants => (
            Lint::NoVariant,
            at_field(ConfigField::Variants),
            "add variants = [{ name = \"...\", weight = 50 }, ...]",
        ),
        ConfigProblem::TooManyVariants { .. } => (
            Lint::TooManyVariants,
            declaration.name_place(),
            "remove some",
        ),
        ConfigProblem::DuplicateVariant(_) => (
            Lint::DuplicateVariant,
            at_field(ConfigField::Variants),
            RENAME,
        ),
        ConfigProblem::WinnerMissing => (
            Lint::MissingWinner,
            at_field(ConfigField::State),
            "add a line: winner = \"...\"",
        ),
        ConfigProblem::WinnerUnknown(_) => (
            Lint::UnknownWinner,
            at_field(ConfigField::Winner),
            "name one of its variants",
        ),
        ConfigProblem::WinnerNotConcluded
        | ConfigProblem::BackToDraft
        | ConfigProblem::TooLate
        | ConfigProblem::ExpiryPassed
        | ConfigProblem::VariantsUnreadable => (
            Lint::UnexpectedWinner,
            at_field(ConfigField::Winner),
            "remove it, or set state = \"concluded\"",
        ),
        ConfigProblem::ValueMissing(_)
        | ConfigProblem::ValueTypes { .. }
        | ConfigProblem::ValueNull(_)
        | ConfigProblem::ValueTooDeep { .. }
        | ConfigProblem::ValueUnknown(_) => describe_value(declaration, problem),
        ConfigProblem::ControlUnknown(_) => (
            Lint::UnknownControl,
            at_field(ConfigField::Control),
            "name one of its variants",
        ),
        ConfigProblem::TooManyMetrics { .. } => (
            Lint::TooManyMetrics,
            declaration.name_place(),
            "remove some",
        ),
        ConfigProblem::DuplicateMetric(_) => (
            Lint::DuplicateMetric,
            at_field(ConfigField::Metrics),
            RENAME,
        ),
        ConfigProblem::InMetric { problem, .. } => describe(declaration, problem),
        ConfigProblem::MetricLacks { metric, field, .. } => (
            Lint::MissingKey,
            declaration.metric_place(*metric, *field),
            match field {
                MetricField::MinimumEffect => "add minimum_effect, the largest harm allowed",
                _ => "add denominator, the column that it is divided by",
            },
        ),
        ConfigProblem::MetricTakesNo { metric, field, .. } => (
            Lint::UnexpectedKey,
            declaration.metric_place(*metric, *field),
            "remove it, or give the metric another kind",
        ),
    }
}

/// The same of what is wrong with a value.
fn describe_value(
    declaration: &Declaration,
    problem: &ConfigProblem,
) -> (Lint, SourceSpan, &'static str) {
    let (variant, help) = match problem {
        ConfigProblem::ValueMissing(variant) | ConfigProblem::ValueTypes { variant, .. } => (
            variant,
            "give every variant a value of the same type, or none of them a value",
        ),
        ConfigProblem::ValueNull(variant) => (variant, "leave the key out"),
        ConfigProblem::ValueTooDeep { variant, .. } => (variant, "use fewer levels"),
        _ => {
            let place = declaration.field_place(ConfigField::Variants);
            return (Lint::BadValue, place, "give it to one of the variants");
        }
    };
    let mut variants = declaration.config.variants.iter();
    let place = variants.position(|known| known.name == *variant);
    let place = declaration.value_place(place.unwrap_or_default());
    (Lint::BadValue, place, help)
}

/// What to do about two of one name.
const RENAME: &str = "rename one of them, or remove it";

/// Tells of names that are there twice, with both places, which the problem does not know.
fn check_twice<'a>(
    what: &str,
    lint: Lint,
    placed: impl Iterator<Item = (&'a str, SourceSpan)>,
    findings: &mut Findings,
) {
    let mut seen = HashMap::new();
    for (name, place) in placed {
        if let Some(first) = seen.insert(name, place.clone()) {
            let message = format!("{what} {} is declared twice", Quoted(name));
            let finding = Finding::new(lint, place, message, RENAME);
            findings.push(finding.with_related(first, "the first with that name"));
        }
    }
}
