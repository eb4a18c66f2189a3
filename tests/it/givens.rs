//! What many tests begin with.

use std::time::{Duration, Instant};

use experiments::{
    AssignRequest, Assignment, ExperimentConfig, ExperimentError, ExperimentState, ExperimentStore,
    PgExperimentStore, VariantConfig,
};

use postgres::Client;

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
    AssignRequest::new(experiment, actor).keep_exposure(None)
}

/// Has an assignment stored that was decided elsewhere.
pub(crate) fn record(
    store: &(impl ExperimentStore + ?Sized),
    experiment: &str,
    actor: &str,
    variant: &str,
    is_override: bool,
) -> Result<String, ExperimentError> {
    store.record_assignment(Assignment {
        experiment: experiment.to_owned(),
        actor: actor.to_owned(),
        variant: variant.to_owned(),
        is_override,
        assigned_at_secs: 0,
    })
}

/// Waits for a condition; a minute is for a machine that does nothing else.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until so many sessions of the database wait for a lock.
pub(crate) fn await_waiters(observer: &mut Client, count: usize) {
    await_sessions(observer, "wait_event_type = 'Lock'", |found| found >= count);
}

/// Waits until enough other sessions of the database are like this.
pub(crate) fn await_sessions(
    observer: &mut Client,
    condition: &str,
    is_enough: impl Fn(usize) -> bool,
) {
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE {condition} AND pid <> pg_backend_pid()
             AND backend_type = 'client backend' AND datname = current_database()"
    );
    eventually(condition, || {
        let found: i64 = observer.query_one(&count, &[]).unwrap().get(0);
        is_enough(usize::try_from(found).unwrap())
    });
}
