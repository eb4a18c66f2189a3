//! The rules, each once, as pure functions: given what a store knows, who gets which variant?
//!
//! Nothing here reads or writes anything. To add a rule: name it in `rule.rs`, and answer for it here.

use crate::bucketing::Allocation;
use crate::experiment::{ExperimentConfig, ExperimentState, Override, has_expired};
use crate::rule::{AssignmentReason, Rule, rules};

use super::verdict::Verdict;

/// What a store knows of one actor in one experiment.
///
/// All of it must come from one consistent view; for a decision that is going to be written, from inside
/// the transaction that writes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The variant that an override gives the actor, whether the experiment still has it or not.
    pub pinned: Option<&'a str>,
    /// The actor's stored assignment.
    pub stored: Option<StoredVariant<'a>>,
    /// Whether the actor has an assignment, of either kind, in another experiment of the exclusion group.
    /// It decides only where nothing is stored: elsewhere a store need not look.
    pub in_sibling: bool,
}

impl<'a> Facts<'a> {
    /// What counts now of what is stored of the actor in the experiment. An expired override counts as none, and so
    /// does the assignment that it made: the actor is a newcomer again. The time, in seconds since the Unix
    /// epoch, is asked for only where it decides.
    #[must_use]
    pub fn at(
        now_secs: impl FnOnce() -> u64,
        pinned: Option<StoredOverride<'a>>,
        stored: Option<StoredVariant<'a>>,
    ) -> Self {
        let ends = |pinned: &StoredOverride<'_>| pinned.expires_at_secs.is_some();
        let has_expired = pinned
            .filter(ends)
            .is_some_and(|pinned| pinned.has_expired(now_secs()));
        Self {
            pinned: pinned.filter(|_| !has_expired).map(|pinned| pinned.variant),
            stored: stored.filter(|stored| !(has_expired && stored.is_override)),
            in_sibling: false,
        }
    }
}

/// A stored override, as the rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredOverride<'a> {
    /// The variant's name.
    pub variant: &'a str,
    /// When it expires and counts as none, in seconds since the Unix epoch; `None` if it has no end.
    pub expires_at_secs: Option<u64>,
}

impl<'a> From<&'a Override> for StoredOverride<'a> {
    fn from(stored: &'a Override) -> Self {
        Self {
            variant: &stored.variant,
            expires_at_secs: stored.expires_at_secs,
        }
    }
}

impl StoredOverride<'_> {
    /// Whether it has expired by then.
    #[must_use]
    pub fn has_expired(self, now_secs: u64) -> bool {
        has_expired(self.expires_at_secs, now_secs)
    }
}

/// A stored assignment, as the rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredVariant<'a> {
    /// The variant's name.
    pub variant: &'a str,
    /// Whether an override made it.
    pub is_override: bool,
}

/// An assignment that the caller brings along, to be stored if the standing rules allow it: in place of
/// the override and of the entry rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The variant's name.
    pub variant: &'a str,
    /// Whether it is an override's, which replaces what is stored.
    pub is_override: bool,
}

/// All that the rules are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a, 'q> {
    /// The experiment.
    pub experiment: &'a ExperimentConfig,
    /// How it [allocates](ExperimentConfig::allocation) its actors.
    pub allocation: &'q Allocation,
    /// Who is asked for.
    pub actor: &'q str,
    /// What is stored of the actor.
    pub facts: Facts<'a>,
    /// What the caller brings along.
    pub candidate: Option<Candidate<'a>>,
}

/// Applies the rules, in order; the first that answers decides.
#[must_use]
pub fn decide<'a>(question: &Question<'a, '_>) -> Verdict<'a> {
    let verdict = first_answer(question);
    let values = &question.experiment.values;
    if values.is_empty() {
        return verdict;
    }
    Verdict {
        value: verdict.variant.and_then(|variant| values.get(variant)),
        ..verdict
    }
}

