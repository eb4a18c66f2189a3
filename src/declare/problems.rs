//! What a store would refuse of a declaration, each problem at its place.

use std::collections::HashMap;

use super::declaration::Declaration;
use super::finding::{Finding, Findings, Lint, SourceSpan};
use crate::error::{ConfigProblem, Field};
use crate::experiment::ExperimentConfig;
use crate::field::{ConfigField, MetricField};
use crate::text::Quoted;

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
    (!is_of_variants || config.variants == live.variants)
        && (!is_of_winner || config.winner == live.winner)
        && live.problems().contains(problem)
}

/// What a store would refuse: the one list of problems, each at its place, without those that the live
/// experiment has already.
pub(super) fn check_config(
    declaration: &Declaration,
    live: Option<&ExperimentConfig>,
    findings: &mut Findings,
) {
    for problem in declaration.config.problems() {
        if live.is_some_and(|live| is_kept(&problem, &declaration.config, live)) {
            continue;
        }
        let (lint, place, help) = match &problem {
            // Told already: it is not there, or is no text.
            ConfigProblem::Empty(Field::Config(ConfigField::Name))
                if !declaration.says(ConfigField::Name) =>
            {
                continue;
            }
            ConfigProblem::NoVariants
            | ConfigProblem::WinnerUnknown(_)
            | ConfigProblem::ControlUnknown(_)
                if !declaration.is_read(ConfigField::Variants) =>
            {
                continue;
            }
            ConfigProblem::WinnerNotConcluded if !declaration.is_read(ConfigField::State) => {
                continue;
            }
            ConfigProblem::WinnerMissing if !declaration.is_read(ConfigField::Winner) => continue,
            ConfigProblem::Empty(field) => (
                Lint::BlankName,
                declaration.problem_place(*field),
                "give it a name",
            ),
            ConfigProblem::ControlCharacter(field) => (
                Lint::BadCharacter,
                declaration.problem_place(*field),
                "remove the control character",
            ),
            ConfigProblem::TooLong { field, .. } => (
                Lint::TooLong,
                declaration.problem_place(*field),
                "make it shorter",
            ),
            ConfigProblem::NoVariants => (
                Lint::NoVariant,
                declaration.field_place(ConfigField::Variants),
                "add variants = [{ name = \"...\", weight = 50 }, ...]",
            ),
            ConfigProblem::TooManyVariants { .. } => (
                Lint::TooManyVariants,
                declaration.name_place(),
                "remove some",
            ),
            // Below, with both places.
            ConfigProblem::DuplicateVariant(_) | ConfigProblem::DuplicateMetric(_) => continue,
            ConfigProblem::MetricLacks { metric, field, .. }
                if !declaration.is_metric_read(*metric, *field) =>
            {
                continue;
            }
            ConfigProblem::OutOfRange { field, .. } => (
                Lint::BadValue,
                declaration.problem_place(*field),
                "write another value, or leave it out",
            ),
            ConfigProblem::ControlUnknown(_) => (
                Lint::UnknownControl,
                declaration.field_place(ConfigField::Control),
                "name one of its variants",
            ),
            ConfigProblem::TooManyMetrics { .. } => (
                Lint::TooManyMetrics,
                declaration.name_place(),
                "remove some",
            ),
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
            ConfigProblem::ReservedColumn { field, .. } => (
                Lint::ReservedColumn,
                declaration.problem_place(*field),
                "name the column that holds the value",
            ),
            ConfigProblem::WinnerMissing => (
                Lint::MissingWinner,
                declaration.field_place(ConfigField::State),
                "add a line: winner = \"...\"",
            ),
            ConfigProblem::WinnerUnknown(_) => (
                Lint::UnknownWinner,
                declaration.field_place(ConfigField::Winner),
                "name one of its variants",
            ),
            ConfigProblem::WinnerNotConcluded
            | ConfigProblem::BackToDraft
            | ConfigProblem::VariantsUnreadable => (
                Lint::UnexpectedWinner,
                declaration.field_place(ConfigField::Winner),
                "remove it, or set state = \"concluded\"",
            ),
        };
        let message = match &*declaration.config.name {
            "" => problem.to_string(),
            name => format!("{}: {problem}", Quoted(name)),
        };
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
            let message = format!("{what} {} is there twice", Quoted(name));
            let help = "rename one of them, or remove it";
            let finding = Finding::new(lint, place, message, help);
            findings.push(finding.with_related(first, "the first of that name"));
        }
    }
}
