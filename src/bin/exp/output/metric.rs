//! How metrics read.

use std::fmt::Display;

use experiments::{MetricConfig, MetricField};

use super::difference::Difference;
use super::text::{Text, cell, safe};

/// What each is, what part it has in the decision, and how long its outcomes count.
pub(crate) fn table(metrics: &[MetricConfig], text: &mut Text) {
    let row = |(place, metric): (usize, &MetricConfig)| {
        let window = metric.window.map(|window| window.to_string());
        vec![
            cell(&metric.name),
            cell(metric.kind.as_str()),
            cell(metric.role_at(place).as_str()),
            cell(window.as_deref().unwrap_or("–")),
        ]
    };
    let rows = metrics.iter().enumerate().map(row).collect();
    text.table(&["METRIC", "KIND", "ROLE", "WINDOW"], rows);
}

/// A line for each metric that comes or goes, one for each field of one that stays and changes, and one for
/// the order.
pub(super) fn differences(before: &[MetricConfig], after: &[MetricConfig]) -> Vec<Difference> {
    let named = |list: &'_ [MetricConfig], name: &str| {
        let metric = list.iter().find(|metric| metric.name == name);
        metric.cloned()
    };
    let mut differences = Vec::new();
    let gone = before.iter().filter(|m| named(after, &m.name).is_none());
    for metric in after.iter().chain(gone) {
        let name = &metric.name;
        match (named(before, name), named(after, name)) {
            (Some(old), Some(new)) => {
                let fields = MetricField::ALL.into_iter();
                differences.extend(fields.filter_map(|field| {
                    let what = format!("metric {name} {}", field.key());
                    Difference::of(&what, shown(field, &old), shown(field, &new))
                }));
            }
            (old, new) => {
                let what = format!("metric {name}");
                let (old, new) = (old.as_ref().map(summary), new.as_ref().map(summary));
                differences.extend(Difference::of(&what, old, new));
            }
        }
    }
    let order = |list: &[MetricConfig], other: &[MetricConfig]| {
        let kept = list.iter().filter(|m| named(other, &m.name).is_some());
        joined(kept.map(|metric| safe(&metric.name)))
    };
    let (old, new) = (order(before, after), order(after, before));
    differences.extend(Difference::of("order of metrics", Some(old), Some(new)));
    differences
}

/// What a metric is, in a line: `mean, window 7d, cap 99.9%`.
pub(crate) fn summary(metric: &MetricConfig) -> String {
    let fields = MetricField::ALL.into_iter();
    joined(fields.filter_map(|field| {
        let value = shown(field, metric)?;
        match field {
            MetricField::Name => None,
            MetricField::Kind => Some(value),
            _ => Some(format!("{} {value}", field.key())),
        }
    }))
}

fn shown(field: MetricField, metric: &MetricConfig) -> Option<String> {
    let value = field.get(metric)?.to_text()?;
    Some(safe(&value))
}

fn joined(parts: impl Iterator<Item = impl Display>) -> String {
    let parts: Vec<String> = parts.map(|part| part.to_string()).collect();
    parts.join(", ")
}
