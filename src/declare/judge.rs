//! What a store would hold, and is probably not what was meant: weights and metrics.

use super::declaration::Declaration;
use super::finding::{Finding, Findings, Lint};
use crate::bucketing::{BUCKETS, bucket_counts, total_weight};
use crate::experiment::ExperimentState;
use crate::field::{ConfigField, MetricField};
use crate::text::Quoted;

pub(super) fn check_weights(declaration: &Declaration, findings: &mut Findings) {
    let config = &declaration.config;
    let is_running = config.state == ExperimentState::Running;
    if !declaration.has_weights() || config.variants.is_empty() {
        return;
    }
    let total = total_weight(config.weights());
    if total == 0 {
        if is_running {
            let message = format!("{} runs, and all its weights are 0", Quoted(&config.name));
            let help = "give a variant a weight, or set state = \"draft\"";
            let place = declaration.field_place(ConfigField::Variants);
            findings.push(Finding::new(Lint::AllWeightsZero, place, message, help));
        }
        return;
    }
    if is_running && config.weights().filter(|weight| *weight > 0).count() == 1 {
        let message = format!(
            "{} runs with one variant: everybody gets it",
            Quoted(&config.name)
        );
        let help = "add another variant, or conclude it";
        let place = declaration.field_place(ConfigField::Variants);
        findings.push(Finding::new(Lint::SingleVariant, place, message, help));
    }
    for (index, got) in bucket_counts(config.weights()).into_iter().enumerate() {
        let variant = &config.variants[index];
        // In parts of `total`, to compare without rounding: wanted is `weight * BUCKETS`.
        let wanted = u128::from(variant.weight) * u128::from(BUCKETS);
        let got_scaled = u128::from(got) * u128::from(total);
        if wanted.abs_diff(got_scaled) * 100 <= wanted {
            continue;
        }
        let message = format!(
            "{} asks for {}, and gets {}",
            Quoted(&variant.name),
            percent(wanted, u128::from(total) * u128::from(BUCKETS)),
            percent(u128::from(got), u128::from(BUCKETS)),
        );
        let help = "shares are whole ten-thousandths; give it a weight that is one";
        let place = declaration.weight_place(index);
        findings.push(Finding::new(
            Lint::InexpressibleWeight,
            place,
            message,
            help,
        ));
    }
}

#[expect(clippy::cast_precision_loss, reason = "for show")]
fn percent(part: u128, of: u128) -> String {
    let percent = part as f64 * 100.0 / of as f64;
    let digits = if percent < 0.01 { 6 } else { 4 };
    let text = format!("{percent:.digits$}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

pub(super) fn check_metrics(declaration: &Declaration, findings: &mut Findings) {
    let config = &declaration.config;
    let fields = [ConfigField::State, ConfigField::Metrics];
    let is_read = fields.into_iter().all(|field| declaration.is_read(field));
    if config.state != ExperimentState::Running || !is_read {
        return;
    }
    for (index, metric) in config.analysis.deciding_without_window() {
        let mut fields = [MetricField::Role, MetricField::Window].into_iter();
        if !fields.all(|field| declaration.is_metric_read(index, field)) {
            continue;
        }
        let message = format!(
            "{} runs, and its primary metric {} has no window",
            Quoted(&config.name),
            Quoted(&metric.name)
        );
        let help = "without a window results name no winner unless --final; add window = \"7d\"";
        let place = declaration.metric_place(index, MetricField::Name);
        findings.push(Finding::new(Lint::MissingWindow, place, message, help));
    }
}
