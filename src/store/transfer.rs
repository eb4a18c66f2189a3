//! Copying all of a store into an empty one.
//!
//! A store is read as a row of [records](Record) in one order, whatever it is kept in, so that counts
//! and checksum of two stores with the same content are the same. Times are whole seconds.
//!
//! An interrupted copy resumes where it was: the target keeps, with the records and in the same
//! transaction, how many of them it has, and the tally of the source that they came from.

use std::collections::HashSet;
use std::io;

use serde::{Deserialize, Serialize};

use crate::bucketing::{FNV_OFFSET, fnv1a};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{
    AssignmentRecord, ChangeRecord, ExperimentConfig, Override, VariantConfig, WeightPeriod,
};
use crate::exposure::ExposureRecord;
use crate::location::StoreLocation;
use crate::outcome::Outcome;

/// Records in one transaction of the target.
const BATCH: usize = 10_000;

/// One thing that a store keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "experiments are few, and the records that are many are not much smaller"
)]
pub enum Record {
    /// An experiment.
    Experiment {
        /// As it is now.
        config: ExperimentConfig,
        /// When it was created, in seconds since 1970.
        created_at_secs: u64,
        /// The periods of its weights, in order.
        periods: Vec<PeriodRecord>,
    },
    /// An override of an actor's variant.
    Override(Override),
    /// An entry of the audit log, also of an experiment that was deleted.
    Change(ChangeRecord),
    /// A kept exposure.
    Exposure(ExposureRecord),
    /// An actor's stored variant.
    Assignment(AssignmentRecord),
    /// A kept outcome.
    Outcome(Outcome),
}

/// A [period of weights](crate::WeightPeriod), whose counts follow from the assignments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct PeriodRecord {
    /// When it began, in seconds since 1970.
    pub from_secs: u64,
    /// The variants with their weights that held in it, in order.
    pub variants: Vec<VariantConfig>,
}

impl From<WeightPeriod> for PeriodRecord {
    fn from(period: WeightPeriod) -> Self {
        Self {
            from_secs: period.from_secs,
            variants: period.variants,
        }
    }
}

impl Record {
    /// The experiment that it is, or that must be there with it. An entry of the log stays when its experiment
    /// goes, and an outcome belongs to none.
    #[must_use]
    pub fn experiment(&self) -> Option<&str> {
        match self {
            Self::Experiment { config, .. } => Some(&config.name),
            Self::Override(record) => Some(&record.experiment),
            Self::Exposure(record) => Some(&record.experiment),
            Self::Assignment(record) => Some(&record.experiment),
            Self::Change(_) | Self::Outcome(_) => None,
        }
    }
}

/// How much a store holds, and what of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Tally {
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
    /// FNV-1a, 64 bits, over all records in their order, each as a line of JSON; in hexadecimal.
    pub checksum: String,
}

impl Tally {
    /// Of all records together.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.experiments
            + self.assignments
            + self.overrides
            + self.exposures
            + self.changes
            + self.outcomes
    }

    /// Counts what is seen in a view.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of(view: &mut dyn View) -> Result<Self, ExperimentError> {
        let mut tally = Self {
            experiments: 0,
            assignments: 0,
            overrides: 0,
            exposures: 0,
            changes: 0,
            outcomes: 0,
            checksum: String::new(),
        };
        let mut hash = Hash(FNV_OFFSET);
        view.scan(&mut |record| {
            let count = match record {
                Record::Experiment { .. } => &mut tally.experiments,
                Record::Override(_) => &mut tally.overrides,
                Record::Change(_) => &mut tally.changes,
                Record::Exposure(_) => &mut tally.exposures,
                Record::Assignment(_) => &mut tally.assignments,
                Record::Outcome(_) => &mut tally.outcomes,
            };
            *count += 1;
            hash.take(&record);
            Ok(())
        })?;
        tally.checksum = format!("{:016x}", hash.0);
        Ok(tally)
    }
}

struct Hash(u64);

