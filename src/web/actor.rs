//! Who made a request. What is then done for them is not known here.

use std::borrow::Cow;

use axum::http::Extensions;
use tower_sessions::Session;
use tower_sessions::session::Id;

use super::response::ExperimentsRejection;

/// The session's key under which an anonymous visitor's actor is kept, unless [`ExperimentSession`] names
/// another. The Autumn framework keeps it there, too, so that a program that takes over its sessions takes
/// over its visitors. Removing it from the session makes the visitor a new one.
pub const ANONYMOUS_KEY: &str = "_autumn_anon_actor";

/// The actor of a request, as an extension that the application sets once it knows who asks. It goes
/// before anything in the session, and needs no session. A blank one is passed over.
///
/// ```
/// use axum::{extract::Request, middleware::Next, response::Response};
/// use experiments::ExperimentActor;
///
/// /// For `axum::middleware::from_fn`.
/// async fn authenticate(mut request: Request, next: Next) -> Response {
///     let account = 4711; // from a token, say
///     request.extensions_mut().insert(ExperimentActor(format!("account:{account}")));
///     next.run(request).await
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentActor(pub String);

/// Where in the session the actor is, as an extension: the user under `user_id`, and the anonymous id
/// under [`ANONYMOUS_KEY`], if there is none.
///
/// ```
/// use axum::{Extension, Router};
/// use experiments::ExperimentSession;
///
/// let session = ExperimentSession::with_user_key("account").with_anonymous_key("visitor");
/// let app: Router = Router::new().layer(Extension(session));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentSession {
    user_key: Cow<'static, str>,
    anonymous_key: Cow<'static, str>,
}

impl ExperimentSession {
    /// The session holds the user under this key, as a text or a number.
    #[must_use]
    pub fn with_user_key(key: impl Into<Cow<'static, str>>) -> Self {
        Self {
            user_key: key.into(),
            anonymous_key: Cow::Borrowed(ANONYMOUS_KEY),
        }
    }

    /// The session keeps an anonymous visitor's actor under this key, as a text.
    #[must_use]
    pub fn with_anonymous_key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.anonymous_key = key.into();
        self
    }

    /// The key under which the session holds the user.
    #[must_use]
    pub fn user_key(&self) -> &str {
        &self.user_key
    }

    /// The key under which the session keeps an anonymous visitor's actor.
    #[must_use]
    pub fn anonymous_key(&self) -> &str {
        &self.anonymous_key
    }
}

impl Default for ExperimentSession {
    fn default() -> Self {
        Self::with_user_key("user_id")
    }
}

/// The actor of the request with these extensions.
pub(super) async fn of(extensions: &Extensions) -> Result<String, ExperimentsRejection> {
    if let Some(ExperimentActor(actor)) = extensions.get()
        && !is_blank(actor)
    {
        return Ok(actor.clone());
    }
    let session: &Session = extensions
        .get()
        .ok_or(ExperimentsRejection::MissingSession)?;
    let config: ExperimentSession = extensions.get().cloned().unwrap_or_default();
    match user(session, config.user_key()).await? {
        Some(user) => Ok(user),
        None => anonymous(session, config.anonymous_key()).await,
    }
}

async fn user(session: &Session, key: &str) -> Result<Option<String>, ExperimentsRejection> {
    let Some(value) = session.get_value(key).await? else {
        return Ok(None);
    };
    match value.as_str() {
        Some(text) => Ok(Some(text.to_owned()).filter(|text| !is_blank(text))),
        None if value.is_number() => Ok(Some(value.to_string())),
        None if value.is_null() => Ok(None),
        // Passing it over would silently make every user anonymous.
        None => Err(ExperimentsRejection::UnusableUser {
            key: key.to_owned(),
        }),
    }
}

async fn anonymous(session: &Session, key: &str) -> Result<String, ExperimentsRejection> {
    let kept = session.get_value(key).await?;
    if let Some(actor) = kept.as_ref().and_then(|value| value.as_str())
        && !is_blank(actor)
    {
        return Ok(actor.to_owned());
    }
    // The session's own id changes at login, and is a secret. A new id of its type is 128 bits of a
    // generator made for secrets.
    let actor = format!("anon:{}", Id::default());
    session.insert(key, &actor).await?;
    Ok(actor)
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}
