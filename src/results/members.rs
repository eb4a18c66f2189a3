//! Who is in an experiment, as far as results ask: each actor's variant, weight period and times.

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

/// Since when an actor is left out, in seconds since the Unix epoch; [`u64::MAX`] for never. What happens after
/// the end of an analysis is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclusion {
    /// Since when an override is known to be behind its assignment or an exposure.
    pub overridden_since: u64,
    /// Since when exposures to two variants are known.
    pub mixed_since: u64,
}

/// All assigned actors of an experiment, each with a number from 0.
#[derive(Debug, Default)]
pub struct Members {
    /// By number.
    pub members: Vec<Member>,
    /// Of the few who have one, by number.
    pub exclusions: std::collections::BTreeMap<u32, Exclusion>,
}
