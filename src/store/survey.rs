//! A store looked at as a whole: how much it holds, and what in it a command would stumble over.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ConfigProblem;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::text::Quoted;

/// What a store is and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreInfo {
    /// Its path, or its address without a password.
    pub store: String,
    /// The program that keeps it, with its version.
    pub engine: String,
    /// The version of its schema.
    pub schema: u32,
    /// Whether an application had made its tables before; never for a file.
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
}

/// Something in a store that cannot be true, or that a command would stumble over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreFinding {
    /// Of which kind it is.
    pub code: StoreFault,
    /// The experiment, the exclusion group or the part of the schema that it is about.
    pub subject: String,
    /// How many rows it concerns.
    pub count: u64,
    /// What was found, in a sentence.
    pub message: String,
    /// Whether a repair mends it.
    pub repairable: bool,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident $id:literal;)*) => {
        /// The kinds of what can be wrong with a store. The id of a kind never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
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
    /// A table, a column, an index, a function or a trigger is missing.
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
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// How many rows of one table are named one by one; the others are counted.
const MAX_NAMED: u64 = 100;

/// Findings as they are made.
#[derive(Default)]
pub(super) struct Found {
    findings: Vec<StoreFinding>,
    named: HashMap<(StoreFault, &'static str), u64>,
}

impl Found {
    pub(super) fn push(&mut self, finding: StoreFinding) {
        self.findings.push(finding);
    }

    /// One row; `rows` is what rows of its table are called. Beyond a number they are only counted.
    pub(super) fn name(
        &mut self,
        code: StoreFault,
        rows: &'static str,
        finding: impl FnOnce() -> StoreFinding,
    ) {
        let named = self.named.entry((code, rows)).or_default();
        *named += 1;
        if *named <= MAX_NAMED {
            self.findings.push(finding());
        }
    }

    /// Of those that are repairable, leaves only these so.
    #[cfg(feature = "postgres")]
    pub(super) fn only_repairable(&mut self, is_so: impl Fn(&StoreFinding) -> bool) {
        for finding in &mut self.findings {
            finding.repairable &= is_so(finding);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<StoreFinding> {
        let mut findings = self.findings;
        let mut more: Vec<_> = self.named.into_iter().collect();
        more.retain(|(_, count)| *count > MAX_NAMED);
        more.sort_by_key(|((code, rows), _)| (code.id(), *rows));
        findings.extend(more.into_iter().map(|((code, rows), count)| {
            let count = count - MAX_NAMED;
            let message = format!("{count} more {rows} of the kind '{code}'");
            StoreFinding::new(code, rows, message).counting(count)
        }));
        findings
    }
}

impl Extend<StoreFinding> for Found {
    fn extend<I: IntoIterator<Item = StoreFinding>>(&mut self, findings: I) {
        self.findings.extend(findings);
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
    pub(super) fn violated(&self, name: &str, count: i64) -> StoreFinding {
        let plural = if count == 1 { "" } else { "s" };
        let Self {
            subject,
            noun,
            what,
            ..
        } = self;
        let message = format!("{subject} {}: {count} {noun}{plural} {what}", Quoted(name));
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
