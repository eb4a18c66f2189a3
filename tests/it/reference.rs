//! Programs that were written against the reference, the module `experiments` of the crate `autumn-web`,
//! with their imports changed and nothing else: what its users call is here, under its name and with its
//! arguments in its order. What comes back may carry more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use experiments::pg::PgExperimentStore;
use experiments::web::FromExtension;
use experiments::{
    Assignment, ExperimentActor, ExperimentConfig, ExperimentError, ExperimentService,
    ExperimentState, ExperimentStore, Experiments, ExposureRecord, ExposureSink,
    InMemoryExperimentStore, NoOpExposureSink, RecordingExposureSink, TracingExposureSink,
    VariantConfig, experiment_bucket,
};
use macro_rules_attribute::apply;

use crate::browser::Server;
use crate::givens::eventually;

/// The operator of the handles; a program that names none gets this one.
const HANDLE: &str = "handle";

fn halves() -> Vec<VariantConfig> {
    vec![
        VariantConfig::new("control", 50),
        VariantConfig::new("treatment", 50),
    ]
}

fn weights(control: u32, treatment: u32) -> Vec<VariantConfig> {
    vec![
        VariantConfig::new("control", control),
        VariantConfig::new("treatment", treatment),
    ]
}

fn on(store: impl ExperimentStore, program: fn(&Arc<dyn ExperimentStore>)) {
    program(&(Arc::new(store) as Arc<dyn ExperimentStore>));
}

/// Every program of a store, on each of the stores.
macro_rules! on_every_store {
    ($($program:ident)*) => {
        mod in_memory {
            $(#[test] fn $program() {
                let store = experiments::InMemoryExperimentStore::new();
                super::on(store.with_operator(super::HANDLE), super::$program);
            })*
        }

        mod in_a_file {
            $(#[test] fn $program() {
                let directory = tempfile::tempdir().unwrap();
                let file = directory.path().join("experiments.db");
                let store = experiments::SqliteExperimentStore::open_or_create(file).unwrap();
                super::on(store.with_operator(super::HANDLE), super::$program);
            })*
        }

        mod in_a_database {
            use super::apply;

            $(#[apply(needs_postgres!)]
            fn $program() {
                let store = crate::givens::store(&crate::server::shared().database());
                super::on(store.with_operator(super::HANDLE), super::$program);
            })*
        }
    };
}

on_every_store! {
    a_store_keeps_configurations
    a_store_changes_states
    a_store_logs_the_operator_of_a_change_of_weights
    a_store_knows_its_actors
    a_store_looks_for_an_actor_in_a_group
    a_store_records_an_assignment
    a_service_takes_an_experiment_through_its_life
    a_service_shows_what_it_was_given
    a_service_assigns_in_an_async_program
}

fn a_store_keeps_configurations(store: &Arc<dyn ExperimentStore>) {
    let checkout = ExperimentConfig::new("checkout", halves())
        .description("One page")
        .exclusion_group("pay");
    store.upsert(checkout).unwrap();
    store
        .upsert(ExperimentConfig::new("banner", weights(1, 0)))
        .unwrap();

    let found: ExperimentConfig = store.get("checkout").unwrap().unwrap();
    assert_eq!(found.name, "checkout");
    assert_eq!(found.description.as_deref(), Some("One page"));
    assert_eq!(found.exclusion_group.as_deref(), Some("pay"));
    assert_eq!(found.state, ExperimentState::Draft);
    assert_eq!((found.variants, found.winner), (halves(), None));
    assert!(store.get("One page").unwrap().is_none());

    let all: Vec<ExperimentConfig> = store.list().unwrap();
    let names: Vec<&str> = all.iter().map(|config| config.name.as_str()).collect();
    assert_eq!(names, ["banner", "checkout"]);
}

fn a_store_changes_states(store: &Arc<dyn ExperimentStore>) {
    store
        .upsert(ExperimentConfig::new("checkout", halves()))
        .unwrap();
    let now = || {
        let config = store.get("checkout").unwrap().unwrap();
        (config.state, config.winner)
    };
    store
        .set_state("checkout", ExperimentState::Running, None)
        .unwrap();
    assert_eq!(now(), (ExperimentState::Running, None));
    store
        .set_state("checkout", ExperimentState::Concluded, Some("treatment"))
        .unwrap();
    let winner = Some("treatment".to_owned());
    assert_eq!(now(), (ExperimentState::Concluded, winner));
}

