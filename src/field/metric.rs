//! The table of a metric's fields.

use std::fmt;

use super::kind::{FieldKind, FieldValue, put, put_text, text};
use crate::metric::{Better, MetricConfig, MetricKind, MetricRole};
use crate::number::NumberRange;

/// A field of a [`MetricConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MetricField {
    /// [`MetricConfig::name`].
    Name,
    /// [`MetricConfig::kind`].
    Kind,
    /// [`MetricConfig::column`].
    Column,
    /// [`MetricConfig::denominator`].
    Denominator,
    /// [`MetricConfig::quantile`].
    Quantile,
    /// [`MetricConfig::role`].
    Role,
    /// [`MetricConfig::better`].
    Better,
    /// [`MetricConfig::window`].
    Window,
    /// [`MetricConfig::covariate`].
    Covariate,
    /// [`MetricConfig::cap`].
    Cap,
    /// [`MetricConfig::minimum_effect`].
    MinimumEffect,
}

impl MetricField {
    /// Every field, in the order in which a file has them.
    pub const ALL: [Self; 11] = [
        Self::Name,
        Self::Kind,
        Self::Column,
        Self::Denominator,
        Self::Quantile,
        Self::Role,
        Self::Better,
        Self::Window,
        Self::Covariate,
        Self::Cap,
        Self::MinimumEffect,
    ];

    /// Its name in a file and in JSON, as serde has it.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.entry().key
    }

    /// What it is about, in a sentence.
    #[must_use]
    pub fn doc(self) -> &'static str {
        self.entry().doc
    }

    /// What it may hold.
    #[must_use]
    pub fn kind(self) -> FieldKind {
        self.entry().kind
    }

    /// Whether every metric must have it.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(self, Self::Name | Self::Kind)
    }

    /// The kinds of metric that take it.
    #[must_use]
    pub fn takers(self) -> &'static [MetricKind] {
        self.entry().takers
    }

    /// What makes a metric in this place of the list, counted from 0, need it: a word for its kind or its role.
    #[must_use]
    pub fn need_of(self, metric: &MetricConfig, place: usize) -> Option<&'static str> {
        let kind = (self == Self::Denominator && metric.kind == MetricKind::Ratio)
            .then_some(metric.kind.as_str());
        let role = metric.role_at(place);
        let role =
            (self == Self::MinimumEffect && role == MetricRole::Guardrail).then_some(role.as_str());
        kind.or(role)
    }

    /// Its value, if it has one.
    #[must_use]
    pub fn get(self, metric: &MetricConfig) -> Option<FieldValue<'_>> {
        (self.entry().get)(metric)
    }

    /// Sets it. `false`, and nothing set, if that is no value of this field.
    #[must_use]
    pub fn set(self, metric: &mut MetricConfig, value: FieldValue<'_>) -> bool {
        (self.entry().set)(metric, value).is_some()
    }

    fn entry(self) -> &'static Entry {
        &ENTRIES[self as usize]
    }
}

/// In words, for a sentence.
impl fmt::Display for MetricField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key().replace('_', " "))
    }
}

