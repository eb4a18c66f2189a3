//! The fields of a configuration, each described once: what it is called, what it may hold, where it is
//! in a configuration and in a change, and what it is about. Files, their schema, plans, the audit log
//! and the commands that show an experiment all go by this table.
//!
//! A new field is an entry here, a field of the structs in `experiment`, a flag of `exp create`, and a
//! column in each store.

use std::borrow::Cow;
use std::fmt;

use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::experiment::{ChangeSide, ExperimentConfig, ExperimentState, VariantConfig};

/// The longest name of an experiment, a variant or an exclusion group, and the longest salt, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 4096;
/// The most variants of one experiment.
pub const MAX_VARIANTS: usize = 1000;

/// A field of an [`ExperimentConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigField {
    /// [`ExperimentConfig::name`].
    Name,
    /// [`ExperimentConfig::description`].
    Description,
    /// [`ExperimentConfig::state`].
    State,
    /// [`ExperimentConfig::winner`].
    Winner,
    /// [`ExperimentConfig::exclusion_group`].
    ExclusionGroup,
    /// [`ExperimentConfig::bucketing`].
    Bucketing,
    /// [`ExperimentConfig::salt`].
    Salt,
    /// [`ExperimentConfig::coverage`].
    Coverage,
    /// [`ExperimentConfig::variants`].
    Variants,
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A name: at most [`MAX_NAME_BYTES`], not blank, without control characters.
    Name,
    /// Text of at most so many bytes, with anything in it but NUL.
    Text(usize),
    /// One of a few words.
    OneOf {
        /// What the set is called in the JSON Schema.
        set: &'static str,
        /// Each word, and what it means.
        words: &'static [(&'static str, &'static str)],
    },
    /// A share above 0 and at most 1.
    Share,
    /// The list of variants.
    Variants,
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// Text, or one of a few words.
    Text(&'a str),
    /// A share.
    Share(Coverage),
    /// The list of variants.
    Variants(&'a [VariantConfig]),
}

impl ConfigField {
    /// Every field, in the order in which a file has them.
    pub const ALL: [Self; 9] = [
        Self::Name,
        Self::Description,
        Self::State,
        Self::Winner,
        Self::ExclusionGroup,
        Self::Bucketing,
        Self::Salt,
        Self::Coverage,
        Self::Variants,
    ];

    /// Its name in a file, in JSON and in an error, as serde has it.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.entry().key
    }

    /// What it is called where people read it and on the command line.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ExclusionGroup => "group",
            _ => self.key(),
        }
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

    /// Whether a declaration must have it.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(self, Self::Name | Self::Variants)
    }

    /// Whether it can't change once the experiment has left draft.
    #[must_use]
    pub fn is_fixed_by_start(self) -> bool {
        self.entry().is_fixed_by_start
    }

    /// Whether it is part of what an experiment is, beside its name and where it is in its life.
    #[must_use]
    pub fn is_definition(self) -> bool {
        !matches!(self, Self::Name | Self::State | Self::Winner)
    }

    /// The fields of the [definition](Self::is_definition) that two experiments do not have in common.
    pub fn differing(
        one: &ExperimentConfig,
        other: &ExperimentConfig,
    ) -> impl Iterator<Item = Self> {
        let fields = Self::ALL.into_iter().filter(|field| field.is_definition());
        fields.filter(|field| field.get(one) != field.get(other))
    }

    /// Its value, if it has one.
    #[must_use]
    pub fn get(self, config: &ExperimentConfig) -> Option<FieldValue<'_>> {
        (self.entry().get)(config)
    }

    /// Its value, if a declaration of the experiment has to say it.
    #[must_use]
    pub fn declared(self, config: &ExperimentConfig) -> Option<FieldValue<'_>> {
        let goes_without_saying = (self.entry().goes_without_saying)(config);
        self.get(config).filter(|_| !goes_without_saying)
    }

    /// Its value on one side of a change, if it is part of the change and has one.
    #[must_use]
    pub fn of_side(self, side: &ChangeSide) -> Option<FieldValue<'_>> {
        (self.entry().of_side)(side)
    }

    /// Sets it. `false`, and nothing set, if that is no value of this field.
    #[must_use]
    pub fn set(self, config: &mut ExperimentConfig, value: FieldValue<'_>) -> bool {
        (self.entry().set)(config, value).is_some()
    }

    /// What an application of the reference, in whose tables the experiment is, would do otherwise because
    /// it does not know the field: the rest of a sentence about the experiment.
    #[must_use]
    pub fn unknown_to_application(self, config: &ExperimentConfig) -> Option<&'static str> {
        (self.entry().unknown_to_application)(config)
    }

    fn entry(self) -> &'static Entry {
        &ENTRIES[self as usize]
    }
}

