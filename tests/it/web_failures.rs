//! What a client of an axum application is told when something fails, and what only the log is.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, OnceLock};

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Router};
use experiments::web::status_of;
use experiments::{
    ConfigField, ConfigProblem, ExperimentError, ExperimentState, ExperimentStoreError, Field,
    PgExperimentStore, PgOptions, StoreLocation,
};
use tower_sessions::session::{Id, Record};
use tower_sessions::{SessionManagerLayer, SessionStore, session_store};
use tracing::field::{Field as TracingField, Visit};

use crate::browser::Server;
use crate::web;

const SECRET: &str = "/var/lib/secret.db";

/// Every error, and its status.
#[expect(clippy::too_many_lines, reason = "one entry for each error")]
fn errors() -> Vec<(u16, ExperimentError)> {
    use ExperimentError as E;
    use ExperimentStoreError as S;
    let name = || "checkout_v2".to_owned();
    let running = ExperimentState::Running;
    let (secret, doing) = (|| SECRET.to_owned(), "write");
    let store = || StoreLocation::Database(secret());
    let failures = [
        (500, S::Missing { store: store() }),
        (
            500,
            S::OrphanedWriteAheadLog {
                store: store(),
                log: secret(),
            },
        ),
        (
            500,
            S::NotAStore {
                store: store(),
                found: secret(),
            },
        ),
        (
            500,
            S::NewerSchema {
                store: store(),
                found: 2,
                supported: 1,
            },
        ),
        (
            503,
            S::Busy {
                store: store(),
                waited_secs: 5,
            },
        ),
        (500, S::ReadOnly { store: store() }),
        (
            500,
            S::Corrupt {
                store: store(),
                found: secret(),
            },
        ),
        (500, S::Address { problem: secret() }),
        (500, S::NotMigrated { store: store() }),
        (
            500,
            S::Denied {
                store: store(),
                doing,
                reason: secret(),
            },
        ),
        (
            503,
            S::Lost {
                store: store(),
                doing,
                reason: None,
            },
        ),
        (
            500,
            S::Backend {
                store: store(),
                doing,
                source: "the deepest cause".into(),
            },
        ),
    ];
    let unknown = E::UnknownVariant {
        experiment: name(),
        variant: name(),
        known: vec![],
    };
    let invalid = E::InvalidConfig {
        experiment: name(),
        problem: ConfigProblem::Empty(Field::Config(ConfigField::Name)),
    };
    let in_use = E::VariantInUse {
        experiment: name(),
        variant: name(),
        weight: Some(1),
        others: vec![],
    };
    let mut errors = vec![
        (404, E::NotFound(name())),
        (410, E::Archived(name())),
        (409, E::NotRunning(name(), ExperimentState::Draft)),
        (409, E::Concluded(name())),
        (409, E::AlreadyExists(name(), running)),
        (409, E::ExcludedByGroup(name(), name())),
        (409, E::NoVariant(name())),
        (409, E::NoWinner(name())),
        (409, E::GroupInUse(name())),
        (409, E::ChangedMeanwhile(name())),
        (409, E::DeletedMeanwhile(name())),
        (409, in_use),
        (422, unknown),
        (422, invalid),
    ];
    errors.extend(failures.map(|(status, failure)| (status, E::Store(failure))));
    errors
}

async fn fail(State(position): State<usize>) -> Result<(), ExperimentError> {
    Err(errors().remove(position).1)
}

#[test]
fn every_error_has_its_status_and_tells_nothing_of_the_store() {
    let logged = log();
    let app = (0..errors().len()).fold(Router::new(), |app, position| {
        let route = get(fail).with_state(position);
        app.route(&format!("/{position}"), route)
    });
    let server = Server::new(app);
    for (position, (status, error)) in errors().into_iter().enumerate() {
        let answer = server.visitor().get(&format!("/{position}"));
        assert_eq!(answer.status, status, "{error}");
        assert_eq!(status_of(&error).as_u16(), status);
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("text/plain; charset=utf-8"));
        if matches!(error, ExperimentError::Store(_)) {
            assert_eq!(answer.body, "the store of the experiments failed");
            let logged = logged.lock().unwrap();
            assert!(logged.iter().any(|line| line.contains(&error.to_string())));
        } else {
            assert_eq!(answer.body, error.to_string());
        }
    }
    let logged = logged.lock().unwrap();
    assert!(logged.iter().any(|line| line.contains("the deepest cause")));
}

#[test]
fn an_unreachable_database_may_be_back_later() {
    let no_socket = tempfile::tempdir().unwrap();
    let url = format!("postgres:///d?user=ann&host={}", no_socket.path().display());
    let options = PgOptions::parse(&url).unwrap();
    let error = PgExperimentStore::open_or_create(options).err().unwrap();
    assert_eq!(status_of(&error.into()).as_u16(), 503);
}

#[derive(Debug, Clone)]
struct BrokenSessions;

#[async_trait::async_trait]
impl SessionStore for BrokenSessions {
    async fn save(&self, _: &Record) -> session_store::Result<()> {
        Err(session_store::Error::Backend("no save".to_owned()))
    }

    async fn load(&self, _: &Id) -> session_store::Result<Option<Record>> {
        Err(session_store::Error::Backend("redis://hidden".to_owned()))
    }

    async fn delete(&self, _: &Id) -> session_store::Result<()> {
        Err(session_store::Error::Backend("no delete".to_owned()))
    }
}

#[test]
fn a_failed_session_is_logged_and_not_told() {
    let logged = log();
    let layer = SessionManagerLayer::new(BrokenSessions);
    let server = Server::new(web::bare().layer(Extension(web::service())).layer(layer));
    let mut visitor = server.visitor();
    let cookie = ("id".to_owned(), Id::default().to_string());
    visitor.cookies.extend([cookie]);
    let answer = visitor.get("/");
    assert_eq!((answer.status, &*answer.body), (503, "the session failed"));
    let logged = logged.lock().unwrap();
    assert!(
        logged
            .iter()
            .any(|line| { line.contains("the session failed") && line.contains("redis://hidden") })
    );
}

type Lines = Arc<Mutex<Vec<String>>>;

/// The events of level ERROR of this whole process, from the first call on. A subscriber of one thread
/// would miss those of another.
fn log() -> Lines {
    static LOG: OnceLock<Lines> = OnceLock::new();
    let lines = LOG.get_or_init(|| {
        let lines = Lines::default();
        tracing::subscriber::set_global_default(Errors(Arc::clone(&lines))).unwrap();
        // A place that was asked between the two halves of this would stay silent.
        tracing::callsite::rebuild_interest_cache();
        lines
    });
    Arc::clone(lines)
}

struct Errors(Lines);

impl tracing::Subscriber for Errors {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == tracing::Level::ERROR
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &TracingField, value: &str) {
        let _ = write!(self.0, "{field}={value} ");
    }

    fn record_debug(&mut self, field: &TracingField, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}
