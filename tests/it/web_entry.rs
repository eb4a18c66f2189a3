//! Who enters, and what a variant stands for, as a handler sees it.

use axum::Router;
use axum::extract::{Json, Path};
use axum::routing::get;
use experiments::{
    Coverage, ExperimentActor, ExperimentConfig, ExperimentError, ExperimentService, Experiments,
    InMemoryExperimentStore, NoOpExposureSink, VariantConfig,
};
use serde_json::{Value, json};

use crate::browser::Server;

async fn value(
    Path(experiment): Path<String>,
    exps: Experiments,
) -> Result<Json<Option<Value>>, ExperimentError> {
    Ok(Json(exps.decide_async(&experiment).await?.value))
}

fn service() -> ExperimentService {
    let store = InMemoryExperimentStore::new();
    let service = ExperimentService::new(store).with_exposure_sink(NoOpExposureSink);
    let theme = json!({ "colour": "green", "columns": 3 });
    let config = ExperimentConfig::new("theme", vec![VariantConfig::new("a", 1)])
        .values([("a".to_owned(), theme)].into_iter().collect());
    service.create(config).unwrap();
    service.start("theme").unwrap();
    service
}

/// A server where everybody who asks is this actor.
fn server(service: &ExperimentService, actor: &str) -> Server {
    let app = Router::new()
        .route("/{experiment}", get(value))
        .layer(axum::Extension(ExperimentActor(actor.to_owned())));
    Server::new(app.with_state(service.clone()))
}

#[test]
fn a_handler_gets_the_value() {
    let server = server(&service(), "user:1");
    let answer = server.visitor().get("/theme");
    assert_eq!(answer.status, 200, "{answer:?}");
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(value, json!({ "colour": "green", "columns": 3 }));
}

#[test]
fn whoever_may_not_enter_is_told_so() {
    let service = service();
    let (old, new) = (server(&service, "old"), server(&service, "new"));
    assert_eq!(old.visitor().get("/theme").status, 200);
    let refused = |why: &str| {
        let answer = new.visitor().get("/theme");
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(answer.body.contains(why), "{answer:?}");
    };

    service.set_enrolling("theme", false).unwrap();
    refused("it is closed to newcomers");
    assert_eq!(old.visitor().get("/theme").status, 200);

    service.set_enrolling("theme", true).unwrap();
    let least = Coverage::of_10000(1).unwrap();
    service.set_coverage("theme", least).unwrap();
    refused("the actor is outside its coverage");
    assert_eq!(old.visitor().get("/theme").status, 200);

    service.pause("theme").unwrap();
    refused("it is paused");
    let answer = old.visitor().get("/theme");
    assert_eq!(answer.status, 409, "{answer:?}");
}
