//! How an entry of the audit log reads, in every format.

use experiments::{
    ChangeDetail, ChangeKind, ChangeRecord, ChangeSide, ConfigField, Coverage, FieldValue,
    VariantConfig, VariantValues,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::View;
use super::difference::{self, Difference};
use super::figures;
use super::metric;
use super::text::{BOLD, DIM, Text, safe, shortened, styled, wrapped};
use super::tsv::Tsv;

/// An entry of the audit log as JSON has it: with what a program would have to take out of its text.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Change {
    #[serde(flatten)]
    pub(crate) record: ChangeRecord,
    #[serde(flatten)]
    kind: ChangeKind,
}

impl From<ChangeRecord> for Change {
    fn from(record: ChangeRecord) -> Self {
        let kind = record.kind();
        Self { record, kind }
    }
}

/// What a mutation did: its entry, or nothing, as it was so already.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Done(Option<Change>);

impl Done {
    pub(crate) fn new(change: Option<ChangeRecord>) -> Self {
        Self(change.map(Change::from))
    }
}

impl View for Done {
    fn columns(&self) -> &'static [&'static str] {
        COLUMNS
    }

    fn tsv(&self, tsv: &mut Tsv) {
        if let Some(change) = &self.0 {
            write_tsv(None, &change.record, tsv);
        }
    }

    /// The command says on standard error what was done; there is no data.
    fn text(&self, _text: &mut Text) {}
}

/// What [`write_tsv`] writes of a change, without the experiment.
pub(crate) const COLUMNS: &[&str] = &["timestamp_secs", "operator", "mutation", "before", "after"];

/// The same with the experiment.
pub(crate) const COLUMNS_WITH_EXPERIMENT: &[&str] = &[
    "experiment",
    "timestamp_secs",
    "operator",
    "mutation",
    "before",
    "after",
];

/// The experiment if it is given, seconds since 1970, operator, mutation, the values before and after as JSON.
pub(crate) fn write_tsv(experiment: Option<&str>, change: &ChangeRecord, tsv: &mut Tsv) {
    let side = |side: fn(&ChangeDetail) -> &ChangeSide| {
        let detail = change.detail.as_ref();
        detail.map_or_else(String::new, |detail| {
            serde_json::to_string(side(detail)).unwrap_or_default()
        })
    };
    let timestamp = change.timestamp_secs.to_string();
    let (before, after) = (side(|detail| &detail.before), side(|detail| &detail.after));
    let fields = [
        &*timestamp,
        change.actor.as_deref().unwrap_or_default(),
        &change.mutation,
        &before,
        &after,
    ];
    let fields: Vec<&str> = experiment.into_iter().chain(fields).collect();
    tsv.line(&fields);
}

/// When, who, in which experiment if it is given, and what; then a line `before → after` for each value that
/// changed.
pub(crate) fn write_text(experiment: Option<&str>, change: &ChangeRecord, text: &mut Text) {
    let operator = change.actor.as_deref().unwrap_or("(unknown)");
    let experiment = experiment.map_or_else(String::new, |name| format!("{}  ", safe(name)));
    let time = styled(DIM, text.time(change.timestamp_secs));
    let begin = format!("{time}  {}  {experiment}", safe(operator));
    let mutation = safe(&change.mutation);
    if text.fits(&format!("{begin}{mutation}")) {
        text.line(format_args!("{begin}{}", styled(BOLD, mutation)));
    } else {
        text.line(begin.trim_end());
        wrapped(text, "  ", &mutation);
    }
    if let Some(detail) = &change.detail {
        write_differences(&detail.before, &detail.after, "  ", text);
    }
}

/// What an entry of the log changed. `time` tells a moment.
pub(crate) fn differences_of(
    change: &ChangeRecord,
    time: impl Fn(u64) -> String,
) -> Vec<Difference> {
    let detail = change.detail.as_ref();
    detail.map_or_else(Vec::new, |detail| {
        differences(&detail.before, &detail.after, time)
    })
}

/// A line `before → after` for each value that differs.
pub(crate) fn write_differences(
    before: &ChangeSide,
    after: &ChangeSide,
    indent: &str,
    text: &mut Text,
) {
    let differences = differences(before, after, |secs| text.time(secs));
    difference::write(&differences, indent, text);
}

/// The fields that come first: where the experiment is in its life.
const FIRST: [ConfigField; 2] = [ConfigField::State, ConfigField::Winner];

/// What differs between two sides. `time` tells a moment.
pub(super) fn differences(
    before: &ChangeSide,
    after: &ChangeSide,
    time: impl Fn(u64) -> String,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, before: Option<String>, after: Option<String>| {
        differences.extend(Difference::of(what, before, after));
    };
    let value = |field: ConfigField, side| match field.of_side(side)? {
        FieldValue::Share(coverage) => Some(figures::share(coverage.share())),
        value => value.to_text().map(|text| safe(&text)),
    };
    for field in FIRST {
        compare(field.label(), value(field, before), value(field, after));
    }
    let shown = |text: &Option<String>| text.as_deref().map(safe);
    compare("name", shown(&before.name), shown(&after.name));
    compare("override", shown(&before.pinned), shown(&after.pinned));
    let expiry = |side: &ChangeSide| side.expires_at_secs.map(&time);
    compare("expires", expiry(before), expiry(after));
    compare("reason", shown(&before.reason), shown(&after.reason));
    for field in ConfigField::ALL {
        let sides = (field.of_side(before), field.of_side(after));
        let goes_without_saying = match sides {
            (None, Some(value)) | (Some(value), None) => lets_everybody_in(value),
            _ => false,
        };
        if !goes_without_saying && !FIRST.contains(&field) {
            compare(field.label(), value(field, before), value(field, after));
        }
    }
    let (old, new) = (variants(before), variants(after));
    let weight = |list: &[VariantConfig], name: &str| {
        let variant = list.iter().find(|variant| variant.name == name);
        variant.map(|variant| variant.weight.to_string())
    };
    let removed = old.iter().filter(|v| weight(new, &v.name).is_none());
    for variant in new.iter().chain(removed) {
        compare(
            &variant.name,
            weight(old, &variant.name),
            weight(new, &variant.name),
        );
    }
    let order = |list: &[VariantConfig], other: &[VariantConfig]| {
        let kept = list.iter().filter(|v| weight(other, &v.name).is_some());
        let names: Vec<String> = kept.map(|v| safe(&v.name)).collect();
        names.join(", ")
    };
    compare("order", Some(order(old, new)), Some(order(new, old)));
    let values = |side: &'_ ChangeSide| side.values.clone().unwrap_or_default();
    let (old, new) = (values(before), values(after));
    let removed = old.iter().filter(|(variant, _)| new.get(variant).is_none());
    for (variant, _) in new.iter().chain(removed) {
        let json = |values: &VariantValues| values.get(variant).map(|json| safe(&shortened(json)));
        compare(&format!("value of {variant}"), json(&old), json(&new));
    }
    let metrics = |side: &'_ ChangeSide| side.metrics.clone().unwrap_or_default();
    differences.extend(metric::differences(&metrics(before), &metrics(after)));
    differences
}

/// Whether it is the value of a field that keeps no newcomer out: of an experiment that comes or goes, that is
/// not worth a line.
fn lets_everybody_in(value: FieldValue<'_>) -> bool {
    matches!(
        value,
        FieldValue::Share(Coverage::FULL) | FieldValue::Flag(true)
    )
}

fn variants(side: &ChangeSide) -> &[VariantConfig] {
    side.variants.as_deref().unwrap_or_default()
}