fn a_store_logs_the_operator_of_a_change_of_weights(store: &Arc<dyn ExperimentStore>) {
    store
        .upsert(ExperimentConfig::new("checkout", halves()))
        .unwrap();
    store
        .set_variants("checkout", weights(10, 90), Some("ann"))
        .unwrap();
    store.set_variants("checkout", weights(0, 1), None).unwrap();
    let config = store.get("checkout").unwrap().unwrap();
    assert_eq!(config.variants, weights(0, 1));

    let newest = store.history("checkout", 2).unwrap();
    let told: Vec<_> = newest
        .iter()
        .map(|change| (change.mutation.as_str(), change.actor.as_deref()))
        .collect();
    let expected = [("set_weights", Some(HANDLE)), ("set_weights", Some("ann"))];
    assert_eq!(told, expected);
    assert_eq!(newest[0].experiment, "checkout");
    assert!(newest[0].timestamp_secs >= newest[1].timestamp_secs);
    assert_eq!(store.history("checkout", 0).unwrap().len(), 3);
}

fn a_store_knows_its_actors(store: &Arc<dyn ExperimentStore>) {
    let service = ExperimentService::new(store.clone());
    service
        .create(ExperimentConfig::new("checkout", halves()))
        .unwrap();
    service.start("checkout").unwrap();
    assert!(store.get_assignment("checkout", "qa:7").unwrap().is_none());
    assert!(store.get_override("checkout", "qa:7").unwrap().is_none());

    store.set_override("checkout", "qa:7", "treatment").unwrap();
    let overridden: Option<String> = store.get_override("checkout", "qa:7").unwrap();
    assert_eq!(overridden.as_deref(), Some("treatment"));

    assert_eq!(service.assign("checkout", "qa:7").unwrap(), "treatment");
    let assigned = store.get_assignment("checkout", "qa:7").unwrap().unwrap();
    assert_eq!(assigned.experiment, "checkout");
    assert_eq!(assigned.actor, "qa:7");
    assert_eq!(assigned.variant, "treatment");
    assert!(assigned.is_override && assigned.assigned_at_secs > 0);
}

fn a_store_records_an_assignment(store: &Arc<dyn ExperimentStore>) {
    let service = ExperimentService::new(store.clone());
    service
        .create(ExperimentConfig::new("checkout", halves()))
        .unwrap();
    service.start("checkout").unwrap();
    let assignment = |variant: &str, is_override| Assignment {
        experiment: "checkout".to_owned(),
        actor: "user:1".to_owned(),
        variant: variant.to_owned(),
        is_override,
        assigned_at_secs: 1,
    };
    let first: String = store
        .record_assignment(assignment("treatment", false))
        .unwrap();
    assert_eq!(first, "treatment");
    let second = store
        .record_assignment(assignment("control", false))
        .unwrap();
    assert_eq!(second, "treatment");
    let overridden = store
        .record_assignment(assignment("control", true))
        .unwrap();
    assert_eq!(overridden, "control");
    let stored = store.get_assignment("checkout", "user:1").unwrap().unwrap();
    assert_eq!((&*stored.variant, stored.is_override), ("control", true));
}

/// Actor, group, and the experiment that is left out are texts all three: no two of them can change places
/// without another answer.
fn a_store_looks_for_an_actor_in_a_group(store: &Arc<dyn ExperimentStore>) {
    let service = ExperimentService::new(store.clone());
    for name in ["checkout", "upsell"] {
        let config = ExperimentConfig::new(name, halves()).exclusion_group("pay");
        service.create(config).unwrap();
        service.start(name).unwrap();
    }
    service.assign("checkout", "user:1").unwrap();

    let is_there = |actor, group, exclude_experiment| {
        let found = store.has_assignment_in_group(actor, group, exclude_experiment);
        found.unwrap()
    };
    assert!(is_there("user:1", "pay", "upsell"));
    assert!(!is_there("user:1", "pay", "checkout"));
    assert!(!is_there("user:2", "pay", "upsell"));
    assert!(!is_there("user:1", "other", "upsell"));
}

