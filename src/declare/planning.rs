//! From declarations and what a store holds to the steps that make the one into the other. Pure: what
//! is allowed is asked of the same rules that a store asks when the steps are taken.

use std::collections::{HashMap, HashSet};

use super::current::Current;
use super::declaration::Declaration;
use super::export::{string, value_of};
use super::finding::{self, Finding, Lint};
use super::moves::{changed_buckets, moves, per_100};
use super::plan::{Action, Plan, PlanStep, PlannedExperiment, exploratory, replay};
use super::problems::describe;
use super::steps::steps;
use crate::error::ExperimentError;
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig};
use crate::field::{ConfigField, FieldKind, FieldValue, MetricField};
use crate::text::Quoted;

/// Plans how `current` becomes what is declared; with `prune` also, that what is not declared is
/// archived. Also gives warnings.
///
/// # Errors
/// Everything that a store would refuse, each at its place, along with the warnings.
pub fn plan(
    declarations: &[Declaration],
    current: &[Current],
    prune: bool,
) -> Result<(Plan, Vec<Finding>), Vec<Finding>> {
    let mut findings = Vec::new();
    let mut experiments = Vec::new();
    let by_name: HashMap<&str, &Current> = current
        .iter()
        .map(|current| (&*current.config.name, current))
        .collect();
    for declaration in declarations {
        let found = by_name.get(&*declaration.config.name).copied();
        if let Some(planned) = plan_one(declaration, found, &mut findings) {
            experiments.push(planned);
        }
    }
    let declared: HashSet<&str> = declarations.iter().map(|d| &*d.config.name).collect();
    let left_out = current.iter().filter(|current| {
        let config = &current.config;
        prune && config.state != ExperimentState::Archived && !declared.contains(&*config.name)
    });
    experiments.extend(left_out.map(archive));
    finding::sort(&mut findings);
    let refused = |finding: &Finding| finding.severity() == finding::Severity::Error;
    if findings.iter().any(refused) {
        return Err(findings);
    }
    let exp_plan = Plan::VERSION;
    let plan = Plan {
        exp_plan,
        experiments,
    };
    Ok((plan, findings))
}

fn archive(current: &Current) -> PlannedExperiment {
    let state = ExperimentState::Archived;
    let steps = vec![PlanStep::SetState {
        state,
        winner: None,
    }];
    let after = ExperimentConfig {
        state,
        ..current.config.clone()
    };
    PlannedExperiment {
        experiment: current.config.name.clone(),
        action: Action::Prune,
        moves: moves(Some(current), &after),
        exploratory: Vec::new(),
        before: Some(current.config.clone()),
        after,
        steps,
    }
}

fn plan_one(
    declaration: &Declaration,
    current: Option<&Current>,
    findings: &mut Vec<Finding>,
) -> Option<PlannedExperiment> {
    let before = current.map(|current| &current.config);
    let target = target(declaration, before);
    let before_it = findings.len();
    if let Some(before) = before {
        compare_fixed(declaration, before, &target, findings);
        warn_of_order(declaration, before, &target, findings);
        warn_of_hypothesis(declaration, before, &target, findings);
    }
    let steps = steps(before, &target);
    let (after, refusal) = replay(&steps, &target.name, before, &current);
    if let Some((step, refusal)) = refusal {
        findings.push(refused(declaration, before, step, &refusal));
    }
    let is_refused = findings[before_it..]
        .iter()
        .any(|finding| finding.severity() == finding::Severity::Error);
    let after = after.filter(|_| !is_refused)?;
    Some(PlannedExperiment {
        experiment: target.name,
        action: match (before, steps.is_empty()) {
            (None, _) => Action::Create,
            (Some(_), true) => Action::Nothing,
            (Some(_), false) => Action::Change,
        },
        moves: moves(current, &after),
        exploratory: exploratory(before, &after),
        before: before.cloned(),
        after,
        steps,
    })
}

