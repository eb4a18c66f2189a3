//! What is asked of the model and of the stores alike.

use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Create {
        name: String,
        draft: Draft,
        start: bool,
    },
    Start(String),
    Pause(String),
    Conclude(String, String),
    Archive(String),
    Delete(String),
    Rename(String, String),
    SetWeights(String, Vec<(String, u32)>),
    ClearOverride(String, String),
    /// So many of 10000 newcomers enter from now on.
    SetCoverage(String, u64),
    /// Whether newcomers may enter from now on.
    SetEnrolling(String, bool),
    Unassign(String, Vec<String>),
    Assign(String, String),
    /// An override, which ends after so many seconds, with a reason.
    SetOverride {
        name: String,
        actor: String,
        variant: String,
        lasts: Option<u64>,
        reason: Option<String>,
    },
    /// So many seconds pass.
    Wait(u64),
    /// What would be answered if it ran, and nothing is kept.
    Preview(String, String),
    /// By the library: what the variants stand for.
    SetValues(String, Values),
    /// By the library: no exposure is kept.
    AssignUnseen(String, String),
    /// By the library: what would be answered, and nothing is kept.
    Foresee(String, String),
    /// By the library: these at once.
    AssignMany(String, Vec<String>),
    /// By the library: what was decided elsewhere, and whether an override did.
    Record(String, String, String, bool),
    /// By the library: a draft is replaced.
    Replace(String, Draft),
    /// By the library: what actors did. The metric, the value, and an id of which only the first counts.
    Track(Vec<(String, String, u32, Option<String>)>),
    /// By the library: exposures that say nothing new of an actor go.
    Prune(String),
    /// By hand: the override goes, and its assignment stays.
    RemoveOverride(String, String),
    /// By an application, to which what is paused is a draft: it becomes a draft, and all else stays.
    Reset(String),
    /// By an application: it runs, and all else stays.
    Restart(String),
}

/// What an experiment begins with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) variants: Vec<(String, u32)>,
    pub(crate) group: Option<String>,
    pub(crate) entry: Entry,
    pub(crate) values: Values,
}

/// A variant's value, as JSON text: a number or a string.
pub(crate) type Values = BTreeMap<String, String>;

/// Who enters, and by which hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// In place of the name.
    pub(crate) salt: Option<String>,
    /// So many of 10000.
    pub(crate) coverage: u64,
    /// Whether any newcomer may.
    pub(crate) enrolling: bool,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            salt: None,
            coverage: 10_000,
            enrolling: true,
        }
    }
}