/// In words, for a sentence.
impl fmt::Display for ConfigField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key().replace('_', " "))
    }
}

/// All that is known of one field.
struct Entry {
    key: &'static str,
    doc: &'static str,
    kind: FieldKind,
    is_fixed_by_start: bool,
    get: fn(&ExperimentConfig) -> Option<FieldValue<'_>>,
    of_side: fn(&ChangeSide) -> Option<FieldValue<'_>>,
    /// `None` if that is no value of this field.
    set: fn(&mut ExperimentConfig, FieldValue<'_>) -> Option<()>,
    /// Whether a file that leaves it out means the same.
    goes_without_saying: fn(&ExperimentConfig) -> bool,
    unknown_to_application: fn(&ExperimentConfig) -> Option<&'static str>,
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

/// One for each of [`ConfigField::ALL`], in its order.
static ENTRIES: [Entry; ConfigField::ALL.len()] = [
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
        doc: "Where it is in its life. Without, it keeps the state that it has; a new one is a draft.",
        kind: FieldKind::OneOf {
            set: "State",
            words: &[
                ("draft", "Declared; assigns nobody yet."),
                ("running", "Assigns actors."),
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
                "has bucketing fnv1a_mixed, and the application that made these tables knows only \
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
                "has a salt, which the application that made these tables ignores: it would give \
                 actors other variants"
            })
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
                "has a coverage, which the application that made these tables ignores: it goes on \
                 enrolling everybody",
            )
        },
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
];

impl<'a> FieldValue<'a> {
    /// The text, if it is text.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Share(_) | Self::Variants(_) => None,
        }
    }

    /// The share, if it is a share.
    #[must_use]
    pub fn share(self) -> Option<Coverage> {
        match self {
            Self::Share(share) => Some(share),
            Self::Text(_) | Self::Variants(_) => None,
        }
    }

    /// It as text, if it is not the list of variants.
    #[must_use]
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.into()),
            Self::Share(share) => Some(share.to_string().into()),
            Self::Variants(_) => None,
        }
    }

    /// The variants, if it is the list of variants.
    #[must_use]
    pub fn variants(self) -> Option<&'a [VariantConfig]> {
        match self {
            Self::Variants(variants) => Some(variants),
            Self::Text(_) | Self::Share(_) => None,
        }
    }
}

fn text(value: Option<&str>) -> Option<FieldValue<'_>> {
    value.map(FieldValue::Text)
}

fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn put_text(place: &mut Option<String>, value: FieldValue<'_>) -> Option<()> {
    put(place, value.text().map(|text| Some(text.to_owned())))
}

#[cfg(all(test, feature = "declare"))]
mod tests {
    use super::*;

    #[test]
    fn each_entry_is_where_its_field_looks_for_it() {
        let variants = vec![VariantConfig::new("a", 1)];
        let mut full = ExperimentConfig::new("n", variants).description("d");
        full.winner = Some("a".to_owned());
        let full = full
            .exclusion_group("g")
            .bucketing(Bucketing::Fnv1aMixed)
            .salt("s");
        let full = full.coverage(Coverage::of_10000(2500).unwrap());
        let mut copy = ExperimentConfig::new("", Vec::new());
        let json = serde_json::to_value(&full).unwrap();
        let side = serde_json::to_value(ChangeSide::from(&full)).unwrap();
        for (index, field) in ConfigField::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            let value = field.get(&full).unwrap();
            assert!(field.set(&mut copy, value), "{field}");
            let json = &json[field.key()];
            match value {
                FieldValue::Text(text) => assert_eq!(json, text),
                FieldValue::Share(share) => assert_eq!(*json, share.share()),
                FieldValue::Variants(variants) => {
                    assert_eq!(*json, serde_json::to_value(variants).unwrap());
                }
            }
            if field != ConfigField::Name {
                assert_eq!(*json, side[field.key()]);
                assert_eq!(field.of_side(&ChangeSide::from(&full)), Some(value));
            }
        }
        assert_eq!(copy, full);
        // But for the time, which nobody sets.
        assert_eq!(json.as_object().unwrap().len(), ConfigField::ALL.len() + 1);
    }

    #[test]
    fn the_words_of_a_field_are_its_values() {
        let words = |field: ConfigField| -> Vec<&str> {
            match field.kind() {
                FieldKind::OneOf { words, .. } => words.iter().map(|(word, _)| *word).collect(),
                other => panic!("{other:?}"),
            }
        };
        let states = ExperimentState::ALL.map(ExperimentState::as_str);
        assert_eq!(words(ConfigField::State), states);
        let hashes = Bucketing::ALL.map(Bucketing::as_str);
        assert_eq!(words(ConfigField::Bucketing), hashes);
    }
}
