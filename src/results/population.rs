//! Who counts: of all assigned actors those of the population until the end, less those who are left out.

use crate::metric::Population;

use super::members::{Member, Members};

/// One actor in so many may have been exposed to two variants.
pub(super) const ONE_MIXED_IN: u64 = 100;

/// Whose outcomes are analysed, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) population: Population,
    /// In seconds since the Unix epoch. What happened later is not known.
    pub(super) to_secs: u64,
}

impl Bounds {
    /// When the actor's outcomes begin to count, if it is of the population.
    fn start_of(self, member: &Member) -> Option<u64> {
        let start = member.start_secs(self.population);
        let is_known = member.assigned_at_secs <= self.to_secs && start <= self.to_secs;
        is_known.then_some(start)
    }
}

/// One actor who counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Actor {
    /// Its number.
    pub(super) number: usize,
    /// The place of its variant in the experiment's list.
    pub(super) variant: usize,
    /// The place of its period of weights in [`Cohort::periods`].
    pub(super) period: usize,
    /// When its outcomes begin to count.
    pub(super) start_secs: u64,
}

/// The actors who count.
pub(super) struct Cohort<'a> {
    members: &'a [Member],
    bounds: Bounds,
    /// Their numbers, in order.
    numbers: Vec<u32>,
    /// How many of them each variant has.
    counts: Vec<u64>,
    /// The periods of weights in which they were assigned, in order.
    pub(super) periods: Vec<u32>,
    /// How many are of the population, also those who are left out.
    pub(super) size: u64,
    /// How many of them are left out because of an override.
    pub(super) overridden: u64,
    /// How many others of them are left out because they were exposed to two variants.
    pub(super) mixed: u64,
}

impl<'a> Cohort<'a> {
    /// The actors of an experiment with so many variants.
    pub(super) fn new(members: &'a Members, variants: usize, bounds: Bounds) -> Self {
        let mut cohort = Self {
            members: &members.members,
            bounds,
            numbers: Vec::new(),
            counts: vec![0; variants],
            periods: Vec::new(),
            size: 0,
            overridden: 0,
            mixed: 0,
        };
        let mut exclusions = members.exclusions.iter().peekable();
        for (number, member) in (0..).zip(&members.members) {
            let exclusion = exclusions.next_if(|(excluded, _)| **excluded == number);
            if usize::from(member.variant) >= variants || bounds.start_of(member).is_none() {
                continue;
            }
            cohort.size += 1;
            // An override usually shows an actor a second variant: it is the reason, and counted once.
            match exclusion {
                Some((_, since)) if since.overridden_since <= bounds.to_secs => {
                    cohort.overridden += 1;
                }
                Some((_, since)) if since.mixed_since <= bounds.to_secs => cohort.mixed += 1,
                _ => cohort.admit(number, member),
            }
        }
        cohort
    }

    fn admit(&mut self, number: u32, member: &Member) {
        self.numbers.push(number);
        self.counts[usize::from(member.variant)] += 1;
        if let Err(place) = self.periods.binary_search(&member.period) {
            self.periods.insert(place, member.period);
        }
    }

    /// Who counts, by number.
    pub(super) fn actors(&self) -> impl Iterator<Item = Actor> {
        self.numbers.iter().filter_map(|&number| {
            let number = usize::try_from(number).ok()?;
            let member = self.members.get(number)?;
            Some(Actor {
                number,
                variant: member.variant.into(),
                period: self.periods.binary_search(&member.period).ok()?,
                start_secs: self.bounds.start_of(member)?,
            })
        })
    }

    /// Whether any of them has the variant.
    pub(super) fn has(&self, variant: usize) -> bool {
        self.counts[variant] > 0
    }

    /// Whose outcomes are analysed.
    pub(super) fn population(&self) -> Population {
        self.bounds.population
    }

    /// The end of the analysis.
    pub(super) fn to_secs(&self) -> u64 {
        self.bounds.to_secs
    }

    /// Whether so many are left out for having been exposed to two variants that nothing may be decided.
    pub(super) fn is_mixed(&self) -> bool {
        self.mixed * ONE_MIXED_IN > self.size
    }
}

#[cfg(test)]
mod tests {
    use super::super::members::Exclusion;
    use super::*;

    fn member(variant: u16, assigned_at_secs: u64, exposed_at_secs: u64) -> Member {
        Member {
            variant,
            period: u32::from(variant) * 7,
            assigned_at_secs,
            exposed_at_secs,
        }
    }

    fn cohort(members: &Members, population: Population, to_secs: u64) -> (Vec<usize>, [u64; 3]) {
        let bounds = Bounds {
            population,
            to_secs,
        };
        let cohort = Cohort::new(members, 2, bounds);
        let numbers = cohort.actors().map(|actor| actor.number).collect();
        (numbers, [cohort.size, cohort.overridden, cohort.mixed])
    }

    #[test]
    fn what_happened_after_the_end_is_not_known() {
        let mut members = Members::default();
        members.push("a", member(0, 10, 20));
        members.push("b", member(1, 10, u64::MAX));
        members.push("c", member(0, 40, 50));
        members.push("d", member(1, 15, 20));
        // Of a variant that the experiment does not have.
        members.push("e", member(2, 10, 20));
        let exclusion = Exclusion {
            overridden_since: 60,
            mixed_since: 35,
        };
        members.exclusions.insert(3, exclusion);

        let (assigned, exposed) = (Population::Assigned, Population::Exposed);
        assert_eq!(cohort(&members, assigned, 30), (vec![0, 1, 3], [3, 0, 0]));
        assert_eq!(cohort(&members, exposed, 30), (vec![0, 3], [2, 0, 0]));
        assert_eq!(cohort(&members, exposed, 19), (vec![], [0, 0, 0]));
        assert_eq!(cohort(&members, assigned, 45), (vec![0, 1, 2], [4, 0, 1]));
        assert_eq!(cohort(&members, exposed, 45), (vec![0], [2, 0, 1]));
        assert_eq!(cohort(&members, exposed, 60), (vec![0, 2], [3, 1, 0]));
    }
}