fn a_service_takes_an_experiment_through_its_life(store: &Arc<dyn ExperimentStore>) {
    let service = ExperimentService::new(store.clone());
    service.preload().unwrap();
    service
        .create(ExperimentConfig::new("checkout", halves()))
        .unwrap();
    assert!(matches!(
        service.assign("checkout", "user:1"),
        Err(ExperimentError::NotRunning(name, ExperimentState::Draft)) if name == "checkout"
    ));
    service.start("checkout").unwrap();
    service
        .set_weights("checkout", weights(0, 100), Some("ann"))
        .unwrap();
    assert_eq!(service.assign("checkout", "user:1").unwrap(), "treatment");
    service
        .set_weights("checkout", weights(100, 0), None)
        .unwrap();
    assert_eq!(service.assign("checkout", "user:2").unwrap(), "control");
    service
        .set_override("checkout", "user:3", "treatment")
        .unwrap();
    assert_eq!(service.assign("checkout", "user:3").unwrap(), "treatment");
    service.conclude("checkout", "control").unwrap();
    assert_eq!(service.assign("checkout", "user:1").unwrap(), "control");

    let config: ExperimentConfig = service.status("checkout").unwrap();
    assert_eq!(config.state, ExperimentState::Concluded);
    assert_eq!(config.winner.as_deref(), Some("control"));
    assert_eq!(config.variants, weights(100, 0));
    assert_eq!(service.list().unwrap().len(), 1);
    assert!(matches!(
        service.status("chekout"),
        Err(ExperimentError::NotFound(name)) if name == "chekout"
    ));

    service.archive("checkout").unwrap();
    assert!(matches!(
        service.assign("checkout", "user:1"),
        Err(ExperimentError::Archived(name)) if name == "checkout"
    ));
    let entries = service.history("checkout", 10).unwrap();
    let texts: Vec<&str> = entries.iter().map(|entry| &*entry.mutation).collect();
    let expected = [
        "state=archived",
        "concluded=control",
        "override=user:3:treatment",
        "set_weights",
        "set_weights",
        "state=running",
        "created",
    ];
    assert_eq!(texts, expected);
    assert_eq!(entries[3].actor.as_deref(), Some(HANDLE));
    assert_eq!(entries[4].actor.as_deref(), Some("ann"));
    assert_eq!(service.history("checkout", 1).unwrap().len(), 1);
}

fn a_service_shows_what_it_was_given(store: &Arc<dyn ExperimentStore>) {
    let (sink, records) = RecordingExposureSink::new();
    let sink: Arc<dyn ExposureSink> = Arc::new(sink);
    let service = ExperimentService::new(store.clone()).with_exposure_sink(sink);
    service
        .create(ExperimentConfig::new("checkout_v2", halves()))
        .unwrap();
    service.start("checkout_v2").unwrap();

    assert!(experiment_bucket("checkout_v2", "user:1") < 5_000);
    let variant = service.assign_with_request_id("checkout_v2", "user:1", Some("req-1"));
    assert_eq!(variant.unwrap(), "control");
    service
        .assign_with_request_id("checkout_v2", "user:1", None)
        .unwrap();
    let records: Vec<ExposureRecord> = records.lock().unwrap().clone();
    let ids: Vec<_> = records.iter().map(|r| r.request_id.as_deref()).collect();
    assert_eq!(ids, [Some("req-1"), None]);
    let shown = &records[0];
    assert_eq!(shown.experiment, "checkout_v2");
    assert_eq!((&*shown.variant, &*shown.actor), ("control", "user:1"));
    assert!(!shown.is_override && shown.timestamp_secs > 0);
}

fn a_service_assigns_in_an_async_program(store: &Arc<dyn ExperimentStore>) {
    let (sink, records) = RecordingExposureSink::new();
    let service = ExperimentService::new(store.clone()).with_exposure_sink(Arc::new(sink));
    service
        .create(ExperimentConfig::new("checkout_v2", halves()))
        .unwrap();
    service.start("checkout_v2").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let assigning = async {
        let request_id: Option<&str> = Some("req-1");
        let with_id = service.assign_async("checkout_v2", "user:2", request_id);
        let with_id = with_id.await?;
        let without = service.assign_async("checkout_v2", "user:2", None).await?;
        Ok::<_, ExperimentError>((with_id, without))
    };
    let (with_id, without) = runtime.block_on(assigning).unwrap();
    assert_eq!((&*with_id, &*without), ("treatment", "treatment"));
    let records = records.lock().unwrap();
    let ids: Vec<_> = records.iter().map(|r| r.request_id.as_deref()).collect();
    assert_eq!(ids, [Some("req-1"), None]);
}

/// A sink of the program's own.
struct Actors(Mutex<Vec<String>>);

impl ExposureSink for Actors {
    fn record(&self, exposure: ExposureRecord) {
        self.0.lock().unwrap().push(exposure.actor);
    }
}

