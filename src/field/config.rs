//! The fields of an experiment, as others ask for them. What is known of each is in `entries`.

use std::fmt;

use super::entries::{ENTRIES, Entry};
use super::kind::{FieldKind, FieldValue};
use crate::experiment::{ChangeSide, ExperimentConfig};

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
    /// [`ExperimentConfig::enrolling`].
    Enrolling,
    /// [`ExperimentConfig::coverage`].
    Coverage,
    /// [`AnalysisConfig::control`](crate::AnalysisConfig::control).
    Control,
    /// [`AnalysisConfig::confidence`](crate::AnalysisConfig::confidence).
    Confidence,
    /// [`AnalysisConfig::tuning_actors`](crate::AnalysisConfig::tuning_actors).
    TuningActors,
    /// [`AnalysisConfig::population`](crate::AnalysisConfig::population).
    Population,
    /// [`ExperimentConfig::variants`].
    Variants,
    /// [`ExperimentConfig::values`].
    Values,
    /// [`AnalysisConfig::metrics`](crate::AnalysisConfig::metrics).
    Metrics,
}

impl ConfigField {
    /// Every field, in the order in which a file has them.
    pub const ALL: [Self; 16] = [
        Self::Name,
        Self::Description,
        Self::State,
        Self::Winner,
        Self::ExclusionGroup,
        Self::Bucketing,
        Self::Salt,
        Self::Enrolling,
        Self::Coverage,
        Self::Control,
        Self::Confidence,
        Self::TuningActors,
        Self::Population,
        Self::Variants,
        Self::Values,
        // A file writes these as tables, after which no other field can follow.
        Self::Metrics,
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
            // A variant is mostly called control, too.
            Self::Control => "control variant",
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

    /// Whether a file has a key of its own for it. It has each value beside its variant.
    #[must_use]
    pub fn has_key(self) -> bool {
        self != Self::Values
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

    /// Whether it matters only once there are outcomes: nobody's variant depends on it.
    #[must_use]
    pub fn is_of_analysis(self) -> bool {
        matches!(
            self,
            Self::Control
                | Self::Confidence
                | Self::TuningActors
                | Self::Population
                | Self::Metrics
        )
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

#[cfg(all(test, feature = "declare"))]
mod tests {
    use super::*;
    use crate::bucketing::Bucketing;
    use crate::coverage::Coverage;
    use crate::experiment::{ExperimentState, VariantConfig};
    use crate::metric::{AnalysisConfig, MetricConfig, MetricKind, Population};
    use crate::number::Finite;

    #[test]
    fn each_entry_is_where_its_field_looks_for_it() {
        let variants = vec![VariantConfig::new("a", 1)];
        let mut full = ExperimentConfig::new("n", variants).description("d");
        full.winner = Some("a".to_owned());
        let full = full
            .exclusion_group("g")
            .bucketing(Bucketing::Fnv1aMixed)
            .salt("s");
        let values = [("a".to_owned(), serde_json::json!(7))];
        let full = full.enrolling(false).values(values.into_iter().collect());
        let full = full.coverage(Coverage::of_10000(2500).unwrap());
        let full = full.analysis(AnalysisConfig {
            control: Some("a".to_owned()),
            confidence: Finite::new(0.9).unwrap(),
            tuning_actors: 700,
            population: Population::Exposed,
            metrics: vec![MetricConfig::new("m", MetricKind::Mean)],
        });
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
                FieldValue::Flag(flag) => assert_eq!(*json, flag),
                FieldValue::Values(values) => {
                    assert_eq!(*json, serde_json::to_value(values).unwrap());
                }
                FieldValue::Share(share) => assert_eq!(*json, share.share()),
                FieldValue::Number(number) => assert_eq!(*json, number.get()),
                FieldValue::Count(count) => assert_eq!(*json, count),
                FieldValue::Metrics(metrics) => {
                    assert_eq!(*json, serde_json::to_value(metrics).unwrap());
                }
                FieldValue::Variants(variants) => {
                    assert_eq!(*json, serde_json::to_value(variants).unwrap());
                }
                other => panic!("no field of an experiment is {other:?}"),
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
