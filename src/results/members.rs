//! Who is in an experiment, as far as results ask: each actor's variant, weight period and times.

use std::collections::BTreeMap;

use super::ids::Ids;
use crate::error::ExperimentError;
use crate::experiment::ExperimentConfig;
use crate::exposure::{ExposureRecord, ExposureScan};
use crate::metric::Population;
use crate::store::ExperimentStore;

/// One assigned actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The place of its variant in the experiment's list.
    pub variant: u16,
    /// The weight period in which it was assigned.
    pub period: u32,
    /// When it was assigned, in seconds since the Unix epoch.
    pub assigned_at_secs: u64,
    /// When it was first exposed; [`u64::MAX`] if no exposure is kept.
    pub exposed_at_secs: u64,
}

impl Member {
    /// From when on its outcomes count; [`u64::MAX`] for never.
    #[must_use]
    pub fn start_secs(&self, population: Population) -> u64 {
        match population {
            Population::Assigned => self.assigned_at_secs,
            Population::Exposed => self.exposed_at_secs,
        }
    }
}

/// Since when an actor is left out, in seconds since the Unix epoch; [`u64::MAX`] for never. What happens after
/// the end of an analysis is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclusion {
    /// Since when an override is known to be behind its assignment or an exposure.
    pub overridden_since: u64,
    /// Since when exposures to two variants are known.
    pub mixed_since: u64,
}

impl Exclusion {
    const NEVER: Self = Self {
        overridden_since: u64::MAX,
        mixed_since: u64::MAX,
    };
}

/// All assigned actors of an experiment, each with a number from 0.
#[derive(Debug, Default)]
pub struct Members {
    /// By number.
    pub members: Vec<Member>,
    /// Of the few who have one, by number.
    pub exclusions: BTreeMap<u32, Exclusion>,
    ids: Ids,
}

impl Members {
    /// All that a store knows of the actors of an experiment. Whoever holds a variant that the experiment no
    /// longer has is no member; neither is who was exposed and not assigned.
    ///
    /// It takes about 50 bytes and the id for each actor.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(
        store: &dyn ExperimentStore,
        config: &ExperimentConfig,
    ) -> Result<Self, ExperimentError> {
        let mut loading = Loading::new(config);
        store.scan_assignments(&config.name, &mut |assignment| {
            let Some(variant) = loading.variants.known(&assignment.variant) else {
                return Ok(());
            };
            let member = Member {
                variant,
                period: assignment.weight_period,
                assigned_at_secs: assignment.assigned_at_secs,
                exposed_at_secs: u64::MAX,
            };
            let number = loading.members.push(&assignment.actor, member);
            if assignment.is_override {
                loading.exclude(number).overridden_since = assignment.assigned_at_secs;
            }
            Ok(())
        })?;
        let all = ExposureScan::default();
        store.scan_exposures(&config.name, &all, &mut |exposure| {
            loading.expose(exposure);
            Ok(())
        })?;
        Ok(loading.members)
    }

    /// Adds an actor who is not among them yet, and returns its number.
    pub fn push(&mut self, actor: &str, member: Member) -> u32 {
        self.members.push(member);
        self.ids.add(actor)
    }

    /// The number of an actor.
    #[must_use]
    pub fn number(&self, actor: &str) -> Option<u32> {
        self.ids.number(actor.as_bytes())
    }

    /// The table behind that.
    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }
}

/// Members who are being loaded.
struct Loading<'a> {
    members: Members,
    variants: Variants<'a>,
    /// By number: the variant of the earliest exposure.
    exposed_to: Vec<u16>,
}

impl<'a> Loading<'a> {
    fn new(config: &'a ExperimentConfig) -> Self {
        let known = config.variants.iter().map(|variant| &*variant.name);
        Self {
            members: Members::default(),
            variants: Variants {
                known: known.collect(),
                others: Vec::new(),
            },
            exposed_to: Vec::new(),
        }
    }

    fn exclude(&mut self, number: u32) -> &mut Exclusion {
        let exclusions = &mut self.members.exclusions;
        exclusions.entry(number).or_insert(Exclusion::NEVER)
    }

    /// Exposures come in the order in which they were kept, which need not be that of their times.
    fn expose(&mut self, exposure: &ExposureRecord) {
        let Some(number) = self.members.number(&exposure.actor) else {
            return;
        };
        let (variant, at) = (
            self.variants.any(&exposure.variant),
            exposure.timestamp_secs,
        );
        if exposure.is_override {
            let since = &mut self.exclude(number).overridden_since;
            *since = at.min(*since);
        }
        self.exposed_to.resize(self.members.members.len(), 0);
        let first = &mut self.members.members[number as usize].exposed_at_secs;
        let first_variant = &mut self.exposed_to[number as usize];
        if *first == u64::MAX {
            (*first, *first_variant) = (at, variant);
        } else if *first_variant == variant {
            *first = at.min(*first);
        } else {
            // Mixed since the first exposure to whichever variant came second.
            let second = at.max(*first);
            if at < *first {
                (*first, *first_variant) = (at, variant);
            }
            let since = &mut self.exclude(number).mixed_since;
            *since = second.min(*since);
        }
    }
}

/// The places of variants: of those that the experiment has in its list, of others behind it.
struct Variants<'a> {
    known: Vec<&'a str>,
    others: Vec<String>,
}

impl Variants<'_> {
    fn known(&self, name: &str) -> Option<u16> {
        let place = self.known.iter().position(|known| *known == name)?;
        u16::try_from(place).ok()
    }

    fn any(&mut self, name: &str) -> u16 {
        if let Some(known) = self.known(name) {
            return known;
        }
        let place = self.others.iter().position(|other| other == name);
        let place = place.unwrap_or_else(|| {
            self.others.push(name.to_owned());
            self.others.len() - 1
        });
        u16::try_from(self.known.len() + place).unwrap_or(u16::MAX)
    }
}
