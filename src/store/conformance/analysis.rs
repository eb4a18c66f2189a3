//! How an experiment is analysed, and by which metrics it is judged.

use super::{assert_refused, conclude, create, even, log, start, weights};
use crate::error::ExperimentError;
use crate::experiment::{ChangeSide, ExperimentConfig, ExperimentState};
use crate::lifecycle::Mutation;
use crate::metric::{
    AnalysisConfig, Better, Cap, MetricConfig, MetricKind, MetricRole, Population, Window,
};
use crate::number::Finite;
use crate::store::ExperimentStore;

fn finite(number: f64) -> Option<Finite> {
    Finite::new(number)
}

/// Metrics that together use all that a metric has.
fn metrics() -> Vec<MetricConfig> {
    vec![
        MetricConfig {
            column: Some("bought".to_owned()),
            role: Some(MetricRole::Primary),
            window: Window::of_secs(7 * 86_400),
            covariate: Some("bought before".to_owned()),
            minimum_effect: finite(0.02),
            ..MetricConfig::new("purchased", MetricKind::Conversion)
        },
        MetricConfig {
            denominator: Some("visits".to_owned()),
            better: Some(Better::Up),
            cap: Cap::of_value(250.5),
            ..MetricConfig::new("revenue", MetricKind::Ratio)
        },
        MetricConfig {
            role: Some(MetricRole::Guardrail),
            better: Some(Better::Down),
            quantile: finite(0.95),
            minimum_effect: finite(0.1),
            ..MetricConfig::new("Größe \"95%\"", MetricKind::Quantile)
        },
        MetricConfig {
            role: Some(MetricRole::Secondary),
            cap: "99.9%".parse().ok(),
            ..MetricConfig::new("items", MetricKind::Mean)
        },
    ]
}

fn analysed() -> ExperimentConfig {
    even("e", ExperimentState::Draft).analysis(AnalysisConfig {
        control: Some("treatment".to_owned()),
        confidence: Finite::new(0.99).unwrap(),
        tuning_actors: 20_000,
        population: Population::Exposed,
        metrics: metrics(),
    })
}

/// How an experiment is analysed is kept as it was given, whatever else changes.
pub fn an_analysis_is_kept_as_it_is(store: &dyn ExperimentStore) {
    let config = analysed();
    create(store, &config);
    let kept = || store.get("e").unwrap().unwrap().analysis;
    assert_eq!(kept(), config.analysis);
    assert_eq!(store.list().unwrap()[0].analysis, config.analysis);
    start(store, "e").unwrap();
    let next = weights(&[("control", 1), ("treatment", 9)]);
    store.set_variants("e", next, None).unwrap();
    conclude(store, "e", "control").unwrap();
    assert_eq!(kept(), config.analysis);
    create(store, &ExperimentConfig::new("plain", weights(&[("a", 1)])));
    let plain = store.get("plain").unwrap().unwrap();
    assert_eq!(plain.analysis, AnalysisConfig::default());
}

/// A replaced draft has the new one's analysis, or none.
pub fn a_replaced_draft_changes_its_analysis(store: &dyn ExperimentStore) {
    let plain = even("e", ExperimentState::Draft);
    for config in [&plain, &analysed(), &plain] {
        store.upsert(config.clone()).unwrap();
        assert_eq!(store.get("e").unwrap().unwrap().analysis, config.analysis);
    }
}

/// Metrics change until the archive, and the log has them as they were and as they are. The same again is no
/// change.
pub fn metrics_change_and_are_logged(store: &dyn ExperimentStore) {
    create(store, &analysed());
    let created = store.history("e", 1).unwrap().remove(0).detail.unwrap();
    assert_eq!(created.after, ChangeSide::from(&analysed()));
    start(store, "e").unwrap();
    let set = |metrics: &[MetricConfig]| {
        let mutation = Mutation::SetMetrics {
            experiment: "e",
            metrics,
        };
        store.mutate(&mutation, None)
    };
    let mut fewer = metrics();
    fewer.truncate(2);
    let changed = set(&fewer).unwrap().unwrap();
    let side = |metrics: Vec<MetricConfig>| ChangeSide {
        metrics: Some(metrics),
        ..ChangeSide::default()
    };
    let detail = changed.detail.clone().unwrap();
    assert_eq!(detail.before, side(metrics()));
    assert_eq!(detail.after, side(fewer.clone()));
    assert_eq!(store.history("e", 1).unwrap(), [changed]);
    assert_eq!(set(&fewer).unwrap(), None);
    conclude(store, "e", "control").unwrap();
    set(&[]).unwrap().unwrap();
    let analysis = store.get("e").unwrap().unwrap().analysis;
    let expected = AnalysisConfig {
        metrics: Vec::new(),
        ..analysed().analysis
    };
    assert_eq!(analysis, expected);
    store
        .set_state("e", ExperimentState::Archived, None)
        .unwrap();
    assert_refused!(set(&fewer), ExperimentError::Archived(_));
    assert_eq!(
        log(store, "e"),
        [
            "state=archived",
            "metrics",
            "concluded=control",
            "metrics",
            "state=running",
            "created",
        ]
    );
}
