//! The same program, word for word, against either crate: what docs/switching.md says is the same.

use std::sync::Arc;
use std::time::Duration;

use crate::database;

macro_rules! program {
    ($name:ident, $($library:ident)::+) => {
        #[test]
        fn $name() {
            use $($library)::+::pg::PgExperimentStore;
            use $($library)::+::{
                Assignment, ChangeRecord, ExperimentConfig, ExperimentError, ExperimentService,
                ExperimentState, ExperimentStore, ExposureRecord, ExposureSink,
                InMemoryExperimentStore, NoOpExposureSink, RecordingExposureSink,
                TracingExposureSink, VariantConfig, experiment_bucket,
            };

            struct Sink;
            impl ExposureSink for Sink {
                fn record(&self, exposure: ExposureRecord) {
                    assert_eq!(exposure.experiment, "e");
                }
            }

            fn administer(service: &ExperimentService) -> Result<(), ExperimentError> {
                let variants = vec![VariantConfig::new("a", 50), VariantConfig::new("b", 50)];
                let config = ExperimentConfig::new("e", variants)
                    .description("what for")
                    .exclusion_group("g");
                service.create(config)?;
                service.start("e")?;
                let variant: String = service.assign("e", "user:1")?;
                let again = service.assign_with_request_id("e", "user:1", Some("request"))?;
                assert_eq!(variant, again);
                service.set_override("e", "user:2", "b")?;
                assert_eq!(service.assign("e", "user:2")?, "b");
                let all: Vec<ExperimentConfig> = service.list()?;
                assert_eq!(all[0].state, ExperimentState::Running);
                assert_eq!(all[0].variants[1].weight, 50);
                service.conclude("e", "a")?;
                service.archive("e")?;
                let history: Vec<ChangeRecord> = service.history("e", 1)?;
                assert_eq!(history.len(), 1);
                assert!(matches!(service.assign("e", "user:1"), Err(ExperimentError::Archived(_))));
                assert!(matches!(service.start("f"), Err(ExperimentError::NotFound(_))));
                Ok(())
            }

            let memory: Arc<dyn ExperimentStore> = Arc::new(InMemoryExperimentStore::new());
            let (sink, exposures) = RecordingExposureSink::new();
            let service = ExperimentService::new(Arc::clone(&memory));
            service.preload().unwrap();
            administer(&service.clone().with_exposure_sink(Arc::new(sink))).unwrap();
            assert_eq!(exposures.lock().unwrap().len(), 3);
            let _ = service.clone().with_exposure_sink(Arc::new(TracingExposureSink));
            let _ = service.with_exposure_sink(Arc::new(NoOpExposureSink));

            let assigned: Option<Assignment> = memory.get_assignment("e", "user:1").unwrap();
            assert!(!assigned.unwrap().is_override);
            assert_eq!(memory.get_override("e", "user:2").unwrap().as_deref(), Some("b"));
            assert_eq!(memory.get("e").unwrap().unwrap().exclusion_group.as_deref(), Some("g"));
            assert_eq!(memory.list().unwrap().len(), 1);

            let store = Arc::new(PgExperimentStore::with_cache_ttl(
                database(),
                PgExperimentStore::DEFAULT_CACHE_TTL,
            ));
            let _ = PgExperimentStore::spawn_poll_listener(
                Arc::clone(&store),
                Duration::from_millis(100),
            );
            store.preload().unwrap();
            let service = ExperimentService::new(store.clone()).with_exposure_sink(Arc::new(Sink));
            administer(&service).unwrap();
            assert_eq!(store.refresh_errors(), 0);
            assert_eq!(experiment_bucket("checkout_v2", "user:1"), 4830);
        }
    };
}

program!(with_the_library, experiments);
program!(with_the_application, autumn_web::experiments);
