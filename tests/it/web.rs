//! The axum extractor, over real connections with real cookies.

use std::collections::HashSet;
use std::sync::{Mutex, mpsc};
use std::thread;

use axum::extract::Json;
use axum::routing::{get, post};
use axum::{Extension, Router};
use experiments::lifecycle::Mutation;
use experiments::store::Each;
use experiments::web::FromExtension;
use experiments::{
    AssignRequest, Assigned, AssignmentRecord, ChangeRecord, ChangeScan, Expected, ExperimentActor,
    ExperimentConfig, ExperimentError, ExperimentService, ExperimentSession, ExperimentStore,
    Experiments, ExposureRecord, ExposureScan, InMemoryExperimentStore, NoOpExposureSink, Outcome,
    OutcomeScan, Override, RecordingExposureSink, Situation, Tracked, Unassigned, WeightPeriod,
};
use serde_json::Value;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use crate::browser::{PATIENCE, Server, Visitor};

/// The application of `cargo run --example storefront`.
#[path = "../../examples/storefront/app.rs"]
mod storefront;

pub(crate) fn service() -> ExperimentService {
    let service = storefront::service().unwrap();
    service.with_exposure_sink(NoOpExposureSink)
}

/// What the page shows between the tags of this id.
fn shown<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\">")).unwrap();
    rest.split_once("</").unwrap().0
}

fn actor_and_variant(visitor: &mut Visitor) -> (String, String) {
    let answer = visitor.get("/");
    assert_eq!(answer.status, 200, "{answer:?}");
    let part = |id| shown(&answer.body, id).to_owned();
    (part("actor"), part("variant"))
}

#[test]
fn anonymous_visitors_are_distinct_and_stay_who_they_are() {
    let service = service();
    let server = Server::new(storefront::app(service.clone()));
    let mut actors = HashSet::new();
    for _ in 0..8 {
        let mut visitor = server.visitor();
        let first = visitor.get("/");
        assert!(first.header("set-cookie").is_some(), "{first:?}");
        let (actor, variant) = (shown(&first.body, "actor"), shown(&first.body, "variant"));
        assert_eq!(variant, service.assign("checkout_v2", actor).unwrap());
        // 128 bits in base64.
        assert_eq!(actor.strip_prefix("anon:").unwrap().len(), 22);

        for _ in 0..3 {
            let again = visitor.get("/");
            assert_eq!(shown(&again.body, "actor"), actor);
            assert_eq!(shown(&again.body, "variant"), variant);
            assert_eq!(again.header("set-cookie"), None);
        }
        actors.insert(actor.to_owned());
    }
    assert_eq!(actors.len(), 8);
}

#[test]
fn a_login_is_the_user_and_a_logout_the_visitor_of_before() {
    let service = service();
    let server = Server::new(storefront::app(service.clone()));
    let mut visitor = server.visitor();
    let before = actor_and_variant(&mut visitor);
    let old_cookies = visitor.cookies.clone();

    for user in ["user:1", "user:2"] {
        assert_eq!(visitor.post("/login", &format!("user={user}")).status, 303);
        assert_ne!(visitor.cookies, old_cookies, "the session has a new id");
        let expected = service.assign("checkout_v2", user).unwrap();
        let user = (user.to_owned(), expected);
        assert_eq!(actor_and_variant(&mut visitor), user);
    }
    visitor.post("/logout", "");
    assert_eq!(actor_and_variant(&mut visitor), before);
    visitor.post("/forget", "");
    assert!(visitor.cookies.is_empty());
    assert_ne!(actor_and_variant(&mut visitor).0, before.0);
}

#[test]
fn a_blank_login_stays_anonymous() {
    let server = Server::new(storefront::app(service()));
    let mut actors = HashSet::new();
    for blank in ["", "+", "%09%20"] {
        let mut visitor = server.visitor();
        visitor.post("/login", &format!("user={blank}"));
        actors.insert(actor_and_variant(&mut visitor).0);
    }
    assert_eq!(actors.len(), 3);
    assert!(actors.iter().all(|actor| actor.starts_with("anon:")));
}

#[test]
fn what_the_user_typed_is_text_in_the_page() {
    let server = Server::new(storefront::app(service()));
    let mut visitor = server.visitor();
    visitor.post("/login", "user=%3Cscript%3E%22%26");
    let page = visitor.get("/").body;
    assert_eq!(shown(&page, "actor"), "&lt;script&gt;&quot;&amp;");
}

async fn whoami(exps: Experiments<FromExtension>) -> String {
    exps.actor().to_owned()
}

/// Puts a JSON object's entries into the session.
async fn set(session: Session, Json(entries): Json<Value>) {
    for (key, value) in entries.as_object().unwrap() {
        session.insert_value(key, value.clone()).await.unwrap();
    }
}

/// An application of tests, without layers.
pub(crate) fn bare() -> Router {
    Router::new()
        .route("/", get(whoami))
        .route("/set", post(set))
}

