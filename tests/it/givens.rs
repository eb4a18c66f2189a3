//! What many tests begin with.

use experiments::{
    AssignRequest, ExperimentConfig, ExperimentState, PgExperimentStore, VariantConfig,
};

use crate::server::options;

/// A running experiment with the variants `a` and `b`, half and half.
pub(crate) fn running(name: &str) -> ExperimentConfig {
    let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
    ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new(name, variants)
    }
}

/// The store in that database, made if there is none.
pub(crate) fn store(url: &str) -> PgExperimentStore {
    PgExperimentStore::open_or_create(options(url)).unwrap()
}

/// An assignment that keeps its exposure.
pub(crate) fn request<'a>(experiment: &'a str, actor: &'a str) -> AssignRequest<'a> {
    AssignRequest {
        experiment,
        actor,
        request_id: None,
        keep_exposure: true,
    }
}
