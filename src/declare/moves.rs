//! Who moves: who would get, or be told, another variant than before. Pure arithmetic on buckets and
//! counts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::current::Current;
use crate::bucketing::{BUCKETS, bucket_counts};
use crate::experiment::{ExperimentConfig, ExperimentState};

/// Who gets another variant than before, and how many enter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Moves {
    /// Of 10000 new actors, how many get a different variant than they would have got before. A draft and what is paused
    /// count as if they ran: to start it, to pause it and to resume it changes nothing here.
    pub new_actors_per_10000: u64,
    /// Of 10000 newcomers, how many entered before while it ran; 0 if it is new.
    pub enter_before_per_10000: u64,
    /// Of 10000 newcomers, how many enter from now on while it runs; 0 if it is archived.
    pub enter_after_per_10000: u64,
    /// Stored assignments that stay as they are.
    pub stored_kept: u64,
    /// Of these, how many get a different variant than before, or than they would if it ran, because there is a winner,
    /// or was one.
    pub stored_told_another: u64,
    /// Of these, how many get no variant until the experiment runs again.
    #[serde(default)]
    pub stored_suspended: u64,
    /// Of these, how many get a variant, who got none while the experiment did not run.
    #[serde(default)]
    pub stored_resumed: u64,
    /// Stored assignments whose actors get no variant any more, because the experiment is archived.
    pub stored_lost: u64,
}

impl Moves {
    /// Of 100 actors who come new, how many get another variant: `33.33`.
    #[must_use]
    pub fn new_actors_per_100(&self) -> String {
        per_100(self.new_actors_per_10000)
    }

    /// Of 100 newcomers, how many enter from now on while it runs: `12.5`.
    #[must_use]
    pub fn enter_after_per_100(&self) -> String {
        per_100(self.enter_after_per_10000)
    }

    /// How many newcomers enter, and how many more that is of 100 than before, or fewer: `50 of 100 newcomers, 25
    /// more than before`. `None` if it is as many.
    #[must_use]
    pub fn who_enters(&self) -> Option<String> {
        let (before, after) = (self.enter_before_per_10000, self.enter_after_per_10000);
        let word = if after > before { "more" } else { "fewer" };
        (after != before).then(|| {
            let (after, change) = (per_100(after), per_100(after.abs_diff(before)));
            format!("{after} of 100 newcomers, {change} {word} than before")
        })
    }

    /// Whether what does not depend on stored assignments is true of an experiment that was so before and becomes so.
    pub(super) fn are_of(
        &self,
        before: Option<&ExperimentConfig>,
        after: &ExperimentConfig,
    ) -> bool {
        let newcomers = Self::of_newcomers(before, after);
        let stored = Self {
            stored_kept: self.stored_kept,
            stored_told_another: self.stored_told_another,
            stored_suspended: self.stored_suspended,
            stored_resumed: self.stored_resumed,
            stored_lost: self.stored_lost,
            ..newcomers
        };
        *self == stored
    }

    /// All that does not depend on stored assignments.
    fn of_newcomers(before: Option<&ExperimentConfig>, after: &ExperimentConfig) -> Self {
        Self {
            new_actors_per_10000: before.map_or(0, |before| changed_buckets(before, after)),
            enter_before_per_10000: before.map_or(0, ExperimentConfig::newcomers_per_10000),
            enter_after_per_10000: match after.state {
                ExperimentState::Archived => 0,
                _ => after.newcomers_per_10000(),
            },
            ..Self::default()
        }
    }
}

/// Who moves when `current` becomes `after`, or when that is new.
pub(super) fn moves(current: Option<&Current>, after: &ExperimentConfig) -> Moves {
    let Some(current) = current else {
        return Moves::of_newcomers(None, after);
    };
    let before = &current.config;
    if is_archived(before, after) {
        return Moves {
            stored_lost: current.stored(),
            ..Moves::of_newcomers(Some(before), after)
        };
    }
    let is_told_another =
        |variant: &str| gives_variants(after) && told(before, variant) != told(after, variant);
    let counts = current.counts.iter();
    let told_another = counts.filter(|count| is_told_another(&count.variant));
    let stored_if = |is_so: bool| if is_so { current.stored() } else { 0 };
    Moves {
        stored_kept: current.stored(),
        stored_told_another: told_another.map(|c| c.assigned + c.overridden).sum(),
        stored_suspended: stored_if(gives_variants(before) && !gives_variants(after)),
        stored_resumed: stored_if(!gives_variants(before) && gives_variants(after)),
        ..Moves::of_newcomers(Some(before), after)
    }
}