fn sessions() -> SessionManagerLayer<MemoryStore> {
    SessionManagerLayer::new(MemoryStore::default())
}

/// Who a visitor is whose session holds this.
fn actor_with(server: &Server, entries: &str) -> (u16, String) {
    let mut visitor = server.visitor();
    let set = visitor.post_json("/set", entries);
    assert_eq!(set.status, 200, "{set:?}");
    let answer = visitor.get("/");
    (answer.status, answer.body)
}

#[test]
fn the_session_key_may_be_text_or_a_number() {
    let server = Server::new(bare().layer(Extension(service())).layer(sessions()));
    let actor = |entries: &str| actor_with(&server, entries);
    assert_eq!(actor(r#"{"user_id":"ann"}"#), (200, "ann".to_owned()));
    assert_eq!(actor(r#"{"user_id":42}"#), (200, "42".to_owned()));
    assert_eq!(actor(r#"{"user_id":-7}"#), (200, "-7".to_owned()));
    let largest = u64::MAX.to_string();
    assert_eq!(
        actor(&format!(r#"{{"user_id":{largest}}}"#)),
        (200, largest)
    );

    for nobody in [
        r#"{"user_id":null}"#,
        r#"{"user_id":" "}"#,
        r#"{"account":1}"#,
    ] {
        let (status, actor) = actor(nobody);
        assert_eq!(status, 200);
        assert!(actor.starts_with("anon:"), "{nobody}: {actor}");
    }
    for unusable in [
        r#"{"user_id":{"id":1}}"#,
        r#"{"user_id":[1]}"#,
        r#"{"user_id":true}"#,
    ] {
        let (status, body) = actor(unusable);
        assert_eq!(status, 500);
        assert!(
            body.contains("'user_id'") && body.contains("with_user_key"),
            "{body}"
        );
    }
}

#[test]
fn the_session_key_can_be_chosen() {
    let app = bare()
        .layer(Extension(service()))
        .layer(Extension(ExperimentSession::with_user_key("account")))
        .layer(sessions());
    let server = Server::new(app);
    let both = r#"{"account":7,"user_id":"ann"}"#;
    assert_eq!(actor_with(&server, both), (200, "7".to_owned()));
    let (_, other) = actor_with(&server, r#"{"user_id":"ann"}"#);
    assert!(other.starts_with("anon:"), "{other}");
}

/// What the session holds under the key that the body names.
async fn kept(session: Session, key: String) -> String {
    let kept = session.get::<String>(&key).await.unwrap();
    kept.unwrap_or_else(|| "nothing".to_owned())
}

/// An application of the Autumn framework keeps it there, and a switch makes nobody another visitor.
#[test]
fn the_anonymous_id_is_kept_where_the_reference_keeps_it() {
    let app = bare().route("/kept", post(kept));
    let server = Server::new(app.layer(Extension(service())).layer(sessions()));
    let before = r#"{"_autumn_anon_actor":"8c1b2f5e-64f4-4a8e-9d33-0f3f8a3f7f10"}"#;
    let same = "8c1b2f5e-64f4-4a8e-9d33-0f3f8a3f7f10".to_owned();
    assert_eq!(actor_with(&server, before), (200, same));

    let mut visitor = server.visitor();
    let actor = visitor.get("/").body;
    assert!(actor.starts_with("anon:"), "{actor}");
    assert_eq!(visitor.post("/kept", "_autumn_anon_actor").body, actor);
}

#[test]
fn the_anonymous_key_can_be_chosen() {
    let config = ExperimentSession::with_user_key("account").with_anonymous_key("visitor");
    assert_eq!(
        (config.user_key(), config.anonymous_key()),
        ("account", "visitor")
    );
    let app = bare()
        .route("/kept", post(kept))
        .layer(Extension(service()))
        .layer(Extension(config))
        .layer(sessions());
    let server = Server::new(app);
    let entries = r#"{"user_id":"ann","visitor":"v1","_autumn_anon_actor":"other"}"#;
    assert_eq!(actor_with(&server, entries), (200, "v1".to_owned()));
    assert_eq!(
        actor_with(&server, r#"{"account":"bob","visitor":"v1"}"#),
        (200, "bob".to_owned())
    );

    let mut visitor = server.visitor();
    let actor = visitor.get("/").body;
    assert_eq!(visitor.post("/kept", "visitor").body, actor);
    assert_eq!(visitor.post("/kept", "_autumn_anon_actor").body, "nothing");
}

#[test]
fn the_extension_goes_before_the_session() {
    let with = |actor: &str| {
        let actor = ExperimentActor(actor.to_owned());
        let app = bare().layer(Extension(service())).layer(Extension(actor));
        Server::new(app.layer(sessions()))
    };
    let user = r#"{"user_id":"ann"}"#;
    assert_eq!(
        actor_with(&with("token:9"), user),
        (200, "token:9".to_owned())
    );
    for blank in ["", " \t"] {
        assert_eq!(actor_with(&with(blank), user), (200, "ann".to_owned()));
    }
}

#[test]
fn the_extension_needs_no_session() {
    let actor = ExperimentActor("token:9".to_owned());
    let app = bare().layer(Extension(service())).layer(Extension(actor));
    assert_eq!(Server::new(app).visitor().get("/").body, "token:9");
}

#[test]
fn what_is_missing_is_named_with_its_fix() {
    let answer = Server::new(bare().layer(sessions())).visitor().get("/");
    assert_eq!(answer.status, 500);
    assert!(
        answer.body.contains(".layer(Extension(service))"),
        "{answer:?}"
    );

    let server = Server::new(bare().layer(Extension(service())));
    let answer = server.visitor().get("/");
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("SessionManagerLayer"), "{answer:?}");
}

#[test]
fn the_request_id_is_in_the_exposure_unless_it_is_none() {
    let (sink, exposures) = RecordingExposureSink::new();
    let service = storefront::service().unwrap().with_exposure_sink(sink);
    let server = Server::new(storefront::app(service));
    let mut visitor = server.visitor();
    let mut recorded = |header: &[u8]| {
        let answer = visitor.get_with("/", header);
        assert_eq!(answer.status, 200, "{answer:?}");
        let exposure = exposures.lock().unwrap().pop().unwrap();
        assert_eq!(exposure.actor, shown(&answer.body, "actor"));
        exposure.request_id
    };
    let id = |length: usize| format!("x-request-id: {}", "r".repeat(length)).into_bytes();

    assert_eq!(recorded(b"x-other: 1"), None);
    assert_eq!(recorded(b"x-request-id: req-1").as_deref(), Some("req-1"));
    let umlaut = "X-Request-Id: größe".as_bytes();
    assert_eq!(recorded(umlaut).as_deref(), Some("größe"));
    assert_eq!(recorded(&id(1024)).unwrap().len(), 1024);
    assert_eq!(recorded(&id(1025)), None);
    assert_eq!(recorded(b"x-request-id: \xff\xfe"), None);
    assert_eq!(recorded(b"x-request-id:  "), None);
}

/// Says when an assignment has come in, and holds it until it is told to go on.
struct HeldStore {
    inner: InMemoryExperimentStore,
    entered: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

macro_rules! inner {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> Result<$result, ExperimentError> {
            self.inner.$name($($arg),*)
        })*
    };
}

impl ExperimentStore for HeldStore {
    inner! {
        get(experiment: &str) -> Option<ExperimentConfig>;
        list() -> Vec<ExperimentConfig>;
        mutate_all(expected: &[Expected<'_>], mutations: &[Mutation<'_>], operator: Option<&str>)
            -> Vec<Option<ChangeRecord>>;
        overrides(experiment: &str) -> Vec<Override>;
        situation(experiment: &str, actor: &str) -> Situation;
        changes(scan: &ChangeScan<'_>) -> Vec<ChangeRecord>;
        record_exposure(exposure: &ExposureRecord) -> ();
        scan_assignments(experiment: &str, each: Each<'_, AssignmentRecord>) -> ();
        scan_exposures(experiment: &str, scan: &ExposureScan, each: Each<'_, ExposureRecord>) -> ();
        prune_exposures(experiment: &str, before_secs: u64, operator: Option<&str>) -> u64;
        unassign(experiment: &str, actors: &[&str], operator: Option<&str>) -> Unassigned;
        weight_periods(experiment: &str) -> Vec<WeightPeriod>;
        track(outcomes: &[Outcome]) -> Tracked;
        scan_outcomes(scan: &OutcomeScan<'_>, each: Each<'_, Outcome>) -> ();
    }

    fn assign(&self, request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError> {
        self.entered.send(()).unwrap();
        self.go_on
            .lock()
            .unwrap()
            .recv_timeout(PATIENCE * 2)
            .unwrap();
        self.inner.assign(request)
    }
}

#[test]
fn a_slow_store_does_not_hold_up_other_requests() {
    let (entered, has_entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let service = ExperimentService::new(HeldStore {
        inner: InMemoryExperimentStore::new(),
        entered,
        go_on: Mutex::new(may_go_on),
    });
    let config = self::service().list().unwrap().remove(0);
    service.create(config).unwrap();
    let app = storefront::app(service).route("/other", get(|| async { "answered" }));
    let server = Server::new(app);

    let mut visitor = server.visitor();
    let held = thread::spawn(move || visitor.get("/").status);
    has_entered.recv_timeout(PATIENCE).unwrap();
    assert_eq!(server.visitor().get("/other").body, "answered");
    assert!(!held.is_finished());
    go_on.send(()).unwrap();
    assert_eq!(held.join().unwrap(), 200);
}
