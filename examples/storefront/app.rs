//! The application: one page with an experiment on its button, and sessions in memory.

use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use experiments::{
    ExperimentConfig, ExperimentError, ExperimentService, Experiments, InMemoryExperimentStore,
    VariantConfig,
};
use serde::Deserialize;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

const EXPERIMENT: &str = "checkout_v2";

/// A service in memory, with the experiment of the page running in it.
///
/// # Errors
/// The store refuses; one in memory that is new does not.
pub(crate) fn service() -> Result<ExperimentService, ExperimentError> {
    let service = ExperimentService::new(InMemoryExperimentStore::new());
    service.create(ExperimentConfig::new(
        EXPERIMENT,
        vec![
            VariantConfig::new("control", 50),
            VariantConfig::new("treatment", 50),
        ],
    ))?;
    service.start(EXPERIMENT)?;
    Ok(service)
}

/// The storefront on this service.
pub(crate) fn app(service: ExperimentService) -> Router {
    // Without `with_secure(false)` a browser sends the cookie over https only.
    let sessions = SessionManagerLayer::new(MemoryStore::default()).with_secure(false);
    Router::new()
        .route("/", get(page))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/forget", post(forget))
        .layer(sessions)
        .with_state(service)
}

async fn page(exps: Experiments) -> Result<Html<String>, ExperimentError> {
    let variant = exps.assign_async(EXPERIMENT).await?;
    let button = match variant.as_str() {
        "treatment" => "Buy now, pay later",
        _ => "Proceed to checkout",
    };
    Ok(Html(format!(
        r#"<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Storefront</title>
<style>
  body {{ font: 1rem/1.5 sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }}
  form {{ margin: .5rem 0 }}
</style>
<h1>Storefront</h1>
<p><button>{button}</button></p>
<p>You are <code id="actor">{actor}</code>, and in {EXPERIMENT} you get
  <strong id="variant">{variant}</strong>. Reload: it stays.</p>
<form method="post" action="/login">
  <label>Log in as <input name="user" value="user:1" required></label> <button>Log in</button>
</form>
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/forget"><button>Be a new visitor</button></form>
</html>
"#,
        actor = escaped(exps.actor()),
        variant = escaped(&variant),
    )))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn log_in(session: Session, Form(login): Form<Login>) -> Result<Redirect, StatusCode> {
    // A new id, so that nobody who knew the old one is logged in with it.
    session.cycle_id().await.map_err(unavailable)?;
    let kept = session.insert("user_id", login.user).await;
    kept.map_err(unavailable)?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, StatusCode> {
    let removed = session.remove_value("user_id").await;
    removed.map_err(unavailable)?;
    Ok(Redirect::to("/"))
}

async fn forget(session: Session) -> Result<Redirect, StatusCode> {
    session.flush().await.map_err(unavailable)?;
    Ok(Redirect::to("/"))
}

fn unavailable(_: tower_sessions::session::Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// Text as it may stand in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
