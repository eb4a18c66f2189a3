//! What a store would hold, and is probably not what was meant: weights and metrics of what runs or will run again.

use super::declaration::Declaration;
use super::finding::{Finding, Findings, Lint, SourceSpan};
use crate::field::{ConfigField, MetricField};
use crate::readiness::{ConcernKind, StartConcern, of_weights, of_windows};

/// Tells of what is as well a [concern](crate::readiness) before the start.
pub(super) fn judge(declaration: &Declaration, findings: &mut Findings) {
    let config = &declaration.config;
    let mut kinds = Vec::new();
    if declaration.has_weights() && !config.variants.is_empty() {
        kinds.extend(of_weights(config));
    }
    let fields = [ConfigField::State, ConfigField::Metrics];
    if fields.into_iter().all(|field| declaration.is_read(field)) {
        kinds.extend(of_windows(config));
    }
    for kind in kinds {
        let Some((lint, place)) = lint_of(&kind, declaration) else {
            continue;
        };
        let concern = StartConcern {
            experiment: config.name.clone(),
            kind,
        };
        let finding = Finding::new(lint, place, concern.to_string(), concern.help());
        findings.push(finding);
    }
}

/// The lint of a concern, and where the file says what it is about; `None` where the file is no reason for it.
fn lint_of(kind: &ConcernKind, declaration: &Declaration) -> Option<(Lint, SourceSpan)> {
    let config = &declaration.config;
    let is_under_way = config.state.is_under_way();
    let takes_newcomers = is_under_way && config.enrolling;
    let variants = || declaration.field_place(ConfigField::Variants);
    match *kind {
        ConcernKind::InexpressibleWeight { place, .. } => {
            Some((Lint::InexpressibleWeight, declaration.weight_place(place)))
        }
        // What is closed to newcomers has no use for weights.
        ConcernKind::NoWeight if takes_newcomers => Some((Lint::AllWeightsZero, variants())),
        ConcernKind::OneVariant { .. } if takes_newcomers => {
            Some((Lint::SingleVariant, variants()))
        }
        ConcernKind::NoWindow { place, .. } if is_under_way => {
            let mut fields = [MetricField::Role, MetricField::Window].into_iter();
            let is_read = fields.all(|field| declaration.is_metric_read(place, field));
            let place = declaration.metric_place(place, MetricField::Name);
            is_read.then_some((Lint::MissingWindow, place))
        }
        _ => None,
    }
}
