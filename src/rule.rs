//! The rules by name and number, and what each of them can answer. Data only: how they are applied is in
//! `assignment::rules`.

use serde::{Deserialize, Serialize};

/// A rule of assignment.
///
/// Standing rules look at what is stored: the experiment's state, an override, an assignment, the group.
/// Entry rules are asked only of an actor whom no standing rule has answered: whether a newcomer may
/// enter, and with which variant. Who is in is never asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// An archived experiment refuses everybody.
    Archived,
    /// A concluded one gives everybody the winner.
    Concluded,
    /// One that is not running, a draft or a paused one, refuses everybody.
    NotRunning,
    /// An override decides for its actor.
    Override,
    /// So does what is stored.
    Assignment,
    /// Who is in another experiment of the exclusion group may not enter.
    Group,
    /// Newcomers may enter as long as it enrols them.
    Enrolment,
    /// Of the newcomers a share may enter.
    Coverage,
    /// The actor's bucket selects the variant.
    Bucket,
}

/// The one list of the rules: passes the standing ones, or the entry rules, to a macro, in the order in which
/// they are asked.
macro_rules! rules {
    (standing $callback:ident) => {
        $callback!(Archived Concluded NotRunning Override Assignment Group)
    };
    (entry $callback:ident) => {
        $callback!(Enrolment Coverage Bucket)
    };
}
pub(crate) use rules;

macro_rules! list {
    ($($rule:ident)*) => { [$(Rule::$rule),*] };
}

impl Rule {
    /// The standing rules, in the order in which they are asked.
    pub const STANDING: [Self; 6] = rules!(standing list);

    /// The entry rules, in the order in which they are asked, after the standing ones. The last of them
    /// always answers.
    pub const ENTRY: [Self; 3] = rules!(entry list);

    /// Every rule, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::STANDING.into_iter().chain(Self::ENTRY)
    }

    /// Its number, from 1 to 7. All entry rules share the last one, so that a new one changes no number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Archived => 1,
            Self::Concluded => 2,
            Self::NotRunning => 3,
            Self::Override => 4,
            Self::Assignment => 5,
            Self::Group => 6,
            Self::Enrolment | Self::Coverage | Self::Bucket => 7,
        }
    }

    /// Its name, as `exp explain` prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Concluded => "concluded",
            Self::NotRunning => "not_running",
            Self::Override => "override",
            Self::Assignment => "assignment",
            Self::Group => "group",
            Self::Enrolment => "enrolment",
            Self::Coverage => "coverage",
            Self::Bucket => "bucket",
        }
    }
}

/// What a rule answered: why an actor gets a variant, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AssignmentReason {
    /// Refused: the experiment is archived.
    Archived,
    /// The experiment is concluded; this is the winner.
    Concluded,
    /// Refused: the experiment is concluded, and another program has stored no winner.
    NoWinner,
    /// Refused: the experiment is not running.
    NotRunning,
    /// Pinned to the actor by an override.
    Override,
    /// Stored by an earlier call.
    Sticky,
    /// Refused: the actor is in another experiment of the group.
    Excluded,
    /// Refused: the actor is new, and the experiment is closed to newcomers.
    Closed,
    /// Refused: the actor is new, and not among those whom the experiment covers.
    NotCovered,
    /// Chosen by the actor's bucket just now.
    Assigned,
    /// Refused: all weights are zero.
    NoVariant,
}

impl AssignmentReason {
    /// Every reason, in the order of the rules.
    pub const ALL: [Self; 11] = [
        Self::Archived,
        Self::Concluded,
        Self::NoWinner,
        Self::NotRunning,
        Self::Override,
        Self::Sticky,
        Self::Excluded,
        Self::Closed,
        Self::NotCovered,
        Self::Assigned,
        Self::NoVariant,
    ];

    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Concluded => "concluded",
            Self::NoWinner => "no_winner",
            Self::NotRunning => "not_running",
            Self::Override => "override",
            Self::Sticky => "sticky",
            Self::Excluded => "excluded",
            Self::Closed => "closed",
            Self::NotCovered => "not_covered",
            Self::Assigned => "assigned",
            Self::NoVariant => "no_variant",
        }
    }

    /// The rule that gives this answer.
    #[must_use]
    pub fn rule(self) -> Rule {
        match self {
            Self::Archived => Rule::Archived,
            Self::Concluded | Self::NoWinner => Rule::Concluded,
            Self::NotRunning => Rule::NotRunning,
            Self::Override => Rule::Override,
            Self::Sticky => Rule::Assignment,
            Self::Excluded => Rule::Group,
            Self::Closed => Rule::Enrolment,
            Self::NotCovered => Rule::Coverage,
            Self::Assigned | Self::NoVariant => Rule::Bucket,
        }
    }

    /// Whether every actor gets this answer, whatever is stored of them.
    #[must_use]
    pub fn concerns_everyone(self) -> bool {
        match self {
            Self::Archived | Self::Concluded | Self::NoWinner | Self::NotRunning => true,
            Self::Override
            | Self::Sticky
            | Self::Excluded
            | Self::Closed
            | Self::NotCovered
            | Self::Assigned
            | Self::NoVariant => false,
        }
    }

    /// Whether an actor who gets this answer was shown the variant.
    #[must_use]
    pub fn is_exposure(self) -> bool {
        match self {
            Self::Override | Self::Sticky | Self::Assigned => true,
            Self::Archived
            | Self::Concluded
            | Self::NoWinner
            | Self::NotRunning
            | Self::Excluded
            | Self::Closed
            | Self::NotCovered
            | Self::NoVariant => false,
        }
    }
}