impl Hash {
    fn take(&mut self, record: &Record) {
        // Only a writer that fails, or a map without text as its keys, makes it fail.
        let _ = serde_json::to_writer(&mut *self, record);
        self.0 = fnv1a(self.0, b"\n");
    }
}

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = fnv1a(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is done with a record.
pub type Each<'a> = &'a mut dyn FnMut(Record) -> Result<(), ExperimentError>;

/// A store as it is at one moment.
pub trait View {
    /// All records: the experiments by name; the overrides by experiment and actor; the changes and
    /// the exposures in the order in which they happened; the assignments by experiment and actor; the
    /// outcomes in the order in which they were kept.
    ///
    /// # Errors
    /// When the store or `each` fails.
    fn scan(&mut self, each: Each<'_>) -> Result<(), ExperimentError>;
}

/// What is done with a view.
pub type Step<'a> = &'a mut dyn FnMut(&mut dyn View) -> Result<(), ExperimentError>;

/// A store that can be copied.
pub trait Source {
    /// Shows the store as it is now; what others write during the step is not seen by it.
    ///
    /// # Errors
    /// When the store or the step fails.
    fn view(&self, step: Step<'_>) -> Result<(), ExperimentError>;

    /// Where it is, by whatever name it was opened; `None` if there is no telling.
    fn location(&self) -> Option<String> {
        None
    }
}

/// Where a copy is written. Until it is finished it is no store to anybody else.
pub trait Target {
    /// Begins a copy of a source of this tally, or goes on with one: returns how many records are
    /// there. With `restart` an unfinished copy is thrown away.
    ///
    /// # Errors
    /// It is [not empty](ExperimentStoreError::NotEmpty); there is an unfinished copy of [something
    /// else](ExperimentStoreError::OtherCopy); or the store fails.
    fn begin(&mut self, tally: &Tally, restart: bool) -> Result<u64, ExperimentError>;

    /// Writes the records that follow on the first `written`, in one transaction.
    ///
    /// # Errors
    /// Somebody else has written meanwhile, or the store fails.
    fn append(&mut self, written: u64, records: &[Record]) -> Result<(), ExperimentError>;

    /// Completes what was written, so that nothing remains but to read it back and to make a store of it.
    /// What is [counted](Self::tally) after this is what is on the disk.
    ///
    /// # Errors
    /// When the store fails.
    fn seal(&mut self) -> Result<(), ExperimentError> {
        Ok(())
    }

    /// Counts what is there.
    ///
    /// # Errors
    /// When the store fails.
    fn tally(&mut self) -> Result<Tally, ExperimentError>;

    /// Makes a store of it.
    ///
    /// # Errors
    /// When the store fails.
    fn finish(&mut self) -> Result<(), ExperimentError>;

    /// Counts what a store holds that is there and complete; `None` if there is none, or no telling.
    ///
    /// # Errors
    /// When the store fails.
    fn complete(&mut self) -> Result<Option<Tally>, ExperimentError> {
        Ok(None)
    }

    /// Where it is, for messages.
    fn store(&self) -> StoreLocation;

    /// Where it is, as [`Source::location`] says it of the same place.
    fn location(&mut self) -> Option<String> {
        None
    }
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// What is in the target, read back from it.
    pub tally: Tally,
    /// How many of its records had been written by an earlier try.
    pub resumed_at: u64,
    /// Whether the copy was complete before, and nothing was written.
    pub was_complete: bool,
    /// Whether the source was changed after the copy was begun, or could not be read again to see: what
    /// was written since is not in it.
    pub is_outdated: bool,
    /// What belongs to experiments that are not there, but for entries of the log: an application may leave it when
    /// it deletes one. It was not copied.
    pub left_out: u64,
}

/// Copies all that is in the source, reads it back and compares counts and checksum. `progress` is
/// called with the records that are written so far and with their number in the end. Where all of it is
/// already, as after a copy that was killed in its last moment, nothing is done.
///
/// # Errors
/// The target [refuses](Target::begin) it; what it holds in the end is [not what was
/// written](ExperimentStoreError::Corrupt); or a store fails. The same call then resumes.
pub fn copy(
    source: &dyn Source,
    target: &mut dyn Target,
    restart: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Copied, ExperimentError> {
    let mut copied = None;
    source.view(&mut |view| {
        let mut view = Belonging { view, left_out: 0 };
        let expected = Tally::of(&mut view)?;
        let left_out = view.left_out;
        let (resumed_at, was_complete) =
            match write(&mut view, target, &expected, restart, progress) {
                Ok(resumed_at) => (resumed_at, false),
                Err(refused) if is_not_empty(&refused) => {
                    // A store is no copy of itself.
                    let here = source.location();
                    if here.is_some() && here == target.location() {
                        return Err(refused);
                    }
                    if target.complete()?.as_ref() != Some(&expected) {
                        return Err(refused);
                    }
                    (expected.records(), true)
                }
                Err(error) => return Err(error),
            };
        copied = Some(Copied {
            tally: expected,
            resumed_at,
            was_complete,
            is_outdated: true,
            left_out,
        });
        Ok(())
    })?;
    let mut copied = copied.ok_or_else(|| ExperimentStoreError::Backend {
        store: target.store(),
        doing: "be copied into",
        source: "the source showed nothing".into(),
    })?;
    // It is complete, whatever comes of this.
    let looked = source.view(&mut |view| {
        let after = Tally::of(&mut Belonging { view, left_out: 0 })?;
        copied.is_outdated = after != copied.tally;
        Ok(())
    });
    if let Err(error) = looked {
        tracing::warn!(%error, "copied_and_not_compared_again");
    }
    Ok(copied)
}

/// Writes what is not there yet, reads all of it back and makes a store of it. Returns how many records
/// were there.
fn write(
    view: &mut dyn View,
    target: &mut dyn Target,
    expected: &Tally,
    restart: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, ExperimentError> {
    let resumed_at = target.begin(expected, restart)?;
    let total = expected.records();
    let mut written = resumed_at;
    let mut seen = 0;
    let mut batch = Vec::new();
    progress(written, total);
    let mut flush = |batch: &mut Vec<Record>| -> Result<(), ExperimentError> {
        target.append(written, batch)?;
        written += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        batch.clear();
        progress(written, total);
        Ok(())
    };
    view.scan(&mut |record| {
        seen += 1;
        if seen > resumed_at {
            batch.push(record);
        }
        if batch.len() == BATCH {
            flush(&mut batch)?;
        }
        Ok(())
    })?;
    if !batch.is_empty() {
        flush(&mut batch)?;
    }
    target.seal()?;
    let tally = target.tally()?;
    if tally != *expected {
        return Err(not_the_same(target.store(), &tally, expected).into());
    }
    target.finish()?;
    Ok(resumed_at)
}

pub(super) fn is_not_empty(error: &ExperimentError) -> bool {
    matches!(
        error,
        ExperimentError::Store(ExperimentStoreError::NotEmpty { .. })
    )
}

/// The records whose experiments are there, if they need to be.
struct Belonging<'a> {
    view: &'a mut dyn View,
    left_out: u64,
}

impl View for Belonging<'_> {
    fn scan(&mut self, each: Each<'_>) -> Result<(), ExperimentError> {
        let mut known = HashSet::new();
        let mut left_out = 0;
        self.view.scan(&mut |record| {
            if let Record::Experiment { config, .. } = &record {
                known.insert(config.name.clone());
            }
            if record
                .experiment()
                .is_none_or(|experiment| known.contains(experiment))
            {
                return each(record);
            }
            left_out += 1;
            Ok(())
        })?;
        self.left_out = left_out;
        Ok(())
    }
}

fn not_the_same(store: StoreLocation, found: &Tally, expected: &Tally) -> ExperimentStoreError {
    let told = |tally: &Tally| format!("{} records, checksum {}", tally.records(), tally.checksum);
    ExperimentStoreError::Corrupt {
        store,
        found: format!(
            "it holds {}, where {} were copied into it; others may have written to it meanwhile",
            told(found),
            told(expected)
        ),
    }
}

/// Somebody else has written between two batches.
pub(super) fn not_alone(store: StoreLocation) -> ExperimentStoreError {
    ExperimentStoreError::Backend {
        store,
        doing: "be copied into",
        source: "another process is copying into it as well".into(),
    }
}

/// A time as the databases keep it.
pub(super) fn seconds(secs: u64) -> i64 {
    i64::try_from(secs).unwrap_or(i64::MAX)
}
