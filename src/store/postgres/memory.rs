//! What is remembered of running experiments, so that an assignment can be tried at once. The database
//! says whether an experiment is still as it was seen.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::bucketing::Allocation;
use crate::experiment::{ExperimentConfig, ExperimentState};

/// A running experiment as it was seen.
pub(super) struct Known {
    pub(super) config: ExperimentConfig,
    pub(super) allocation: Allocation,
    /// Its `exp_version`.
    pub(super) version: i64,
}

#[derive(Default)]
pub(super) struct KnownExperiments(RwLock<HashMap<String, Arc<Known>>>);

impl KnownExperiments {
    /// The experiment of that name, if it was seen running.
    pub(super) fn get(&self, experiment: &str) -> Option<Arc<Known>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(experiment).cloned()
    }

    /// Keeps what was seen, if it runs.
    pub(super) fn put(&self, config: &ExperimentConfig, version: i64) {
        let is_known = |known: &Arc<Known>| known.version == version;
        if config.state != ExperimentState::Running
            || self.get(&config.name).as_ref().is_some_and(is_known)
        {
            return;
        }
        let seen = Known {
            config: config.clone(),
            allocation: config.allocation(),
            version,
        };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(config.name.clone(), Arc::new(seen));
    }
}
