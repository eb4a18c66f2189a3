//! The experiments that a store has read, in one map, for all that may save a question: an assignment in a
//! running one is tried at once, and a watched store answers from it.
//!
//! Of two readings the one that was asked for later is the newer one, so that what a handle has changed is not
//! undone by what was read before; each takes a ticket before it asks. The database says in any case whether
//! an experiment that is tried is still as it was read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::experiments::Stored;
use crate::bucketing::Allocation;
use crate::experiment::{ExperimentConfig, ExperimentState};

/// An experiment as it was read.
pub(super) struct Remembered {
    pub(super) config: ExperimentConfig,
    pub(super) allocation: Allocation,
    /// Its `exp_version`.
    pub(super) version: i64,
    ticket: u64,
}

impl Remembered {
    fn new(config: ExperimentConfig, version: i64, ticket: u64) -> Arc<Self> {
        Arc::new(Self {
            allocation: config.allocation(),
            config,
            version,
            ticket,
        })
    }

    pub(super) fn is_running(&self) -> bool {
        self.config.state == ExperimentState::Running
    }
}

/// The last reading of all there are.
struct Whole {
    ticket: u64,
    read_at: Instant,
}

#[derive(Default)]
struct Experiments {
    by_name: BTreeMap<String, Arc<Remembered>>,
    /// `None` while nobody reads them all: then only the running ones that were met are here.
    whole: Option<Whole>,
}

#[derive(Default)]
pub(super) struct Memory {
    experiments: RwLock<Experiments>,
    last_ticket: AtomicU64,
    failures: AtomicU64,
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, Experiments> {
        self.experiments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Experiments> {
        self.experiments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The experiment of that name, if it ran when it was read, however long ago that is.
    pub(super) fn running(&self, experiment: &str) -> Option<Arc<Remembered>> {
        let known = self.read().by_name.get(experiment).cloned();
        known.filter(|known| known.is_running())
    }

    /// The experiment of that name, if all have been read and it was there.
    pub(super) fn get(&self, experiment: &str) -> Option<Arc<Remembered>> {
        let known = self.read();
        known.whole.as_ref()?;
        known.by_name.get(experiment).cloned()
    }

    /// All of them, if they have been read.
    pub(super) fn list(&self) -> Option<Vec<ExperimentConfig>> {
        let known = self.read();
        known.whole.as_ref()?;
        let all = known.by_name.values();
        Some(all.map(|known| known.config.clone()).collect())
    }

    /// How long ago all of them were read.
    pub(super) fn age(&self) -> Option<Duration> {
        let known = self.read();
        known.whole.as_ref().map(|whole| whole.read_at.elapsed())
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Taken before anything is read that may be kept.
    pub(super) fn ticket(&self) -> u64 {
        self.last_ticket.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Keeps one experiment that was met.
    pub(super) fn keep(&self, ticket: u64, config: &ExperimentConfig, version: i64) {
        let is_known = |known: &Arc<Remembered>| known.version == version;
        if self.read().by_name.get(&config.name).is_some_and(is_known) {
            return;
        }
        let met = Remembered::new(config.clone(), version, ticket);
        let mut known = self.write();
        let before = known.by_name.get(&config.name).map(|known| known.ticket);
        let before = before.max(known.whole.as_ref().map(|whole| whole.ticket));
        if before.is_some_and(|before| before > ticket) {
            return;
        }
        if known.whole.is_some() || met.is_running() {
            known.by_name.insert(config.name.clone(), met);
        } else {
            known.by_name.remove(&config.name);
        }
    }

    /// Keeps what was read of all, but for those of which something newer is known.
    pub(super) fn keep_all(&self, ticket: u64, experiments: Vec<Stored>) {
        let mut by_name: BTreeMap<_, _> = experiments
            .into_iter()
            .map(|stored| {
                let name = stored.config.name.clone();
                (name, Remembered::new(stored.config, stored.version, ticket))
            })
            .collect();
        let mut known = self.write();
        if let Some(whole) = &known.whole
            && whole.ticket > ticket
        {
            return;
        }
        let newer = std::mem::take(&mut known.by_name).into_iter();
        by_name.extend(newer.filter(|(_, known)| known.ticket > ticket));
        known.by_name = by_name;
        known.whole = Some(Whole {
            ticket,
            read_at: Instant::now(),
        });
    }

    /// Has callers ask the database until the experiments are read again.
    pub(super) fn forget(&self) {
        *self.write() = Experiments::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::VariantConfig;

    fn stored(name: &str, state: ExperimentState, version: i64) -> Stored {
        Stored {
            config: ExperimentConfig {
                state,
                ..ExperimentConfig::new(name, vec![VariantConfig::new("a", 1)])
            },
            version,
            is_unreadable: false,
        }
    }

    fn keep(memory: &Memory, ticket: u64, stored: &Stored) {
        memory.keep(ticket, &stored.config, stored.version);
    }

    #[test]
    fn what_was_asked_for_later_stays() {
        let memory = Memory::default();
        let [first, second, third, fourth] = [(); 4].map(|()| memory.ticket());
        let version = |name| memory.running(name).map(|known| known.version);
        let at = |name, version| stored(name, ExperimentState::Running, version);

        keep(&memory, third, &at("e", 3));
        keep(&memory, first, &at("e", 1));
        assert_eq!(version("e"), Some(3));
        // It is newer than one of two, and all there is.
        keep(&memory, first, &at("gone", 1));
        memory.keep_all(second, vec![at("e", 2), at("other", 2)]);
        assert_eq!((version("e"), version("other")), (Some(3), Some(2)));
        assert!(version("gone").is_none());
        keep(&memory, first, &at("gone", 1));
        assert!(version("gone").is_none());
        memory.keep_all(first, Vec::new());
        assert_eq!(memory.list().map(|all| all.len()), Some(2));
        memory.keep_all(fourth, Vec::new());
        assert!(version("e").is_none());
    }

    #[test]
    fn running_ones_are_known_before_all_are_read_and_answer_nothing() {
        let memory = Memory::default();
        let ticket = || memory.ticket();
        keep(&memory, ticket(), &stored("e", ExperimentState::Running, 1));
        keep(
            &memory,
            ticket(),
            &stored("draft", ExperimentState::Draft, 1),
        );
        assert!(memory.running("e").is_some());
        assert!(memory.get("e").is_none() && memory.list().is_none() && memory.age().is_none());

        let concluded = stored("e", ExperimentState::Concluded, 2);
        keep(&memory, ticket(), &concluded);
        assert!(memory.running("e").is_none());
        memory.keep_all(ticket(), vec![concluded]);
        assert!(memory.running("e").is_none());
        assert!(memory.get("e").is_some_and(|known| known.version == 2));
        assert!(memory.get("draft").is_none());
        memory.forget();
        assert!(memory.get("e").is_none());
    }
}
