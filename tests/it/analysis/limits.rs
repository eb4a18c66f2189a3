//! Numbers at their limits, and nothing at all.

use experiments::Finite;
use experiments::metric::{MetricKind, MetricRole, Population};
use experiments::results::AnalysedMetric;

use super::{ARMS, Given, metric, primary};

/// No input makes a figure that is no number, or a sentence that says so.
#[test]
fn no_input_makes_a_figure_undefined_in_another_way_than_null() {
    let kinds = [
        MetricKind::Conversion,
        MetricKind::Mean,
        MetricKind::Ratio,
        MetricKind::Quantile,
    ];
    let roles = [
        MetricRole::Primary,
        MetricRole::Secondary,
        MetricRole::Guardrail,
    ];
    let metrics: Vec<AnalysedMetric> = kinds
        .into_iter()
        .flat_map(|kind| roles.map(|role| metric(kind, role)))
        .flat_map(|plain| {
            let mut full = plain.clone();
            full.config.covariate = Some("before".to_owned());
            full.config.cap = "50%".parse().ok();
            full.config.minimum_effect = "0.01".parse().ok();
            [plain, full]
        })
        .collect();
    let values: [fn(usize, u32) -> Option<f64>; 10] = [
        |_, _| None,
        |_, _| Some(0.0),
        |_, _| Some(1.0),
        |variant, _| (variant == 1).then_some(1.0),
        |variant, _| (variant == 0).then_some(1.0),
        |_, number| {
            Some(if number.is_multiple_of(3) {
                1e308
            } else {
                -1e308
            })
        },
        |variant, _| Some(if variant == 0 { 1e308 } else { 1e-308 }),
        |_, number| Some(f64::from(number) * 1e-320),
        |_, number| Some(-f64::from(number)),
        // What two values near the largest number add up to.
        |_, number| Some(if number == 7 { f64::INFINITY } else { 1.0 }),
    ];
    let mut reports = 0;
    for variants in [&["a"][..], &ARMS, &["control", "b", "c", "d"]] {
        for actors in [0, 1, 2, 3, 130] {
            for value in values {
                for (is_final, only_seen, population) in [
                    (true, false, Population::Exposed),
                    (false, false, Population::Assigned),
                    (false, true, Population::Assigned),
                ] {
                    let mut given = Given::new(variants, actors, metrics.clone(), value);
                    given.is_final = is_final;
                    given.only_seen = only_seen;
                    given.population = population;
                    let report = given.report();
                    let shown = format!("{report:?}");
                    let words = shown.split(|c: char| !c.is_alphanumeric());
                    for word in words {
                        assert!(
                            word != "NaN" && word != "inf",
                            "{actors} {variants:?}: {report:#?}"
                        );
                    }
                    let verdicts = report.metrics.iter().map(|metric| &metric.verdict);
                    assert!(
                        verdicts
                            .into_iter()
                            .all(|verdict| !verdict.sentence.is_empty())
                    );
                    reports += 1;
                }
            }
        }
    }
    assert_eq!(reports, 3 * 5 * 10 * 3);
}

/// Neither variants nor totals need to be there.
#[test]
fn an_empty_experiment_has_a_report() {
    let mut given = Given::new(&ARMS, 10, vec![primary(MetricKind::Mean)], |_, _| Some(1.0));
    given.totals.metrics.clear();
    assert_eq!(given.report().metrics[0].variants[0].total, Some(0.0));
    given.config.variants.clear();
    let report = given.report();
    assert_eq!((report.control, report.assigned_actors), (None, 0));
    assert_eq!(report.metrics, []);
    given.config.analysis.confidence = Finite::default();
    given.config.analysis.tuning_actors = 0;
    given.report();
}
