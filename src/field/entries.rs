//! The table of an experiment's fields.

use super::kind::{
    FieldKind, FieldValue, MAX_DESCRIPTION_BYTES, MAX_TUNING_ACTORS, put, put_text, text,
};
use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::experiment::{ChangeSide, ExperimentConfig, ExperimentState};
use crate::metric::{AnalysisConfig, Population};
use crate::number::NumberRange;

/// All that is known of one field.
pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) doc: &'static str,
    pub(super) kind: FieldKind,
    pub(super) is_fixed_by_start: bool,
    pub(super) get: fn(&ExperimentConfig) -> Option<FieldValue<'_>>,
    pub(super) of_side: fn(&ChangeSide) -> Option<FieldValue<'_>>,
    /// `None` if that is no value of this field.
    pub(super) set: fn(&mut ExperimentConfig, FieldValue<'_>) -> Option<()>,
    /// Whether a file that leaves it out means the same.
    pub(super) goes_without_saying: fn(&ExperimentConfig) -> bool,
    pub(super) unknown_to_application: fn(&ExperimentConfig) -> Option<&'static str>,
}

/// What most fields have in common.
const PLAIN: Entry = Entry {
    key: "",
    doc: "",
    kind: FieldKind::Name,
    is_fixed_by_start: false,
    get: |_| None,
    of_side: |_| None,
    set: |_, _| None,
    goes_without_saying: |_| false,
    unknown_to_application: |_| None,
};

