//! Exposure events and the sinks that keep them outside a store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::ExperimentError;
use crate::validation::{validate_actor, validate_request_id};

/// One event: this actor was shown this variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ExposureRecord {
    /// The experiment's name.
    pub experiment: String,
    /// The variant's name.
    pub variant: String,
    /// Who was shown it.
    pub actor: String,
    /// The request it happened in, to join it with other logs.
    pub request_id: Option<String>,
    /// Whether an override made the assignment.
    pub is_override: bool,
    /// When, in seconds since the Unix epoch.
    pub timestamp_secs: u64,
}

impl ExposureRecord {
    /// Checks that a store can hold its actor and its request id.
    ///
    /// # Errors
    /// One of them [can't be stored](ExperimentError::InvalidConfig).
    pub fn validate(&self) -> Result<(), ExperimentError> {
        validate_actor(&self.experiment, &self.actor)?;
        validate_request_id(&self.experiment, self.request_id.as_deref())
    }
}

/// Which of an experiment's kept exposures are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExposureScan {
    /// From this second on.
    pub since_secs: u64,
    /// Of each actor only the first of those: the one of the earliest second, and of several in it the one that was
    /// kept first.
    pub first_only: bool,
}

/// The kept exposures of one actor to one variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ExposureTotal {
    /// The experiment's name.
    pub experiment: String,
    /// The variant's name.
    pub variant: String,
    /// Whether an override had made the assignment.
    pub is_override: bool,
    /// How many.
    pub exposures: u64,
    /// When the first was, in seconds since the Unix epoch.
    pub first_secs: u64,
    /// When the last was.
    pub last_secs: u64,
}

/// Adds up exposures.
#[derive(Debug, Default)]
pub(crate) struct ExposureTotals(BTreeMap<(String, String, bool), (u64, u64, u64)>);

impl ExposureTotals {
    pub(crate) fn add(&mut self, exposure: &ExposureRecord) {
        let at = exposure.timestamp_secs;
        let key = (
            exposure.experiment.clone(),
            exposure.variant.clone(),
            exposure.is_override,
        );
        let (count, first, last) = self.0.entry(key).or_insert((0, at, at));
        *count += 1;
        *first = at.min(*first);
        *last = at.max(*last);
    }

    pub(crate) fn into_sorted(self) -> Vec<ExposureTotal> {
        let totals = self.0.into_iter();
        let totals = totals.map(
            |((experiment, variant, is_override), (exposures, first_secs, last_secs))| {
                ExposureTotal {
                    experiment,
                    variant,
                    is_override,
                    exposures,
                    first_secs,
                    last_secs,
                }
            },
        );
        totals.collect()
    }
}

/// The places of the first exposures: of all with the same key, the one of the earliest second, and of several in it
/// the one that was kept first.
pub(crate) fn first_places<'e, K: Eq + Hash>(
    exposures: &'e [ExposureRecord],
    key: impl Fn(&'e ExposureRecord) -> Option<K>,
) -> HashSet<usize> {
    let mut first: HashMap<K, (u64, usize)> = HashMap::new();
    for (place, exposure) in exposures.iter().enumerate() {
        if let Some(key) = key(exposure) {
            let this = (exposure.timestamp_secs, place);
            let known = first.entry(key).or_insert(this);
            *known = (*known).min(this);
        }
    }
    first.into_values().map(|(_, place)| place).collect()
}

/// Takes exposure events as they happen.
///
/// A sink must not block for long and cannot fail: the assignment has been made already. Exposures
/// that must not be lost are kept by the store, in the transaction of the assignment; see
/// [`ExperimentService::with_stored_exposures`](crate::ExperimentService::with_stored_exposures).
pub trait ExposureSink: Send + Sync + 'static {
    /// Takes one event.
    fn record(&self, exposure: ExposureRecord);

    /// Whether events are worth making; where not, none is made.
    fn is_recording(&self) -> bool {
        true
    }
}

impl<T: ExposureSink + ?Sized> ExposureSink for Arc<T> {
    fn record(&self, exposure: ExposureRecord) {
        (**self).record(exposure);
    }

    fn is_recording(&self) -> bool {
        (**self).is_recording()
    }
}

/// Emits one structured `tracing` event `experiment_exposure` at level INFO for each exposure, with
/// the fields `experiment`, `variant`, `actor`, `request_id` (empty if there is none) and
/// `is_override`. The default sink of a service.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingExposureSink;

impl ExposureSink for TracingExposureSink {
    fn record(&self, exposure: ExposureRecord) {
        tracing::info!(
            experiment = exposure.experiment,
            variant = exposure.variant,
            actor = exposure.actor,
            request_id = exposure.request_id.as_deref().unwrap_or_default(),
            is_override = exposure.is_override,
            "experiment_exposure"
        );
    }

    fn is_recording(&self) -> bool {
        tracing::enabled!(tracing::Level::INFO)
    }
}

/// Drops every exposure.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOpExposureSink;

impl ExposureSink for NoOpExposureSink {
    fn record(&self, _exposure: ExposureRecord) {}

    fn is_recording(&self) -> bool {
        false
    }
}

/// Keeps every exposure in memory, in the order of arrival.
#[derive(Debug, Default)]
pub struct RecordingExposureSink {
    records: Arc<Mutex<Vec<ExposureRecord>>>,
}

impl RecordingExposureSink {
    /// The sink, and a shared handle to what it has recorded.
    #[must_use]
    pub fn new() -> (Self, Arc<Mutex<Vec<ExposureRecord>>>) {
        let sink = Self::default();
        let records = Arc::clone(&sink.records);
        (sink, records)
    }
}

impl ExposureSink for RecordingExposureSink {
    fn record(&self, exposure: ExposureRecord) {
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(exposure);
    }
}
