//! The application: its service as a [`Program`], and its migrations, one by one or all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use autumn_web::experiments::pg::PgExperimentStore;
use autumn_web::experiments::{
    ExperimentConfig, ExperimentError, ExperimentService, ExperimentState, ExperimentStoreError,
    ExposureRecord, RecordingExposureSink, VariantConfig,
};
use autumn_web::migrate::{FRAMEWORK_MIGRATIONS, MigrationError, run_pending_locked};
use autumn_web::reexports::diesel::migration::{Migration, MigrationSource};
use autumn_web::reexports::diesel::pg::Pg;
use autumn_web::reexports::diesel::{Connection as _, PgConnection};
use autumn_web::reexports::diesel_migrations::MigrationHarness as _;

use crate::program::{Config, Done, Given, Program, Refusal, State};

/// The migration that makes the tables of the experiments.
const EXPERIMENTS: &str = "20260530300000";

pub(crate) struct Application {
    service: ExperimentService,
    exposures: Arc<Mutex<Vec<ExposureRecord>>>,
}

impl Application {
    /// It reads what is stored on every call, and not what it knew a second ago.
    pub(crate) fn open(url: &str) -> Self {
        let store = PgExperimentStore::with_cache_ttl(url, Duration::ZERO);
        let (sink, exposures) = RecordingExposureSink::new();
        let service = ExperimentService::new(Arc::new(store));
        Self {
            service: service.with_exposure_sink(Arc::new(sink)),
            exposures,
        }
    }
}

impl Program for Application {
    fn create(&self, name: &str, variants: &[(String, u32)], group: Option<&str>) -> Done {
        let mut config = ExperimentConfig::new(name, configs(variants));
        config.exclusion_group = group.map(str::to_owned);
        self.service.create(config).map_err(refusal)
    }

    fn start(&self, name: &str) -> Done {
        self.service.start(name).map_err(refusal)
    }

    fn conclude(&self, name: &str, winner: &str) -> Done {
        self.service.conclude(name, winner).map_err(refusal)
    }

    fn archive(&self, name: &str) -> Done {
        self.service.archive(name).map_err(refusal)
    }

    fn set_weights(&self, name: &str, variants: &[(String, u32)]) -> Done {
        let set = self
            .service
            .set_weights(name, configs(variants), Some("theirs"));
        set.map_err(refusal)
    }

    fn set_override(&self, name: &str, actor: &str, variant: &str) -> Done {
        self.service
            .set_override(name, actor, variant)
            .map_err(refusal)
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
        ExperimentState::Draft => State::Draft,
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

/// It has fewer kinds of errors than it has meanings.
fn refusal(error: ExperimentError) -> Refusal {
    match error {
        ExperimentError::NotFound(_) => Refusal::NotFound,
        ExperimentError::NotRunning(_, ExperimentState::Concluded) => Refusal::Concluded,
        ExperimentError::NotRunning(..) => Refusal::NotRunning,
        ExperimentError::Archived(_) => Refusal::Archived,
        ExperimentError::ExcludedByGroup(..) => Refusal::Excluded,
        ExperimentError::NoVariant(why) if why.contains("is not a configured variant") => {
            Refusal::UnknownVariant
        }
        ExperimentError::NoVariant(_) => Refusal::NoVariant,
        ExperimentError::Store(ExperimentStoreError::Backend(why))
            if why.starts_with("cannot delete variant") =>
        {
            Refusal::VariantInUse
        }
        other => Refusal::Failed(other.to_string()),
    }
}

/// Applies all its migrations that are not recorded yet, as it does when it starts.
pub(crate) fn migrate(url: &str) -> Result<(), MigrationError> {
    run_pending_locked(url, FRAMEWORK_MIGRATIONS, None).map(drop)
}

/// Applies only the migration of the experiments.
pub(crate) fn migrate_experiments(url: &str) {
    connect(url).run_migration(&*experiments()).unwrap();
}

/// Takes the migration of the experiments back.
pub(crate) fn revert_experiments(url: &str) -> Result<(), String> {
    let reverted = connect(url).revert_migration(&*experiments());
    reverted.map(drop).map_err(|error| error.to_string())
}

fn connect(url: &str) -> PgConnection {
    let mut connection = PgConnection::establish(url).unwrap();
    // What diesel does before it applies anything.
    connection.applied_migrations().unwrap();
    connection
}

fn experiments() -> Box<dyn Migration<Pg>> {
    let all = MigrationSource::<Pg>::migrations(&FRAMEWORK_MIGRATIONS).unwrap();
    let mut all = all.into_iter();
    all.find(|migration| migration.name().version().to_string() == EXPERIMENTS)
        .unwrap()
}
