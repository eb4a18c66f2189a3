//! The library as a [`Program`]. Nothing else here calls it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use experiments::{
    ExperimentConfig, ExperimentError, ExperimentService, ExperimentState, ExposureRecord,
    PgExperimentStore, RecordingExposureSink, VariantConfig,
};

use crate::program::{Config, Done, Given, Program, Refusal, State};
use crate::server::options;

pub(crate) struct Library {
    pub(crate) service: ExperimentService,
    exposures: Arc<Mutex<Vec<ExposureRecord>>>,
}

impl Library {
    /// In a database that has its tables.
    pub(crate) fn open(url: &str) -> Self {
        let store = PgExperimentStore::open(options(url)).unwrap();
        let (sink, exposures) = RecordingExposureSink::new();
        let service = ExperimentService::new(store.with_operator("ours"));
        Self {
            service: service.with_exposure_sink(sink),
            exposures,
        }
    }

    /// The application has no such thing.
    pub(crate) fn clear_override(&self, name: &str, actor: &str) -> Done {
        done(self.service.clear_override(name, actor))
    }
}

impl Program for Library {
    fn create(&self, name: &str, variants: &[(String, u32)], group: Option<&str>) -> Done {
        let mut config = ExperimentConfig::new(name, configs(variants));
        config.exclusion_group = group.map(str::to_owned);
        done(self.service.create(config))
    }

    fn start(&self, name: &str) -> Done {
        done(self.service.start(name))
    }

    fn conclude(&self, name: &str, winner: &str) -> Done {
        done(self.service.conclude(name, winner))
    }

    fn archive(&self, name: &str) -> Done {
        done(self.service.archive(name))
    }

    fn set_weights(&self, name: &str, variants: &[(String, u32)]) -> Done {
        done(self.service.set_weights(name, configs(variants), None))
    }

    fn set_override(&self, name: &str, actor: &str, variant: &str) -> Done {
        done(self.service.set_override(name, actor, variant))
    }

    fn assign(&self, name: &str, actor: &str) -> Result<Given, Refusal> {
        let variant = self.service.assign(name, actor).map_err(refusal)?;
        let mut exposures = self.exposures.lock().unwrap();
        let exposed = exposures.pop().map(|exposure| exposure.is_override);
        Ok(Given { variant, exposed })
    }

    fn list(&self) -> BTreeMap<String, Config> {
        let all = self.service.list().unwrap().into_iter();
        all.map(|config| (config.name.clone(), shown(config)))
            .collect()
    }

    fn history(&self, name: &str) -> Vec<String> {
        let changes = self.service.history(name, 0).unwrap().into_iter();
        changes.map(|change| change.mutation).collect()
    }
}

fn configs(variants: &[(String, u32)]) -> Vec<VariantConfig> {
    let variants = variants.iter();
    variants
        .map(|(name, weight)| VariantConfig::new(name.clone(), *weight))
        .collect()
}

fn shown(config: ExperimentConfig) -> Config {
    let state = match config.state {
        // To the framework a paused experiment is a draft.
        ExperimentState::Draft | ExperimentState::Paused => State::Draft,
        ExperimentState::Running => State::Running,
        ExperimentState::Concluded => State::Concluded,
        ExperimentState::Archived => State::Archived,
    };
    Config {
        state,
        variants: config
            .variants
            .into_iter()
            .map(|v| (v.name, v.weight))
            .collect(),
        winner: config.winner.filter(|_| state == State::Concluded),
        group: config.exclusion_group,
    }
}

fn done<T>(result: Result<T, ExperimentError>) -> Done {
    result.map(drop).map_err(refusal)
}

fn refusal(error: ExperimentError) -> Refusal {
    match error {
        ExperimentError::NotFound(_) => Refusal::NotFound,
        ExperimentError::NotRunning(..) => Refusal::NotRunning,
        ExperimentError::Concluded(_) => Refusal::Concluded,
        ExperimentError::Archived(_) => Refusal::Archived,
        ExperimentError::ExcludedByGroup(..) => Refusal::Excluded,
        ExperimentError::NoVariant(_) => Refusal::NoVariant,
        ExperimentError::UnknownVariant { .. } => Refusal::UnknownVariant,
        ExperimentError::VariantInUse { .. } => Refusal::VariantInUse,
        ExperimentError::AlreadyExists(..) => Refusal::Exists,
        other => Refusal::Failed(other.to_string()),
    }
}
