//! A store looked at as a whole: how much it holds, and what in it a command would stumble over.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ConfigProblem;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::text::Quoted;

/// What a store is and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct StoreInfo {
    /// Its path, or its address without a password.
    pub store: String,
    /// The program that keeps it, with its version.
    pub engine: String,
    /// The version of its schema.
    pub schema: u32,
    /// Whether an application shares its tables; never for a file.
    pub adopted: bool,
    /// Bytes on disk; in a database, of the tables and their indexes.
    pub bytes: u64,
    /// Experiments, in any state.
    pub experiments: u64,
    /// Stored assignments of all experiments.
    pub assignments: u64,
    /// Overrides of all experiments.
    pub overrides: u64,
    /// Kept exposures of all experiments.
    pub exposures: u64,
    /// Entries of the audit log.
    pub changes: u64,
    /// Kept outcomes.
    pub outcomes: u64,
}

/// Something in a store that cannot be true, or that a command would stumble over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct StoreFinding {
    /// What it is.
    pub code: StoreFault,
    /// The experiment, the exclusion group or the part of the schema that it is about.
    pub subject: String,
    /// How many rows it concerns.
    pub count: u64,
    /// What was found, in a sentence.
    pub message: String,
    /// Whether a repair mends it.
    pub repairable: bool,
    /// How many findings it stands for: one, or all those that are counted but not named.
    #[serde(skip)]
    pub findings: u64,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident $id:literal;)*) => {
        /// The kinds of what can be wrong with a store. The id of a kind never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum StoreFault {
            $($(#[doc = $doc])* #[serde(rename = $id)] $name,)*
        }

        impl StoreFault {
            /// Its id, in kebab case.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }
        }
    };
}

