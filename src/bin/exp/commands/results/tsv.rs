//! Results as lines: one for each comparison.

use experiments::results::Report;

use crate::output::tsv::Tsv;

pub(super) const COLUMNS: &[&str] = &[
    "metric",
    "kind",
    "role",
    "variant",
    "control",
    "actors",
    "variant_mean",
    "control_mean",
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "relative",
    "relative_low",
    "relative_high",
    "always_valid_relative_low",
    "always_valid_relative_high",
    "always_valid_p_value",
    "adjusted_p_value",
    "chance_to_win",
    "expected_loss",
    "verdict",
];

pub(super) fn write(report: &Report, tsv: &mut Tsv) {
    // In full, and with an exponent where a number is very small.
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:?}"));
    for metric in &report.metrics {
        for comparison in &metric.comparisons {
            let (difference, always) = (&comparison.difference, &comparison.always_valid);
            tsv.line(&[
                &metric.metric,
                metric.kind.as_str(),
                metric.role.as_str(),
                &comparison.variant,
                &comparison.control,
                &comparison.actors.to_string(),
                &number(comparison.means.variant),
                &number(comparison.means.control),
                &number(difference.estimate),
                &number(difference.low),
                &number(difference.high),
                &number(difference.p_value),
                &number(comparison.relative.estimate),
                &number(comparison.relative.low),
                &number(comparison.relative.high),
                &number(always.relative_low),
                &number(always.relative_high),
                &number(always.p_value),
                &number(comparison.adjusted_p_value),
                &number(comparison.chance_to_win),
                &number(comparison.expected_loss),
                &verdict(comparison.verdict),
            ]);
        }
    }
}

fn verdict(code: experiments::results::VerdictCode) -> String {
    let json = serde_json::to_value(code).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}