/// All that is known of one field.
struct Entry {
    key: &'static str,
    doc: &'static str,
    kind: FieldKind,
    takers: &'static [MetricKind],
    get: fn(&MetricConfig) -> Option<FieldValue<'_>>,
    /// `None` if that is no value of this field.
    set: fn(&mut MetricConfig, FieldValue<'_>) -> Option<()>,
}

/// What most fields have in common.
const PLAIN: Entry = Entry {
    key: "",
    doc: "",
    kind: FieldKind::Name,
    takers: MetricKind::ALL,
    get: |_| None,
    set: |_, _| None,
};

/// One for each of [`MetricField::ALL`], in its order.
static ENTRIES: [Entry; MetricField::ALL.len()] = [
    Entry {
        key: "name",
        doc: "Unique in the experiment.",
        get: |metric| Some(FieldValue::Text(&metric.name)),
        set: |metric, value| put(&mut metric.name, value.text().map(str::to_owned)),
        ..PLAIN
    },
    Entry {
        key: "kind",
        doc: "What is made of an actor's outcomes.",
        kind: FieldKind::OneOf {
            set: "MetricKind",
            words: MetricKind::WORDS,
        },
        get: |metric| Some(FieldValue::Text(metric.kind.as_str())),
        set: |metric, value| put(&mut metric.kind, MetricKind::named(value.text()?)),
        ..PLAIN
    },
    Entry {
        key: "column",
        doc: "The outcomes' column. The name if left out.",
        kind: FieldKind::Column,
        get: |metric| text(metric.column.as_deref()),
        set: |metric, value| put_text(&mut metric.column, value),
        ..PLAIN
    },
    Entry {
        key: "denominator",
        doc: "Of a ratio, which needs it: the column that it is divided by.",
        kind: FieldKind::Column,
        takers: &[MetricKind::Ratio],
        get: |metric| text(metric.denominator.as_deref()),
        set: |metric, value| put_text(&mut metric.denominator, value),
    },
    Entry {
        key: "quantile",
        doc: "Of a quantile: which one. 0.5, the median, if left out.",
        kind: FieldKind::Number(NumberRange::PROPORTION),
        takers: &[MetricKind::Quantile],
        get: |metric| metric.quantile.map(FieldValue::Number),
        set: |metric, value| put(&mut metric.quantile, value.number().map(Some)),
    },
    Entry {
        key: "role",
        doc: "Its part in the decision. If left out, the first metric is primary and the others are secondary.",
        kind: FieldKind::OneOf {
            set: "MetricRole",
            words: MetricRole::WORDS,
        },
        get: |metric| text(metric.role.map(MetricRole::as_str)),
        set: |metric, value| put(&mut metric.role, MetricRole::named(value.text()?).map(Some)),
        ..PLAIN
    },
    Entry {
        key: "better",
        doc: "Which direction is good; up if left out.",
        kind: FieldKind::OneOf {
            set: "Better",
            words: Better::WORDS,
        },
        get: |metric| text(metric.better.map(Better::as_str)),
        set: |metric, value| put(&mut metric.better, Better::named(value.text()?).map(Some)),
        ..PLAIN
    },
    Entry {
        key: "window",
        doc: "How long after an actor's start outcomes count, as 7d or 12h. Without end if left out.",
        kind: FieldKind::Window,
        get: |metric| metric.window.map(FieldValue::Window),
        set: |metric, value| put(&mut metric.window, value.window().map(Some)),
        ..PLAIN
    },
    Entry {
        key: "covariate",
        doc: "A column that was measured before the start, to adjust for (CUPED).",
        kind: FieldKind::Column,
        takers: &[MetricKind::Conversion, MetricKind::Mean],
        get: |metric| text(metric.covariate.as_deref()),
        set: |metric, value| put_text(&mut metric.covariate, value),
    },
    Entry {
        key: "cap",
        doc: "What larger values are cut to: a number, or a percentage of the values that are not zero, as \"99.9%\".",
        kind: FieldKind::Cap,
        get: |metric| metric.cap.map(FieldValue::Cap),
        set: |metric, value| put(&mut metric.cap, value.cap().map(Some)),
        ..PLAIN
    },
    Entry {
        key: "minimum_effect",
        doc: "Relative to the control: the smallest change worth having. A guardrail needs it: the largest harm allowed.",
        kind: FieldKind::Number(NumberRange::POSITIVE),
        get: |metric| metric.minimum_effect.map(FieldValue::Number),
        set: |metric, value| put(&mut metric.minimum_effect, value.number().map(Some)),
        ..PLAIN
    },
];

#[cfg(all(test, feature = "declare"))]
mod tests {
    use super::*;
    use crate::number::Finite;

    #[test]
    fn each_entry_is_where_its_field_looks_for_it() {
        let full = MetricConfig {
            column: Some("c".to_owned()),
            denominator: Some("d".to_owned()),
            quantile: Finite::new(0.25),
            role: Some(MetricRole::Guardrail),
            better: Some(Better::Down),
            window: "7d".parse().ok(),
            covariate: Some("before".to_owned()),
            cap: "99.9%".parse().ok(),
            minimum_effect: Finite::new(0.02),
            ..MetricConfig::new("n", MetricKind::Ratio)
        };
        let json = serde_json::to_value(&full).unwrap();
        let mut copy = MetricConfig::new("", MetricKind::Mean);
        for (index, field) in MetricField::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            let value = field.get(&full).unwrap();
            assert!(field.set(&mut copy, value), "{field}");
            match (value, &json[field.key()]) {
                (FieldValue::Number(number), json) => assert_eq!(*json, number.get()),
                (value, json) => assert_eq!(json, &*value.to_text().unwrap(), "{field}"),
            }
        }
        assert_eq!(copy, full);
        assert_eq!(json.as_object().unwrap().len(), MetricField::ALL.len());
    }
}