faults! {
    /// The file is damaged below its tables.
    Structure "structure";
    /// A table, a column, an index, a view, a function or a trigger is missing.
    Schema "schema";
    /// A row cannot be read.
    Unreadable "unreadable";
    /// An experiment that no command would make.
    InvalidExperiment "invalid-experiment";
    /// An experiment whose space, which holds its exclusion group, is missing.
    MissingSpace "missing-space";
    /// A row names a variant that its experiment never had.
    UnknownVariant "unknown-variant";
    /// Assignments of a variant that was removed from its experiment.
    RemovedVariant "removed-variant";
    /// Rows of an experiment that is not there.
    Orphan "orphan";
    /// Actors who were assigned in two experiments of one group.
    SharedActor "shared-actor";
    /// The number of assignments that is kept is not the number that there are.
    Miscounted "miscounted";
    /// An experiment without an entry in the audit log.
    Unlogged "unlogged";
    /// A time that is no point in time.
    InfiniteTime "infinite-time";
    /// Experiments that share a space and are in no exclusion group.
    SharedSpace "shared-space";
    /// Assignments of a weight period that their experiment never had.
    UnknownPeriod "unknown-period";
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// How many findings about the rows of one table are named one by one; the others are counted.
const MAX_NAMED: u64 = 100;

/// Findings as they are made.
#[derive(Default)]
pub(super) struct Surveyed {
    findings: Vec<StoreFinding>,
    rows: HashMap<Sort, Sum>,
    repairs: BTreeSet<(StoreFault, String)>,
}

/// What findings are counted by: their kind, what the rows are called, and whether a repair mends them.
type Sort = (StoreFault, Cow<'static, str>, bool);

/// How many findings there are, and how many rows those that are not named concern.
#[derive(Default)]
struct Sum {
    findings: u64,
    unnamed_rows: u64,
}

impl Surveyed {
    pub(super) fn push(&mut self, finding: StoreFinding) {
        if finding.repairable {
            let repair = (finding.code, finding.subject.clone());
            self.repairs.insert(repair);
        }
        self.findings.push(finding);
    }

    /// A finding about rows, which are called `rows`. Beyond a number they are only counted.
    pub(super) fn name(&mut self, rows: impl Into<Cow<'static, str>>, finding: StoreFinding) {
        let sort = (finding.code, rows.into(), finding.repairable);
        let sum = self.rows.entry(sort).or_default();
        sum.findings += 1;
        if sum.findings <= MAX_NAMED {
            self.push(finding);
            return;
        }
        sum.unnamed_rows = sum.unnamed_rows.saturating_add(finding.count);
        if finding.repairable {
            self.repairs.insert((finding.code, finding.subject));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// What a repair has to mend, named or not: each kind of fault of each subject once.
    pub(super) fn repairs(&self) -> &BTreeSet<(StoreFault, String)> {
        &self.repairs
    }

    pub(super) fn into_vec(self) -> Vec<StoreFinding> {
        let mut findings = self.findings;
        let mut more: Vec<_> = self.rows.into_iter().collect();
        more.retain(|(_, sum)| sum.findings > MAX_NAMED);
        more.sort_by(|((code, rows, _), _), ((other_code, other_rows, _), _)| {
            (code.id(), rows).cmp(&(other_code.id(), other_rows))
        });
        findings.extend(more.into_iter().map(|((code, rows, repairable), sum)| {
            let count = sum.unnamed_rows;
            let message = format!("{count} more {rows} of the kind '{code}'");
            StoreFinding {
                findings: sum.findings - MAX_NAMED,
                ..StoreFinding::new(code, rows, message)
                    .counting(count)
                    .repairable(repairable)
            }
        }));
        findings
    }
}

impl StoreFinding {
    /// A finding about one row, which no repair mends.
    pub(super) fn new(code: StoreFault, subject: impl Into<String>, message: String) -> Self {
        Self {
            code,
            subject: subject.into(),
            count: 1,
            message,
            repairable: false,
            findings: 1,
        }
    }

    pub(super) fn counting(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    pub(super) fn repairable(mut self, repairable: bool) -> Self {
        self.repairable = repairable;
        self
    }
}

/// A query whose rows are a name and a count. Then follow of what the name is, what is counted, and what
/// is wrong with it. In a sound store it returns none.
pub(super) struct Invariant {
    pub(super) code: StoreFault,
    pub(super) sql: &'static str,
    pub(super) subject: &'static str,
    pub(super) noun: &'static str,
    pub(super) what: &'static str,
    pub(super) repairable: bool,
}

impl Invariant {
    /// What several of what is counted are called.
    pub(super) fn nouns(&self) -> String {
        match self.noun.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{}s", self.noun),
        }
    }

    pub(super) fn violated(&self, name: &str, count: i64) -> StoreFinding {
        let Self { subject, what, .. } = self;
        let noun = match count {
            1 => self.noun.to_owned(),
            _ => self.nouns(),
        };
        let message = format!("{subject} {}: {count} {noun} {what}", Quoted(name));
        StoreFinding::new(self.code, name, message)
            .counting(u64::try_from(count).unwrap_or(0))
            .repairable(self.repairable)
    }
}

/// What no command would make of an experiment. What an application may legally store, a winner of an
/// experiment that was started again, is none.
pub(super) fn contradictions(config: &ExperimentConfig) -> Vec<StoreFinding> {
    // An archived experiment keeps the winner that it had.
    let mut as_concluded = config.clone();
    if config.state == ExperimentState::Archived && config.winner.is_some() {
        as_concluded.state = ExperimentState::Concluded;
    }
    let problems = as_concluded.problems().into_iter();
    let problems = problems.filter(|problem| *problem != ConfigProblem::WinnerNotConcluded);
    let findings = problems.map(|problem| {
        let message = format!("experiment {}: {problem}", Quoted(&config.name));
        StoreFinding::new(StoreFault::InvalidExperiment, &*config.name, message)
    });
    findings.collect()
}

/// How the log calls a repair.
pub(super) fn repaired(code: StoreFault) -> String {
    format!("repaired={code}")
}