#[inline]
fn first_answer<'a>(question: &Question<'a, '_>) -> Verdict<'a> {
    // Written out rather than looped over, which took a tenth longer in memory (`cargo bench -- memory`).
    macro_rules! ask {
        ($($rule:ident)*) => {
            $(if let Some(verdict) = Rule::$rule.answer(question) {
                return verdict;
            })*
        };
    }
    rules!(standing ask);
    rules!(entry ask);
    Verdict::refused(AssignmentReason::NoVariant)
}

impl Rule {
    /// What the rule says to the question; `None` if it leaves that to the next one.
    #[inline]
    fn answer<'a>(self, question: &Question<'a, '_>) -> Option<Verdict<'a>> {
        match self {
            Self::Archived => archived(question),
            Self::Concluded => concluded(question),
            Self::NotRunning => not_running(question),
            Self::Override => pinned(question),
            Self::Assignment => stored(question),
            Self::Group => group(question),
            Self::Enrolment => enrolment(question),
            Self::Coverage => coverage(question),
            Self::Bucket => Some(bucket(question)),
        }
    }
}

fn archived<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let is_archived = question.experiment.state == ExperimentState::Archived;
    is_archived.then_some(Verdict::refused(AssignmentReason::Archived))
}

/// Nobody is recorded as assigned after the conclusion, so a candidate is not answered.
fn concluded<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let experiment = question.experiment;
    if experiment.state != ExperimentState::Concluded || question.candidate.is_some() {
        return None;
    }
    Some(match &experiment.winner {
        Some(winner) => Verdict::given(AssignmentReason::Concluded, winner),
        None => Verdict::refused(AssignmentReason::NoWinner),
    })
}

fn not_running<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let is_running = question.experiment.state == ExperimentState::Running;
    (!is_running).then_some(Verdict::refused(AssignmentReason::NotRunning))
}

/// An override bypasses the weights and the group. One of a variant that was removed is ignored.
fn pinned<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let Question {
        experiment, facts, ..
    } = *question;
    let pinned = match question.candidate {
        None => facts.pinned,
        Some(candidate) => candidate.is_override.then_some(candidate.variant),
    };
    let variant = pinned.filter(|pinned| experiment.variant(pinned).is_some())?;
    let as_stored = StoredVariant {
        variant,
        is_override: true,
    };
    Some(Verdict {
        is_override: true,
        store: facts.stored != Some(as_stored),
        ..Verdict::given(AssignmentReason::Override, variant)
    })
}

fn stored<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let stored = question.facts.stored?;
    Some(Verdict {
        is_override: stored.is_override,
        ..Verdict::given(AssignmentReason::Sticky, stored.variant)
    })
}

fn group<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let has_group = question.experiment.exclusion_group.is_some();
    let is_excluded = has_group && question.facts.in_sibling;
    is_excluded.then_some(Verdict::refused(AssignmentReason::Excluded))
}

fn enrolment<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let enters = question.candidate.is_some() || question.experiment.enrolling;
    (!enters).then_some(Verdict::refused(AssignmentReason::Closed))
}

fn coverage<'a>(question: &Question<'a, '_>) -> Option<Verdict<'a>> {
    let enters = question.candidate.is_some() || question.allocation.covers(question.actor);
    (!enters).then_some(Verdict::refused(AssignmentReason::NotCovered))
}

fn bucket<'a>(question: &Question<'a, '_>) -> Verdict<'a> {
    let variants = &question.experiment.variants;
    let selected = match question.candidate {
        Some(candidate) => Some(candidate.variant),
        None => question
            .allocation
            .variant(question.actor)
            .map(|index| &*variants[index].name),
    };
    match selected {
        None => Verdict::refused(AssignmentReason::NoVariant),
        Some(variant) => Verdict {
            store: true,
            ..Verdict::given(AssignmentReason::Assigned, variant)
        },
    }
}
