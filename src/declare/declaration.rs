//! One experiment of a file, each part of which knows where it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use super::finding::SourceSpan;
use crate::error::Field;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::field::{ConfigField, MetricField};

/// One `[[experiment]]` of a file.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// What it says. Where the file says no state, it is that of the live experiment, or a draft.
    pub config: ExperimentConfig,
    /// The state, if the file says one. Without, the stored experiment keeps the state that it has.
    pub state: Option<ExperimentState>,
    pub(super) places: SourceSpans,
}

/// Where the parts of a declaration stand.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceSpans {
    pub(super) file: usize,
    pub(super) whole: Range<usize>,
    /// Of the fields that are written and could be read; of the variants in any case.
    pub(super) fields: BTreeMap<ConfigField, Range<usize>>,
    pub(super) variant_names: Vec<Range<usize>>,
    pub(super) weights: Vec<Range<usize>>,
    /// Of the value of each variant, if it is written and could be read.
    pub(super) values: Vec<Option<Range<usize>>>,
    /// Of each metric that could be read.
    pub(super) metrics: Vec<MetricSpans>,
    /// The fields that are written and could not be read, or not all of it.
    pub(super) unread: Vec<ConfigField>,
    /// Whether a weight is missing, or could not be read.
    pub(super) lacks_weight: bool,
}

/// Where the parts of a metric stand.
#[derive(Debug, Clone, Default)]
pub(super) struct MetricSpans {
    /// Of the fields that are written and could be read.
    pub(super) fields: BTreeMap<MetricField, Range<usize>>,
    /// The fields that are written and could not be read.
    pub(super) unread: Vec<MetricField>,
}

impl Declaration {
    /// Where a part stands, or the experiment's name if it is not written.
    fn place(&self, part: Option<&Range<usize>>) -> SourceSpan {
        let places = &self.places;
        let span = part.or_else(|| places.fields.get(&ConfigField::Name));
        SourceSpan {
            file: places.file,
            span: span.unwrap_or(&places.whole).clone(),
        }
    }

    /// Whether anything is written that matters to assigning and could not be read.
    pub(super) fn is_unread(&self) -> bool {
        let matters = |field: &ConfigField| {
            let is_shown_only = matches!(field, ConfigField::Description | ConfigField::Values);
            !is_shown_only && !field.is_of_analysis()
        };
        self.places.lacks_weight || self.places.unread.iter().any(matters)
    }

    /// Whether a field is absent or could be read.
    pub(super) fn is_read(&self, field: ConfigField) -> bool {
        !self.places.unread.contains(&field)
    }

    /// Whether a field of a metric is absent or could be read.
    pub(super) fn is_metric_read(&self, metric: usize, field: MetricField) -> bool {
        let spans = self.places.metrics.get(metric);
        spans.is_none_or(|spans| !spans.unread.contains(&field))
    }

    /// Whether all variants and their weights could be read.
    pub(super) fn has_weights(&self) -> bool {
        self.is_read(ConfigField::Variants) && !self.places.lacks_weight
    }

    /// Whether a field is written, and could be read.
    pub(super) fn says(&self, field: ConfigField) -> bool {
        self.places.fields.contains_key(&field)
    }

    /// The file and the byte at which it begins.
    pub(super) fn begins(&self) -> (usize, usize) {
        (self.places.file, self.places.whole.start)
    }

    pub(super) fn name_place(&self) -> SourceSpan {
        self.place(None)
    }

    pub(super) fn weight_place(&self, variant: usize) -> SourceSpan {
        self.place(self.places.weights.get(variant))
    }

    pub(super) fn field_place(&self, field: ConfigField) -> SourceSpan {
        self.place(self.places.fields.get(&field))
    }

    pub(super) fn variant_place(&self, variant: usize) -> SourceSpan {
        self.place(self.places.variant_names.get(variant))
    }

    /// Where the value of a variant stands, or the variant's name if it has none.
    pub(super) fn value_place(&self, variant: usize) -> SourceSpan {
        match self.places.values.get(variant) {
            Some(Some(value)) => self.place(Some(value)),
            _ => self.variant_place(variant),
        }
    }

    /// Where a field of a metric stands, or the metric's name if it is not written.
    pub(super) fn metric_place(&self, metric: usize, field: MetricField) -> SourceSpan {
        let spans = self.places.metrics.get(metric);
        let part = spans.and_then(|spans| {
            let written = spans.fields.get(&field);
            written.or_else(|| spans.fields.get(&MetricField::Name))
        });
        self.place(part)
    }

    /// Where the field that a problem is about stands in the file.
    pub(super) fn problem_place(&self, field: Field) -> SourceSpan {
        match field {
            Field::Config(field) => self.field_place(field),
            Field::Variant(index) => self.variant_place(index),
            Field::Value(index) => self.value_place(index),
            Field::Metric(index, field) => self.metric_place(index, field),
            Field::Actor
            | Field::Reason
            | Field::RequestId
            | Field::OutcomeMetric
            | Field::OutcomeId => self.name_place(),
        }
    }
}