/// A store and a sink in an `Arc`, of a type that is known or not, or neither in one.
#[test]
fn a_service_is_made_of_any_store_and_any_sink() {
    let concrete = Arc::new(InMemoryExperimentStore::new());
    let any: Arc<dyn ExperimentStore> = concrete.clone();
    let actors = Arc::new(Actors(Mutex::default()));
    let any_sink: Arc<dyn ExposureSink> = actors.clone();
    let services = [
        ExperimentService::new(Arc::new(InMemoryExperimentStore::new())),
        ExperimentService::new(InMemoryExperimentStore::new()),
        ExperimentService::new(concrete as Arc<dyn ExperimentStore>)
            .with_exposure_sink(Arc::new(NoOpExposureSink)),
        ExperimentService::new(any.clone()).with_exposure_sink(Arc::new(TracingExposureSink)),
        ExperimentService::new(Arc::clone(&any)).with_exposure_sink(actors.clone()),
        ExperimentService::new(any).with_exposure_sink(any_sink),
    ];
    for (index, service) in services.iter().enumerate() {
        // The last four share a store.
        if index < 3 {
            service
                .create(ExperimentConfig::new("checkout", halves()))
                .unwrap();
            service.start("checkout").unwrap();
        }
        service
            .assign("checkout", &format!("user:{index}"))
            .unwrap();
    }
    assert_eq!(*actors.0.lock().unwrap(), ["user:4", "user:5"]);
}

/// The handler of a page, with the extractor on the thread of the runtime and off it.
async fn page(exps: Experiments<FromExtension>) -> Result<String, ExperimentError> {
    let variant = exps.assign_async("checkout").await?;
    let again = exps.assign("checkout")?;
    let service: &ExperimentService = exps.service();
    let state = service.status("checkout")?.state;
    Ok(format!("{variant} {again} {state}"))
}

#[test]
fn a_handler_assigns_whoever_asks() {
    let (sink, records) = RecordingExposureSink::new();
    let service = ExperimentService::new(Arc::new(InMemoryExperimentStore::new()))
        .with_exposure_sink(Arc::new(sink));
    service
        .create(ExperimentConfig::new("checkout", weights(0, 1)))
        .unwrap();
    service.start("checkout").unwrap();
    let app = Router::new()
        .route("/", get(page))
        .layer(Extension(service))
        .layer(Extension(ExperimentActor("user:42".to_owned())));
    let server = Server::new(app);
    let answer = server.visitor().get_with("/", b"x-request-id: req-1");
    assert_eq!(answer.body, "treatment treatment running");
    let records = records.lock().unwrap();
    let seen: Vec<_> = records
        .iter()
        .map(|r| (&*r.actor, r.request_id.as_deref()))
        .collect();
    assert_eq!(seen, [("user:42", Some("req-1")); 2]);
}

/// The store of an application with several machines: it connects when it is first used, and hears of what
/// the others have changed.
#[apply(needs_postgres!)]
fn a_database_is_shared_by_machines() {
    let url = crate::server::shared().database();
    drop(crate::givens::store(&url));
    assert_eq!(PgExperimentStore::DEFAULT_CACHE_TTL, Duration::from_secs(1));

    let elsewhere = ExperimentService::new(Arc::new(PgExperimentStore::new(&url)));
    let store = Arc::new(PgExperimentStore::with_cache_ttl(
        url.clone(),
        Duration::from_millis(200),
    ));
    let _thread = PgExperimentStore::spawn_poll_listener(store.clone(), Duration::from_millis(20));
    let service = ExperimentService::new(store.clone());
    service.preload().unwrap();

    elsewhere
        .create(ExperimentConfig::new("checkout", halves()))
        .unwrap();
    elsewhere.start("checkout").unwrap();
    eventually("it is heard of", || {
        service.list().unwrap().first().map(|e| e.state) == Some(ExperimentState::Running)
    });
    assert_eq!(
        service.assign("checkout", "user:1").unwrap(),
        elsewhere.assign("checkout", "user:1").unwrap()
    );
    let errors: u64 = store.refresh_errors();
    assert_eq!(errors, 0);
}

/// An address that can't be read, and a server that isn't there, are errors of the first call.
#[test]
fn a_store_connects_when_it_is_first_used() {
    let store = PgExperimentStore::new("postgres://ann@/app?host=/nowhere");
    assert!(ExperimentService::new(Arc::new(store)).preload().is_err());
}
