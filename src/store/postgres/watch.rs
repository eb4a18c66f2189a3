//! The experiments in memory, for a server that asks for them with every request.
//!
//! One thread keeps them fresh: it reads them all when the database tells of a change (`LISTEN`), and
//! after a while in any case, as such a message can be lost on the way. While the database is away,
//! what was known last stays.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::experiments::{self, ALL};
use super::failure::Failure;
use super::options::PgOptions;
use super::pool;
use crate::error::ExperimentStoreError;
use crate::experiment::ExperimentConfig;

/// The pause after a first failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// However long the database has been away, and however seldom it is read otherwise.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is known, and since when.
struct Known {
    ticket: u64,
    read_at: Instant,
    experiments: BTreeMap<String, ExperimentConfig>,
}

/// What the thread and the handles share.
pub(super) struct Memory {
    known: RwLock<Known>,
    next_ticket: AtomicU64,
    failures: AtomicU64,
}

impl Memory {
    fn new(experiments: Vec<ExperimentConfig>) -> Self {
        Self {
            known: RwLock::new(Known {
                ticket: 0,
                read_at: Instant::now(),
                experiments: by_name(experiments),
            }),
            next_ticket: AtomicU64::new(1),
            failures: AtomicU64::new(0),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn get(&self, experiment: &str) -> Option<ExperimentConfig> {
        self.read(|known| known.experiments.get(experiment).cloned())
    }

    pub(super) fn list(&self) -> Vec<ExperimentConfig> {
        self.read(|known| known.experiments.values().cloned().collect())
    }

    pub(super) fn age(&self) -> Duration {
        self.read(|known| known.read_at.elapsed())
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Taken before the experiments are read.
    pub(super) fn ticket(&self) -> u64 {
        self.next_ticket.fetch_add(1, Ordering::SeqCst)
    }

    /// Keeps what was read, unless somebody has kept what was asked for later: what a handle has
    /// changed is not undone by what was read before.
    pub(super) fn keep(&self, ticket: u64, experiments: Vec<ExperimentConfig>) {
        let experiments = by_name(experiments);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if ticket > known.ticket {
            *known = Known {
                ticket,
                read_at: Instant::now(),
                experiments,
            };
        }
    }
}

fn by_name(experiments: Vec<ExperimentConfig>) -> BTreeMap<String, ExperimentConfig> {
    let named = experiments.into_iter();
    named.map(|config| (config.name.clone(), config)).collect()
}

/// The memory and the thread that keeps it fresh; the thread ends when this is dropped.
pub(super) struct Watch {
    pub(super) memory: Arc<Memory>,
    _until_dropped: oneshot::Sender<Infallible>,
}

impl Watch {
    pub(super) fn start(
        options: &PgOptions,
        experiments: Vec<ExperimentConfig>,
    ) -> Result<Self, ExperimentStoreError> {
        let failed = |error: std::io::Error| ExperimentStoreError::Backend {
            store: options.address().to_owned(),
            doing: "watch its experiments",
            source: error.into(),
        };
        let memory = Arc::new(Memory::new(experiments));
        let (until_dropped, dropped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (kept, options) = (Arc::clone(&memory), options.clone());
        thread::Builder::new()
            .name("exp-watch".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        never = keep_fresh(&kept, &options) => match never {},
                        _ = dropped => {}
                    }
                });
                // The lookup of a host's name may still be on its way; nobody waits for it.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self {
            memory,
            _until_dropped: until_dropped,
        })
    }
}

async fn keep_fresh(memory: &Memory, options: &PgOptions) -> Infallible {
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(error) = follow(memory, options, &mut pause).await;
        memory.count_failure();
        tracing::warn!(
            store = options.address(),
            error,
            "experiments_not_refreshed"
        );
        sleep(pause).await;
        pause = (pause * 2).min(options.refresh_interval.clamp(FIRST_PAUSE, LONGEST_PAUSE));
    }
}

/// Reads the experiments, again with each change and after each interval, until something fails.
async fn follow(
    memory: &Memory,
    options: &PgOptions,
    pause: &mut Duration,
) -> Result<Infallible, String> {
    let patience = options.opening_timeout();
    let in_time = |_| "there was no answer in time".to_owned();
    let told = |error: tokio_postgres::Error| error.to_string();
    let (client, connection) = timeout(patience, pool::dial_async(options))
        .await
        .map_err(in_time)?
        .map_err(|error| error.to_string())?;
    let (sender, mut changes) = mpsc::channel(1);
    tokio::spawn(listen(connection, sender));
    let mut is_listening = false;
    loop {
        if !is_listening {
            let listening = client.batch_execute("LISTEN autumn_experiments");
            match timeout(patience, listening).await.map_err(in_time)? {
                // A replica tells nobody anything, as long as it is one.
                Err(error) if error.as_db_error().is_some() => {
                    tracing::debug!(store = options.address(), %error, "experiments_not_listened_for");
                }
                listened => {
                    listened.map_err(told)?;
                    is_listening = true;
                }
            }
        }
        let ticket = memory.ticket();
        let read = read_all(&client, options.address());
        let experiments = timeout(patience, read).await.map_err(in_time)??;
        memory.keep(ticket, experiments);
        *pause = FIRST_PAUSE;
        tokio::select! {
            change = changes.recv() => change.ok_or("the connection was lost")?,
            () = sleep(options.refresh_interval) => {}
        }
    }
}

/// Passes on that something was changed, not what: what is waiting to be heard stands for all.
async fn listen(mut connection: pool::Wire, changes: mpsc::Sender<()>) {
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            let _ = changes.try_send(());
        }
    }
}

async fn read_all(client: &Client, store: &str) -> Result<Vec<ExperimentConfig>, String> {
    let rows = client.query(ALL, &[]).await;
    let rows = rows.map_err(|error| error.to_string())?;
    let configs = rows
        .iter()
        .map(|row| match experiments::stored(store, row) {
            Ok(stored) => Ok(stored.config),
            Err(Failure::Refused(error)) => Err(error.to_string()),
            Err(Failure::Postgres(error)) => Err(error.to_string()),
        });
    configs.collect()
}