/// What the experiment is to be: as declared, with the state and winner of before where the file
/// says nothing of them.
fn target(declaration: &Declaration, before: Option<&ExperimentConfig>) -> ExperimentConfig {
    let mut target = declaration.config.clone();
    let Some(before) = before else {
        return target;
    };
    let keeps_state = declaration.state.is_none_or(|state| state == before.state);
    if declaration.state.is_none() {
        target.state = before.state;
    }
    if keeps_state && target.winner.is_none() || target.state == ExperimentState::Archived {
        let kept = before.winner.clone();
        target.winner = target.winner.or(kept);
    }
    // To name the control that it has anyway, or not to name it any more, changes nothing.
    let has_started = before.state != ExperimentState::Draft;
    if has_started && target.control().map(|v| &v.name) == before.control().map(|v| &v.name) {
        target.analysis.control.clone_from(&before.analysis.control);
    }
    target.updated_at_secs = before.updated_at_secs;
    target
}

/// What is fixed once an experiment has started.
fn compare_fixed(
    declaration: &Declaration,
    before: &ExperimentConfig,
    target: &ExperimentConfig,
    findings: &mut Vec<Finding>,
) {
    if before.state == ExperimentState::Draft {
        return;
    }
    let fields = ConfigField::ALL.into_iter();
    for field in fields.filter(|field| field.is_fixed_by_start()) {
        let (old, new) = (field.get(before), field.get(target));
        if old == new {
            continue;
        }
        let is_free = matches!(field.kind(), FieldKind::Name | FieldKind::Text(_));
        let shown = |value: Option<FieldValue<'_>>| match value.and_then(FieldValue::to_text) {
            None => "none".to_owned(),
            Some(text) if is_free => Quoted(&text).to_string(),
            Some(word) => word.into_owned(),
        };
        let message = format!(
            "{} has started with {field} {}, which can't become {}",
            Quoted(&target.name),
            shown(old),
            shown(new),
        );
        let remedy = match old {
            None => format!("remove the {}", field.label()),
            Some(_) if is_free => format!("put the {} back", field.label()),
            Some(old) => format!("set {} = {}", field.key(), value_of(old)),
        };
        let help = format!("{remedy}, or create an experiment with another name");
        let lint = match field {
            ConfigField::Bucketing => Lint::BucketingFixed,
            ConfigField::ExclusionGroup => Lint::GroupFixed,
            _ => Lint::FieldFixed,
        };
        findings.push(Finding::new(
            lint,
            declaration.field_place(field),
            message,
            help,
        ));
    }
}

fn warn_of_order(
    declaration: &Declaration,
    before: &ExperimentConfig,
    target: &ExperimentConfig,
    findings: &mut Vec<Finding>,
) {
    let is_under_way = before.state.is_under_way() && target.state.is_under_way();
    let changed = changed_buckets(before, target);
    if !is_under_way || changed == 0 {
        return;
    }
    let kept = |of: &ExperimentConfig, other: &ExperimentConfig| -> Vec<String> {
        let kept = of
            .variants
            .iter()
            .filter(|v| other.variant(&v.name).is_some());
        kept.map(|variant| variant.name.clone()).collect()
    };
    if kept(before, target) != kept(target, before) {
        let message = format!(
            "the order of the variants of {} changes after the start: {}% of new actors would get a \
             different variant",
            Quoted(&target.name),
            per_100(changed),
        );
        let help = "keep the old order, and add new variants at the end";
        let place = declaration.field_place(ConfigField::Variants);
        findings.push(Finding::new(Lint::VariantOrder, place, message, help));
    }
}

fn warn_of_hypothesis(
    declaration: &Declaration,
    before: &ExperimentConfig,
    target: &ExperimentConfig,
    findings: &mut Vec<Finding>,
) {
    let changed = exploratory(Some(before), target);
    for (index, metric) in target.analysis.metrics.iter().enumerate() {
        if !changed.contains(&metric.name) {
            continue;
        }
        let message = format!(
            "metric {} of {}: hypothesis changed after the start: exploratory",
            Quoted(&metric.name),
            Quoted(&target.name),
        );
        let help = "results show it but name no winner by it; to decide by it, create an experiment with another name";
        let place = declaration.metric_place(index, MetricField::Name);
        findings.push(Finding::new(Lint::HypothesisChanged, place, message, help));
    }
}

