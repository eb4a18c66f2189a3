//! Connections: opened when needed, kept for the next call, never more than the options say.
//!
//! Our own, because `r2d2` goes on trying until its timeout and then tells of the timeout, where the
//! first refusal (a wrong password, an unknown database) is what a person needs to read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::ToSql;
use postgres::{Client, Row, Statement};
use tokio_postgres::Socket;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{self, Failure};
use super::migrations;
use super::options::PgOptions;
use super::tls;
use crate::bucketing::Allocation;
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::experiment::{ExperimentConfig, ExperimentState};

/// One connection, with the statements that were prepared on it.
pub(super) struct Connection {
    pub(super) client: Client,
    statements: HashMap<&'static str, Statement>,
    last_used: Instant,
    /// Whether another one has been lost since, and this one with it for all that is known.
    is_suspect: bool,
}

/// A connection that was used within this time is taken to be alive.
const RECENTLY: Duration = Duration::from_millis(100);

/// The values of a statement's parameters.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Connection {
    /// Whether the server has not closed it meanwhile, as far as is known here: it takes no round trip.
    /// A step that writes can't be repeated once it has been sent, so this is found out before.
    fn is_alive(&mut self) -> bool {
        if self.is_suspect || self.last_used.elapsed() > RECENTLY {
            // Has what arrived meanwhile read, the end of the stream included.
            let mut notifications = self.client.notifications();
            let mut arrived = notifications.timeout_iter(Duration::ZERO);
            loop {
                match arrived.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
        }
        !self.client.is_closed()
    }

    /// The statement, prepared on this connection the first time.
    pub(super) fn prepared(&mut self, sql: &'static str) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    pub(super) fn rows(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, postgres::Error> {
        let statement = self.prepared(sql)?;
        self.client.query(&statement, values)
    }

    pub(super) fn row(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Option<Row>, postgres::Error> {
        let statement = self.prepared(sql)?;
        self.client.query_opt(&statement, values)
    }

    pub(super) fn execute(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<u64, postgres::Error> {
        let statement = self.prepared(sql)?;
        self.client.execute(&statement, values)
    }
}

/// A running experiment as it was seen. The database says whether it is still like that.
pub(super) struct Known {
    pub(super) config: ExperimentConfig,
    pub(super) allocation: Allocation,
    pub(super) version: i64,
}

pub(super) struct Pool {
    options: PgOptions,
    known: RwLock<HashMap<String, Arc<Known>>>,
    /// Whether there was no answer to the last attempt at a connection.
    was_silent: AtomicBool,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    open: usize,
}

/// A connection on loan; it goes back when dropped, unless it is lost.
pub(super) struct Loan {
    pool: Arc<Pool>,
    /// `None` once it is known to be lost, and before it is opened.
    connection: Option<Connection>,
    /// Whether it has been used before, and so may have been closed by the server since.
    pub(super) is_used: bool,
}

impl Pool {
    pub(super) fn new(options: PgOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            known: RwLock::default(),
            was_silent: AtomicBool::new(false),
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    pub(super) fn options(&self) -> &PgOptions {
        &self.options
    }

    /// The experiment of that name, if it was seen running.
    pub(super) fn known(&self, experiment: &str) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(experiment).cloned()
    }

    /// Keeps what was seen, if it runs.
    pub(super) fn get_to_know(&self, config: &ExperimentConfig, version: i64) {
        let is_known = |known: &Arc<Known>| known.version == version;
        if config.state != ExperimentState::Running
            || self.known(&config.name).as_ref().is_some_and(is_known)
        {
            return;
        }
        let seen = Known {
            config: config.clone(),
            allocation: config.allocation(),
            version,
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(config.name.clone(), Arc::new(seen));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to a database whose schema this version works with.
    pub(super) fn get(self: &Arc<Self>) -> Result<Loan, ExperimentStoreError> {
        let timeout = self.options.connect_timeout;
        let loan = self.get_within(timeout)?;
        loan.ok_or_else(|| ExperimentStoreError::Unreachable {
            store: self.options.address().to_owned(),
            source: format!("all {} connections are in use", self.options.pool_size).into(),
        })
    }

    /// The same; `None` if all are in use for as long as that.
    pub(super) fn get_within(
        self: &Arc<Self>,
        timeout: Duration,
    ) -> Result<Option<Loan>, ExperimentStoreError> {
        let begun = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(connection) = state.idle.pop() {
                drop(state);
                let mut loan = Loan {
                    pool: Arc::clone(self),
                    connection: Some(connection),
                    is_used: true,
                };
                if loan.connection.as_mut().is_some_and(Connection::is_alive) {
                    return Ok(Some(loan));
                }
                loan.connection = None;
                drop(loan);
                state = self.state();
                continue;
            }
            if state.open < self.options.pool_size {
                state.open += 1;
                drop(state);
                // Counted, and given back if it can't be opened.
                let mut loan = Loan {
                    pool: Arc::clone(self),
                    connection: None,
                    is_used: false,
                };
                loan.connection = Some(self.open()?);
                return Ok(Some(loan));
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.freed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn open(&self) -> Result<Connection, ExperimentStoreError> {
        if self.was_silent.load(Ordering::Relaxed) {
            probe(&self.options)?;
        }
        let connected = connect_in_time(&self.options);
        self.was_silent
            .store(connected.is_none(), Ordering::Relaxed);
        let mut client = connected.unwrap_or_else(|| Err(no_answer(&self.options)))?;
        let failed = |error| failure::sort(&self.options, failure::CONNECT, error);
        let schema = migrations::inspect(&mut client).map_err(failed)?;
        require_usable(&self.options, schema)?;
        if schema.is_unfinished {
            let store = self.options.address().to_owned();
            return Err(ExperimentStoreError::Unfinished { store });
        }
        Ok(Connection {
            client,
            statements: HashMap::new(),
            last_used: Instant::now(),
            is_suspect: false,
        })
    }
}

/// Whether the schema is one that this version works with.
pub(super) fn require_usable(
    options: &PgOptions,
    schema: migrations::Schema,
) -> Result<(), ExperimentStoreError> {
    let store = options.address().to_owned();
    if schema.version == 0 && !schema.has_tables {
        return Err(ExperimentStoreError::Missing { store });
    }
    if schema.version < migrations::latest() {
        return Err(ExperimentStoreError::NotMigrated { store });
    }
    if schema.version > migrations::latest() {
        return Err(ExperimentStoreError::NewerSchema {
            store,
            found: schema.version.into(),
            supported: migrations::latest().into(),
        });
    }
    Ok(())
}

/// Opens a connection, whatever stands in the database.
pub(super) fn connect(options: &PgOptions) -> Result<Client, ExperimentStoreError> {
    connect_in_time(options).unwrap_or_else(|| Err(no_answer(options)))
}

/// `None` if there was no answer.
fn connect_in_time(options: &PgOptions) -> Option<Result<Client, ExperimentStoreError>> {
    // On a thread of its own: the client's timeout ends with the socket's connection, and whoever is
    // there may accept it and say nothing more.
    let (sender, receiver) = mpsc::channel();
    let dialling = options.clone();
    thread::spawn(move || drop(sender.send(dial(&dialling))));
    receiver.recv_timeout(options.opening_timeout()).ok()
}

fn dial(options: &PgOptions) -> Result<Client, ExperimentStoreError> {
    let connector = tls::connector(options)?;
    let attempt = |mode| {
        let config = postgres::Config::from(options.connection(mode));
        config.connect(connector.clone())
    };
    let (first, second) = options.effective_ssl_mode().attempts();
    let connected = match (attempt(first), second) {
        (Err(error), Some(second)) if failure::is_closed_way(&error) => attempt(second),
        (connected, _) => connected,
    };
    connected.map_err(|error| failure::sort(options, failure::CONNECT, error))
}

/// Whether the server lets us in, found out in a way that leaves nothing behind if it never answers: an
/// attempt by [`connect`] that is given up goes on until the other end closes it.
fn probe(options: &PgOptions) -> Result<(), ExperimentStoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ExperimentStoreError::Unreachable {
            store: options.address().to_owned(),
            source: error.into(),
        })?;
    let timeout = options.opening_timeout();
    let dialled =
        runtime.block_on(async { tokio::time::timeout(timeout, dial_async(options)).await });
    runtime.shutdown_background();
    match dialled {
        Ok(dialled) => dialled.map(drop),
        Err(_) => Err(no_answer(options)),
    }
}

fn no_answer(options: &PgOptions) -> ExperimentStoreError {
    let waited_secs = options.opening_timeout().as_secs_f32();
    ExperimentStoreError::Unreachable {
        store: options.address().to_owned(),
        source: format!("there was no answer within {waited_secs} s").into(),
    }
}

/// What has to be driven for the client to get anything.
pub(super) type Wire =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// The same on a runtime of the caller's.
pub(super) async fn dial_async(
    options: &PgOptions,
) -> Result<(tokio_postgres::Client, Wire), ExperimentStoreError> {
    let connector = tls::connector(options)?;
    let attempt = async |mode| options.connection(mode).connect(connector.clone()).await;
    let (first, second) = options.effective_ssl_mode().attempts();
    let connected = match (attempt(first).await, second) {
        (Err(error), Some(second)) if failure::is_closed_way(&error) => attempt(second).await,
        (connected, _) => connected,
    };
    connected.map_err(|error| failure::sort(options, failure::CONNECT, error))
}

impl Loan {
    /// Does something with the connection, and lets go of it if it was lost by that.
    pub(super) fn run<T>(
        &mut self,
        step: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(connection) = &mut self.connection else {
            return Err(Failure::Refused(ExperimentError::Store(
                ExperimentStoreError::Lost {
                    store: self.pool.options.address().to_owned(),
                    doing: "go on",
                },
            )));
        };
        let done = step(connection);
        if let Err(Failure::Postgres(error)) = &done
            && failure::is_lost(error)
        {
            self.connection = None;
            for idle in &mut self.pool.state().idle {
                idle.is_suspect = true;
            }
        }
        done
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // A panic may have left a transaction open, or its answer unread.
        let kept = self
            .connection
            .take()
            .filter(|connection| !thread::panicking() && !connection.client.is_closed());
        let mut state = self.pool.state();
        match kept {
            Some(mut connection) => {
                connection.last_used = Instant::now();
                connection.is_suspect = false;
                state.idle.push(connection);
            }
            None => state.open -= 1,
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}

/// Closing a connection waits for it, which must not happen on a worker of an async runtime, where
/// the last handle may well be dropped. Elsewhere it is waited for, as the process may end with it.
impl Drop for Pool {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.state().idle);
        if !idle.is_empty() {
            let closing = thread::spawn(move || drop(idle));
            if tokio::runtime::Handle::try_current().is_err() {
                let _ = closing.join();
            }
        }
    }
}

/// How long a lost connection is given to come back before the one repetition.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
