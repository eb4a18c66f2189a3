//! What is held of one experiment and its actors.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use smol_str::SmolStr;

use crate::assignment::{Facts, StoredOverride, StoredVariant};
use crate::bucketing::Allocation;
use crate::experiment::{
    Assignment, ExperimentConfig, Override, VariantConfig, VariantCount, WeightPeriod,
};
use crate::exposure::ExposureRecord;

pub(super) struct Experiment {
    pub(super) config: ExperimentConfig,
    /// Of `config`.
    pub(super) allocation: Allocation,
    /// Every variant it ever had; an assignment points here, so this only grows.
    pub(super) variants: Vec<String>,
    /// By actor. What a lookup costs is its trips to memory that is not in a cache, so the table is
    /// small, the entries lie in the order of their arrival, and most actors' names fit into them.
    pub(super) assignments: IndexMap<SmolStr, StoredAssignment, foldhash::fast::RandomState>,
    pub(super) overrides: BTreeMap<Box<str>, Override>,
    /// Oldest first.
    pub(super) exposures: Vec<ExposureRecord>,
    /// In order; the last one is the present one.
    pub(super) periods: Vec<Period>,
}

/// How many assignments buckets made, and how many overrides made.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) assigned: u64,
    pub(super) overridden: u64,
}

impl Counts {
    pub(super) fn is_empty(self) -> bool {
        self.assigned + self.overridden == 0
    }
}

/// A period of weights.
#[derive(Clone)]
pub(super) struct Period {
    pub(super) from_secs: u64,
    pub(super) variants: Vec<VariantConfig>,
    /// Of each of [`Experiment::variants`], as far as any was assigned.
    pub(super) counts: Vec<Counts>,
}

impl Period {
    fn new(config: &ExperimentConfig, from_secs: u64) -> Self {
        Self {
            from_secs,
            variants: config.variants.clone(),
            counts: Vec::new(),
        }
    }
}

/// Sixteen bytes, as there may be millions.
#[derive(Clone, Copy)]
pub(super) struct StoredAssignment {
    pub(super) at_secs: u64,
    /// A place in [`Experiment::periods`].
    pub(super) period: u32,
    /// Twice a place in [`Experiment::variants`], and one more if an override made it.
    pub(super) choice: u32,
}

impl StoredAssignment {
    /// The place of its variant in [`Experiment::variants`].
    pub(super) fn variant(self) -> usize {
        (self.choice / 2) as usize
    }

    pub(super) fn is_override(self) -> bool {
        self.choice % 2 == 1
    }
}

impl Experiment {
    /// One of which nothing is stored, in its first period of weights.
    pub(super) fn new(config: ExperimentConfig, now_secs: u64) -> Self {
        Self {
            periods: vec![Period::new(&config, now_secs)],
            allocation: config.allocation(),
            config,
            variants: Vec::new(),
            assignments: IndexMap::default(),
            overrides: BTreeMap::new(),
            exposures: Vec::new(),
        }
    }

    /// Replaces the configuration; other variants than before begin a new period of weights.
    pub(super) fn put_config(&mut self, config: ExperimentConfig, now_secs: u64) {
        if self.config.variants != config.variants {
            self.periods.push(Period::new(&config, now_secs));
        }
        self.allocation = config.allocation();
        self.config = config;
    }

    /// What counts of what it holds of the actor.
    pub(super) fn facts(&self, actor: &str, now: impl Fn() -> u64) -> Facts<'_> {
        let pinned = self.overrides.get(actor).map(StoredOverride::from);
        let stored = self.assignments.get(actor).map(|stored| StoredVariant {
            variant: self.variant_of(*stored),
            is_override: stored.is_override(),
        });
        Facts::at(now, pinned, stored)
    }

    /// Where that variant is in `variants`; it is entered if it is new there.
    pub(super) fn known_variant(&mut self, name: &str) -> u32 {
        let known = self.variants.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.variants.push(name.to_owned());
            self.variants.len() - 1
        });
        // Two billion names would not fit into memory.
        u32::try_from(place).unwrap_or(u32::MAX / 2)
    }

    pub(super) fn variant_of(&self, stored: StoredAssignment) -> &str {
        &self.variants[stored.variant()]
    }

    /// The present period's place in `periods`.
    pub(super) fn period(&self) -> u32 {
        u32::try_from(self.periods.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn count(&mut self, stored: StoredAssignment) -> &mut u64 {
        let counts = &mut self.periods[stored.period as usize].counts;
        let place = stored.variant();
        if counts.len() <= place {
            counts.resize(place + 1, Counts::default());
        }
        let counts = &mut counts[place];
        if stored.is_override() {
            &mut counts.overridden
        } else {
            &mut counts.assigned
        }
    }

    pub(super) fn assignment(&self, actor: &str) -> Option<Assignment> {
        let (actor, stored) = self.assignments.get_key_value(actor)?;
        Some(Assignment {
            experiment: self.config.name.clone(),
            actor: actor.to_string(),
            variant: self.variant_of(*stored).to_owned(),
            is_override: stored.is_override(),
            assigned_at_secs: stored.at_secs,
        })
    }

    /// What a period has of a variant.
    pub(super) fn counts_of(&self, period: &Period, variant: &str) -> Counts {
        let known = self.variants.iter().position(|known| known == variant);
        let counts = known.and_then(|place| period.counts.get(place));
        counts.copied().unwrap_or_default()
    }

    pub(super) fn weight_periods(&self) -> Vec<WeightPeriod> {
        let periods = (0..).zip(&self.periods).map(|(number, period)| {
            let variants = period.variants.iter();
            let counts = variants.map(|variant| {
                let counts = self.counts_of(period, &variant.name);
                VariantCount {
                    variant: variant.name.clone(),
                    assigned: counts.assigned,
                    overridden: counts.overridden,
                }
            });
            WeightPeriod {
                period: number,
                from_secs: period.from_secs,
                counts: counts.collect(),
                variants: period.variants.clone(),
            }
        });
        periods.collect()
    }
}
