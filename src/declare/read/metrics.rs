//! Reads the list of metrics.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Reader;
use crate::declare::declaration::{MetricSpans, SourceSpans};
use crate::declare::finding::Lint;
use crate::field::{ConfigField, MetricField};
use crate::metric::{MetricConfig, MetricKind};

impl Reader<'_> {
    pub(super) fn metrics(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        places: &mut SourceSpans,
    ) -> Vec<MetricConfig> {
        let help = "begin each metric with [[experiment.metrics]]";
        let Some(items) = self.list("metrics", value, help) else {
            places.unread.push(ConfigField::Metrics);
            return Vec::new();
        };
        let mut metrics = Vec::with_capacity(items.len());
        for item in items {
            let table = self.table(item, "a metric");
            let Some((metric, spans)) = table.and_then(|table| self.metric(table, item)) else {
                places.unread.push(ConfigField::Metrics);
                continue;
            };
            places.metrics.push(spans);
            metrics.push(metric);
        }
        metrics
    }

    /// A metric of which all can be read that every metric must have.
    fn metric(
        &mut self,
        table: &DeTable<'_>,
        item: &Spanned<DeValue<'_>>,
    ) -> Option<(MetricConfig, MetricSpans)> {
        self.unknown_keys(table, &MetricField::ALL.map(MetricField::key));
        let mut metric = MetricConfig::new("", MetricKind::Mean);
        let mut spans = MetricSpans::default();
        for field in MetricField::ALL {
            let Some(value) = table.get(field.key()) else {
                if field.is_required() {
                    let (lint, help) = match field {
                        MetricField::Name => (Lint::MissingName, "add name = \"...\"".to_owned()),
                        _ => (Lint::MissingKey, format!("it is {}", field.kind())),
                    };
                    self.tell(lint, item.span(), format!("a metric has no {field}"), help);
                }
                continue;
            };
            if let Some(read) = self.value(field.key(), field.kind(), value)
                && field.set(&mut metric, read)
            {
                spans.fields.insert(field, value.span());
            } else {
                spans.unread.push(field);
            }
        }
        let mut fields = MetricField::ALL.into_iter();
        let is_read = fields.all(|field| !field.is_required() || spans.fields.contains_key(&field));
        is_read.then_some((metric, spans))
    }
}