/// Whether anybody gets a variant of it as it is.
pub(super) fn gives_variants(config: &ExperimentConfig) -> bool {
    match config.state {
        ExperimentState::Running => true,
        ExperimentState::Concluded => config.winner.is_some(),
        ExperimentState::Draft | ExperimentState::Paused | ExperimentState::Archived => false,
    }
}

/// Whether everybody loses what they are told.
fn is_archived(before: &ExperimentConfig, after: &ExperimentConfig) -> bool {
    before.state != after.state && after.state == ExperimentState::Archived
}

/// What an actor who has this variant is told.
fn told<'a>(config: &'a ExperimentConfig, variant: &'a str) -> &'a str {
    let is_over = config.state == ExperimentState::Concluded;
    config
        .winner
        .as_deref()
        .filter(|_| is_over)
        .unwrap_or(variant)
}

/// How many of 10000 new actors get another variant, or get one where they got none, or the reverse.
pub(super) fn changed_buckets(before: &ExperimentConfig, after: &ExperimentConfig) -> u64 {
    if is_archived(before, after) && before.state == ExperimentState::Draft {
        return 0;
    }
    let (old, new) = (entering(before), entering(after));
    // Who enters is a part of those who enter at the greater share, unless another hash says who does.
    let both = if before.hashed() == after.hashed() {
        old.min(new)
    } else {
        old * new / BUCKETS
    };
    let given = |config| by_bucket(config).iter().flatten().count() as u64;
    let changed = both * changed_variants(before, after)
        + (old - both) * given(before)
        + (new - both) * given(after);
    (changed + BUCKETS / 2) / BUCKETS
}

/// How many of 10000 new actors enter. Once there is a winner, everybody gets it; once it is archived, nobody.
fn entering(config: &ExperimentConfig) -> u64 {
    match config.state {
        ExperimentState::Concluded => BUCKETS,
        ExperimentState::Archived => 0,
        _ => config.newcomers_per_10000(),
    }
}

/// How many of 10000 actors who enter get another variant.
fn changed_variants(before: &ExperimentConfig, after: &ExperimentConfig) -> u64 {
    let (old, new) = (by_bucket(before), by_bucket(after));
    if before.has_buckets_of(after) {
        let changed = old.iter().zip(&new).filter(|(old, new)| old != new);
        return changed.count() as u64;
    }
    // Another hash has nothing to do with the one before: the same variant is met by chance.
    let sizes = |of: &[Option<&'_ str>]| {
        let mut sizes: HashMap<Option<String>, u64> = HashMap::new();
        for variant in of {
            *sizes.entry(variant.map(str::to_owned)).or_default() += 1;
        }
        sizes
    };
    let (old, new) = (sizes(&old), sizes(&new));
    let same = old
        .iter()
        .map(|(variant, size)| size * new.get(variant).copied().unwrap_or(0));
    BUCKETS - same.sum::<u64>() / BUCKETS
}

/// What a new actor of each bucket gets: the winner, once there is one.
fn by_bucket(config: &ExperimentConfig) -> Vec<Option<&str>> {
    if config.state == ExperimentState::Concluded {
        let buckets = usize::try_from(BUCKETS).unwrap_or(usize::MAX);
        return vec![config.winner.as_deref(); buckets];
    }
    let counts = bucket_counts(config.weights());
    let variants = config.variants.iter().zip(counts);
    let mut chosen: Vec<Option<&str>> = Vec::new();
    for (variant, count) in variants {
        chosen.extend((0..count).map(|_| Some(&*variant.name)));
    }
    chosen.resize(usize::try_from(BUCKETS).unwrap_or(usize::MAX), None);
    chosen
}

/// A number of ten thousand as one of a hundred.
pub(super) fn per_100(of_10000: u64) -> String {
    let (whole, rest) = (of_10000 / 100, of_10000 % 100);
    let text = format!("{whole}.{rest:02}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