/// One for each of `ConfigField::ALL`, in its order.
pub(super) static ENTRIES: [Entry; 16] = [
    Entry {
        key: "name",
        doc: "Unique in the store.",
        get: |config| Some(FieldValue::Text(&config.name)),
        set: |config, value| put(&mut config.name, value.text().map(str::to_owned)),
        ..PLAIN
    },
    Entry {
        key: "description",
        doc: "What it is about.",
        kind: FieldKind::Text(MAX_DESCRIPTION_BYTES),
        get: |config| text(config.description.as_deref()),
        of_side: |side| text(side.description.as_deref()),
        set: |config, value| put_text(&mut config.description, value),
        ..PLAIN
    },
    Entry {
        key: "state",
        doc: "Where it is in its life. If left out, it keeps its state; a new one is a draft.",
        kind: FieldKind::OneOf {
            set: "State",
            words: &[
                ("draft", "Declared; assigns nobody yet."),
                ("running", "Assigns actors."),
                (
                    "paused",
                    "Assigns nobody for the time being; nothing is forgotten.",
                ),
                ("concluded", "Everybody gets the winner."),
                ("archived", "Over, for good."),
            ],
        },
        get: |config| Some(FieldValue::Text(config.state.as_str())),
        of_side: |side| Some(FieldValue::Text(side.state?.as_str())),
        set: |config, value| put(&mut config.state, ExperimentState::named(value.text()?)),
        ..PLAIN
    },
    Entry {
        key: "winner",
        doc: "The variant that everybody gets once it is concluded.",
        get: |config| text(config.winner.as_deref()),
        of_side: |side| text(side.winner.as_deref()),
        set: |config, value| put_text(&mut config.winner, value),
        goes_without_saying: |config| config.deciding_winner().is_none(),
        ..PLAIN
    },
    Entry {
        key: "exclusion_group",
        doc: "Experiments of one group never share an actor. Fixed once it has started.",
        is_fixed_by_start: true,
        get: |config| text(config.exclusion_group.as_deref()),
        of_side: |side| text(side.exclusion_group.as_deref()),
        set: |config, value| put_text(&mut config.exclusion_group, value),
        ..PLAIN
    },
    Entry {
        key: "bucketing",
        doc: "How actors become buckets. Fixed once it has started; fnv1a if left out.",
        kind: FieldKind::OneOf {
            set: "BucketingName",
            words: &[
                ("fnv1a", "FNV-1a, as the Autumn web framework has it."),
                (
                    "fnv1a_mixed",
                    "The same with the finaliser of MurmurHash3: no pair of experiments interferes.",
                ),
            ],
        },
        is_fixed_by_start: true,
        get: |config| Some(FieldValue::Text(config.bucketing.as_str())),
        of_side: |side| Some(FieldValue::Text(side.bucketing?.as_str())),
        set: |config, value| put(&mut config.bucketing, Bucketing::named(value.text()?)),
        goes_without_saying: |config| config.bucketing == Bucketing::default(),
        unknown_to_application: |config| {
            (config.bucketing == Bucketing::Fnv1aMixed).then_some(
                "has bucketing fnv1a_mixed, but the application that shares these tables knows only \
                 fnv1a: it would give actors other variants",
            )
        },
    },
    Entry {
        key: "salt",
        doc: "Hashed with an actor in place of the name. Fixed once it has started.",
        is_fixed_by_start: true,
        get: |config| text(config.salt.as_deref()),
        of_side: |side| text(side.salt.as_deref()),
        set: |config, value| put_text(&mut config.salt, value),
        unknown_to_application: |config| {
            config.salt.as_ref().map(|_| {
                "has a salt, which the application that shares these tables ignores: it would give \
                 actors other variants"
            })
        },
        ..PLAIN
    },
    Entry {
        key: "enrolling",
        doc: "Whether newcomers may enter; true if left out. Whoever is in stays in.",
        kind: FieldKind::Flag,
        get: |config| Some(FieldValue::Flag(config.enrolling)),
        of_side: |side| side.enrolling.map(FieldValue::Flag),
        set: |config, value| put(&mut config.enrolling, value.flag()),
        goes_without_saying: |config| config.enrolling,
        unknown_to_application: |config| {
            (!config.enrolling).then_some(
                "is closed to newcomers, which the application that shares these tables ignores: it \
                 goes on enrolling them",
            )
        },
        ..PLAIN
    },
    Entry {
        key: "coverage",
        doc: "The share of the newcomers who enter, in steps of 0.0001. Whoever is in stays in.",
        kind: FieldKind::Share,
        get: |config| Some(FieldValue::Share(config.coverage)),
        of_side: |side| side.coverage.map(FieldValue::Share),
        set: |config, value| put(&mut config.coverage, value.share()),
        goes_without_saying: |config| config.coverage == Coverage::FULL,
        unknown_to_application: |config| {
            (config.coverage != Coverage::FULL).then_some(
                "has a coverage, which the application that shares these tables ignores: it goes on \
                 enrolling everybody",
            )
        },
        ..PLAIN
    },
    Entry {
        key: "control",
        doc: "The variant that the others are compared with. If left out, the first. \
              Fixed once it has started.",
        is_fixed_by_start: true,
        get: |config| text(config.analysis.control.as_deref()),
        of_side: |side| text(side.control.as_deref()),
        set: |config, value| put_text(&mut config.analysis.control, value),
        ..PLAIN
    },
    Entry {
        key: "confidence",
        doc: "How sure an interval is; 0.95 if left out. Fixed once it has started.",
        kind: FieldKind::Number(NumberRange::CONFIDENCE),
        is_fixed_by_start: true,
        get: |config| Some(FieldValue::Number(config.analysis.confidence)),
        of_side: |side| side.confidence.map(FieldValue::Number),
        set: |config, value| put(&mut config.analysis.confidence, value.number()),
        goes_without_saying: |config| {
            config.analysis.confidence == AnalysisConfig::default().confidence
        },
        ..PLAIN
    },
    Entry {
        key: "tuning_actors",
        doc: "The number of actors at which the always-valid intervals are narrowest; 5000 if left out. Fixed once \
              it has started.",
        kind: FieldKind::Count(MAX_TUNING_ACTORS),
        is_fixed_by_start: true,
        get: |config| Some(FieldValue::Count(config.analysis.tuning_actors)),
        of_side: |side| side.tuning_actors.map(FieldValue::Count),
        set: |config, value| put(&mut config.analysis.tuning_actors, value.count()),
        goes_without_saying: |config| {
            config.analysis.tuning_actors == AnalysisConfig::TUNING_ACTORS
        },
        ..PLAIN
    },
    Entry {
        key: "population",
        doc: "Whose outcomes are analysed; assigned if left out. Fixed once it has started.",
        kind: FieldKind::OneOf {
            set: "Population",
            words: Population::WORDS,
        },
        is_fixed_by_start: true,
        get: |config| Some(FieldValue::Text(config.analysis.population.as_str())),
        of_side: |side| text(side.population.map(Population::as_str)),
        set: |config, value| {
            put(
                &mut config.analysis.population,
                Population::named(value.text()?),
            )
        },
        goes_without_saying: |config| config.analysis.population == Population::Assigned,
        ..PLAIN
    },
    Entry {
        key: "variants",
        doc: "The arms. Their order decides who gets which.",
        kind: FieldKind::Variants,
        get: |config| Some(FieldValue::Variants(&config.variants)),
        of_side: |side| Some(FieldValue::Variants(side.variants.as_deref()?)),
        set: |config, value| put(&mut config.variants, value.variants().map(<[_]>::to_vec)),
        ..PLAIN
    },
    Entry {
        key: "values",
        doc: "What each variant stands for: a JSON value, all of one type.",
        kind: FieldKind::Values,
        get: |config| Some(FieldValue::Values(&config.values)),
        of_side: |side| side.values.as_ref().map(FieldValue::Values),
        set: |config, value| put(&mut config.values, value.values().cloned()),
        goes_without_saying: |config| config.values.is_empty(),
        ..PLAIN
    },
    Entry {
        key: "metrics",
        doc: "What it is judged by. One that is added or changed after the start is exploratory.",
        kind: FieldKind::Metrics,
        get: |config| Some(FieldValue::Metrics(&config.analysis.metrics)),
        of_side: |side| Some(FieldValue::Metrics(side.metrics.as_deref()?)),
        set: |config, value| {
            put(
                &mut config.analysis.metrics,
                value.metrics().map(<[_]>::to_vec),
            )
        },
        goes_without_saying: |config| config.analysis.metrics.is_empty(),
        ..PLAIN
    },
];
