//! Experiments in an axum application: the extractor [`Experiments`] finds out who asks, assigns off the
//! runtime, and an [`ExperimentError`] is a response with the [right status](status_of).
//!
//! ```
//! use axum::{Router, routing::get};
//! use experiments::{ExperimentError, ExperimentService, Experiments, InMemoryExperimentStore};
//! use tower_sessions::{MemoryStore, SessionManagerLayer};
//!
//! async fn page(exps: Experiments) -> Result<String, ExperimentError> {
//!     let variant = exps.assign_async("checkout_v2").await?;
//!     Ok(format!("{} sees {variant}", exps.actor()))
//! }
//!
//! let service = ExperimentService::new(InMemoryExperimentStore::new());
//! let app: Router = Router::new()
//!     .route("/", get(page))
//!     .layer(SessionManagerLayer::new(MemoryStore::default()))
//!     .with_state(service);
//! ```
//!
//! # What a variant stands for
//! Where the variants have values, a page need not know their names:
//!
//! ```
//! use axum::Json;
//! use experiments::{ExperimentError, Experiments};
//! use serde_json::Value;
//!
//! async fn theme(exps: Experiments) -> Result<Json<Option<Value>>, ExperimentError> {
//!     let assigned = exps.decide_async("theme").await?;
//!     Ok(Json(assigned.value)) // {"colour":"green","columns":3}
//! }
//! ```
//!
//! # Who asks
//! The first of these that gives an actor:
//!
//! 1. the request's extension [`ExperimentActor`], which a middleware of the application sets;
//! 2. the user in the `tower-sessions` session, under the key `user_id` or that of
//!    [`ExperimentSession`]: a text as it is, a number as its decimal text;
//! 3. an anonymous id, `anon:` and 128 random bits, kept in the session under [`ANONYMOUS_KEY`] or that
//!    of [`ExperimentSession`].
//!
//! An empty or blank actor in 1 or 2 stands for nobody and is passed over: otherwise everybody whose
//! login left an empty field would be one visitor.
//!
//! The anonymous id is written to the session when it is first needed, so the layer sets its cookie, and
//! the next request has the same id. It does not depend on the session's own id: it outlives
//! [`cycle_id`](tower_sessions::Session::cycle_id) at login, and is the actor again after logout. It ends
//! with the session; the layer's `with_expiry` says when that is. The layer saves no session when the
//! response is a server error, and of two first requests at the same moment each makes its own session.
//!
//! # State or extension
//! [`Experiments`] takes the service from the router's state: the state is an
//! [`ExperimentService`], or implements [`FromRef`] for it, and a state without
//! one does not compile. `Experiments<FromExtension>` takes it from an `Extension(service)` layer in
//! applications whose state is not theirs to change; without the layer the response is a 500 that says so.

mod actor;
mod response;

use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

pub use self::actor::{ANONYMOUS_KEY, ExperimentActor, ExperimentSession};
pub use self::response::{ExperimentsRejection, status_of};
use crate::assignment::Assigned;
use crate::error::ExperimentError;
use crate::service::ExperimentService;
use crate::validation::request_id_problem;

/// The header whose value is the request id of an exposure.
const REQUEST_ID: &str = "x-request-id";

/// The service is part of the router's state. See [`Experiments`].
#[derive(Debug, Clone, Copy)]
pub enum FromState {}

/// The service is an extension of the request. See [`Experiments`].
#[derive(Debug, Clone, Copy)]
pub enum FromExtension {}

/// The experiments, for the actor who made this request. An extractor; [the module](self) says how it
/// finds the actor.
///
/// `F` says where the service comes from: [`FromState`] or [`FromExtension`].
///
/// The exposures carry the request's header `x-request-id`. A value that a store can't hold (not UTF-8,
/// or longer than [`MAX_ACTOR_BYTES`](crate::MAX_ACTOR_BYTES)) or that is blank counts as absent, so that
/// no client can make a page fail with it.
#[derive(Debug, Clone)]
pub struct Experiments<F = FromState> {
    service: ExperimentService,
    actor: String,
    request_id: Option<String>,
    source: PhantomData<fn() -> F>,
}

impl<F> Experiments<F> {
    /// The actor's variant: assigned now, or as it was before. It runs on tokio's blocking pool.
    ///
    /// # Errors
    /// As [`ExperimentService::assign`].
    pub async fn assign_async(&self, experiment: &str) -> Result<String, ExperimentError> {
        self.service
            .assign_async(experiment, &self.actor, self.request_id.as_deref())
            .await
    }

    /// The same, with what the variant stands for: [`Assigned::value`]. It runs on tokio's blocking pool.
    ///
    /// # Errors
    /// As [`ExperimentService::assign`].
    pub async fn decide_async(&self, experiment: &str) -> Result<Assigned, ExperimentError> {
        self.service
            .decide_async(experiment, &self.actor, self.request_id.as_deref())
            .await
    }

    /// The actor's variant, on the thread that calls: a store that waits for a disk or a database keeps a worker
    /// of the runtime from everything else meanwhile. In an async handler call
    /// [`assign_async`](Self::assign_async).
    ///
    /// # Errors
    /// As [`ExperimentService::assign`].
    pub fn assign(&self, experiment: &str) -> Result<String, ExperimentError> {
        let request_id = self.request_id.as_deref();
        self.service
            .assign_with_request_id(experiment, &self.actor, request_id)
    }

    /// Who made this request.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The request's id, if it has one that a store can hold.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The service. Its own methods block, all but the `async` ones: call them within
    /// `tokio::task::spawn_blocking`.
    #[must_use]
    pub fn service(&self) -> &ExperimentService {
        &self.service
    }

    async fn new(service: ExperimentService, parts: &Parts) -> Result<Self, ExperimentsRejection> {
        Ok(Self {
            service,
            actor: actor::of(&parts.extensions).await?,
            request_id: request_id(&parts.headers),
            source: PhantomData,
        })
    }
}

impl<S> FromRequestParts<S> for Experiments<FromState>
where
    S: Send + Sync,
    ExperimentService: FromRef<S>,
{
    type Rejection = ExperimentsRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Self::new(ExperimentService::from_ref(state), parts).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Experiments<FromExtension> {
    type Rejection = ExperimentsRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let service = parts.extensions.get().cloned();
        let service = service.ok_or(ExperimentsRejection::MissingService)?;
        Self::new(service, parts).await
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(REQUEST_ID)?;
    let id = std::str::from_utf8(value.as_bytes()).ok()?;
    let is_usable = !id.trim().is_empty() && request_id_problem(id).is_none();
    is_usable.then(|| id.to_owned())
}