fn refused(
    declaration: &Declaration,
    before: Option<&ExperimentConfig>,
    step: &PlanStep,
    refusal: &ExperimentError,
) -> Finding {
    let (lint, place, help) = match refusal {
        ExperimentError::VariantInUse {
            variant,
            weight,
            others,
            ..
        } => (
            Lint::VariantInUse,
            declaration.field_place(ConfigField::Variants),
            keep(variant, weight.unwrap_or_default(), others),
        ),
        ExperimentError::GroupInUse(_) => (
            Lint::GroupFixed,
            declaration.field_place(ConfigField::ExclusionGroup),
            "put the group back, or create an experiment with another name".to_owned(),
        ),
        ExperimentError::Concluded(name) => return fixed_by_end(declaration, before, step, name),
        ExperimentError::InvalidConfig { problem, .. }
            if !matches!(step, PlanStep::SetState { .. }) =>
        {
            let (lint, place, help) = describe(declaration, problem);
            (lint, place, help.to_owned())
        }
        ExperimentError::Archived(_) => (
            Lint::Lifecycle,
            declaration.field_place(ConfigField::State),
            "archiving is for good: create an experiment with another name".to_owned(),
        ),
        _ => {
            let place = match step {
                PlanStep::SetState { .. } => declaration.field_place(ConfigField::State),
                _ => declaration.name_place(),
            };
            let help = "set a state that it can move to".to_owned();
            (Lint::Lifecycle, place, help)
        }
    };
    Finding::new(lint, place, refusal.to_string(), help)
}

/// How variants that actors hold stay in a file.
fn keep(variant: &str, weight: u32, others: &[VariantConfig]) -> String {
    let table = |name, weight: u32| format!("{{ name = {}, weight = {weight} }}", string(name));
    let kept = others.iter().map(|other| table(&other.name, other.weight));
    let kept: Vec<_> = std::iter::once(table(variant, weight))
        .chain(kept)
        .collect();
    let has_weight = weight > 0 || others.iter().any(|other| other.weight > 0);
    let without_newcomers = match (has_weight, others.is_empty()) {
        (true, true) => "; with weight 0, nobody new gets it",
        (true, false) => "; with weight 0, nobody new gets them",
        (false, true) => ", so that nobody new gets it",
        (false, false) => ", so that nobody new gets them",
    };
    let kept = kept.join(", ");
    let what = if others.is_empty() { "it" } else { "them" };
    format!("keep {what}: {kept}{without_newcomers}")
}

/// The refusal of a step that changes what a conclusion fixes.
fn fixed_by_end(
    declaration: &Declaration,
    before: Option<&ExperimentConfig>,
    step: &PlanStep,
    name: &str,
) -> Finding {
    let at = |field| declaration.field_place(field);
    let (lint, place, is_fixed, what) = match step {
        PlanStep::SetCoverage(_) => {
            let place = at(ConfigField::Coverage);
            (Lint::FieldFixed, place, "its coverage is", "the coverage")
        }
        PlanStep::SetEnrolling(_) => {
            let place = at(ConfigField::Enrolling);
            let is_fixed = "whether newcomers may enter is";
            (Lint::FieldFixed, place, is_fixed, "enrolling")
        }
        PlanStep::SetValues(values) => {
            let is_other = |variant: &str| {
                let before = before.and_then(|before| before.values.get(variant));
                before != values.get(variant)
            };
            let mut variants = declaration.config.variants.iter();
            let other = variants.position(|variant| is_other(&variant.name));
            let place = declaration.value_place(other.unwrap_or_default());
            (Lint::FieldFixed, place, "its values are", "the values")
        }
        _ => {
            let place = at(ConfigField::Variants);
            (
                Lint::WeightsFixed,
                place,
                "its variants are",
                "the variants",
            )
        }
    };
    let message = format!("{} is concluded: {is_fixed} fixed", Quoted(name));
    let help = format!("put {what} back, or set state = \"running\" to reopen it");
    Finding::new(lint, place, message, help)
}
