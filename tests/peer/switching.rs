//! An application that takes our extractor in place of its own, as docs/switching.md shows it: nobody
//! becomes somebody else.

use std::path::Path;
use std::sync::Arc;

use autumn_web::AppState;
use autumn_web::test::{TestApp, TestClient};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use experiments::web::FromExtension;

use crate::database;
use crate::library::Library;
use crate::program::{Program, split};
use crate::server::client;

async fn theirs(experiments: autumn_web::experiments::Experiments) -> String {
    experiments.assign_async("e").await.unwrap()
}

async fn ours(experiments: experiments::Experiments<FromExtension>) -> String {
    experiments.assign_async("f").await.unwrap()
}

async fn log_in(session: autumn_web::session::Session) {
    session.insert("user_id", "user:42").await;
}

async fn log_out(session: autumn_web::session::Session) {
    session.remove("user_id").await;
}

fn app(library: &Library, url: &str) -> TestClient {
    let store = autumn_web::experiments::pg::PgExperimentStore::new(url);
    let its_own = autumn_web::experiments::ExperimentService::new(Arc::new(store));
    its_own.preload().unwrap();
    let router: Router<AppState> = Router::new()
        .route("/ours", get(ours))
        .layer(middleware::from_fn(peer::visitor::visitor))
        .layer(Extension(library.service.clone()))
        .route("/theirs", get(theirs))
        .route("/log-in", post(log_in))
        .route("/log-out", post(log_out));
    TestApp::new()
        .state_initializer(|state| state.insert_extension(its_own))
        .merge(router)
        .build()
}

/// Who is in the experiment.
fn actors(url: &str, experiment: &str) -> Vec<String> {
    let rows = client(url).query(
        "SELECT actor FROM autumn_experiment_assignments WHERE experiment = $1 ORDER BY id",
        &[&experiment],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn an_application_that_switches_keeps_its_visitors() {
    let url = database();
    let library = Library::open(&url);
    for name in ["e", "f"] {
        library
            .create(name, &split(&[("a", 1), ("b", 1)]), None)
            .unwrap();
        library.start(name).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for first in ["/theirs", "/ours"] {
            let visitor = app(&library, &url);
            let then = if first == "/ours" { "/theirs" } else { "/ours" };
            visitor.get(first).send().await.assert_ok();
            visitor.get(then).send().await.assert_ok();
            visitor.get(first).send().await.assert_ok();
            visitor.post("/log-in").send().await.assert_ok();
            visitor.get(then).send().await.assert_ok();
            visitor.get(first).send().await.assert_ok();
            visitor.post("/log-out").send().await.assert_ok();
            visitor.get(first).send().await.assert_ok();
            visitor.get(then).send().await.assert_ok();
        }
    });
    // Two anonymous visitors and the user, in either program's words.
    let (theirs, ours) = (actors(&url, "e"), actors(&url, "f"));
    assert_eq!(theirs, ours);
    assert_eq!(theirs.len(), 3);
    assert_eq!(theirs[1], "user:42");
}

#[test]
fn the_page_shows_what_is_run_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let page = read("../../docs/switching.md");
    let shown: Vec<&str> = page
        .split("```rust,ignore\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(shown, [read("visitor.rs")]);
}
