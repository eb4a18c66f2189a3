//! A store of one's own, outside the crate: everything in one JSON file, which each change replaces as a
//! whole while a lock keeps others out. Slow, short, and as correct as the stores that the crate brings: it
//! passes the same suite (`tests/it/custom_store.rs`).
//!
//! A store gathers facts and writes what the rules decide. It has no rule of its own.
//!
//! Try it: `cargo run --example custom_store`

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use experiments::lifecycle::{self, Mutation, MutationFacts, Write};
use experiments::store::Each;
use experiments::{
    AssignRequest, Assigned, Assignment, AssignmentRecord, ChangeRecord, ChangeScan, Clock,
    Expected, ExperimentConfig, ExperimentError, ExperimentService, ExperimentState,
    ExperimentStore, ExperimentStoreError, ExposureRecord, ExposureScan, Facts, Outcome,
    OutcomeScan, Override, Situation, StoreLocation, StoredOverride, StoredVariant, Tracked,
    Unassigned, VariantConfig, VariantCount, WeightPeriod,
};
use serde::{Deserialize, Serialize};

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("experiments.json");
    let service = ExperimentService::new(JsonStore::new(file).with_operator("ann"));
    let variants = vec![
        VariantConfig::new("control", 50),
        VariantConfig::new("treatment", 50),
    ];
    service.create(ExperimentConfig::new("checkout_v2", variants))?;
    service.start("checkout_v2")?;
    for actor in ["user:1", "user:2", "user:1"] {
        println!("{actor} gets {}", service.assign("checkout_v2", actor)?);
    }
    for change in service.history("checkout_v2", 0)? {
        println!("{} by {:?}", change.mutation, change.actor);
    }
    Ok(())
}

/// One experiment with all that belongs to it, but for its log, which outlives it.
#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    config: ExperimentConfig,
    periods: Vec<Period>,
    assignments: BTreeMap<String, AssignmentRecord>,
    overrides: BTreeMap<String, Override>,
    exposures: Vec<ExposureRecord>,
}

/// A period of weights.
#[derive(Clone, Serialize, Deserialize)]
struct Period {
    from_secs: u64,
    variants: Vec<VariantConfig>,
}

impl Entry {
    /// The number of the present period.
    fn present_period(&self) -> u32 {
        u32::try_from(self.periods.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Drops the actor's assignment if an override made it.
    fn drop_overridden(&mut self, actor: &str) {
        if self.assignments.get(actor).is_some_and(|a| a.is_override) {
            self.assignments.remove(actor);
        }
    }

    fn weight_periods(&self) -> Vec<WeightPeriod> {
        let count = |number, variant: &str, is_override| {
            let assignments = self.assignments.values().filter(|assignment| {
                assignment.weight_period == number
                    && assignment.variant == variant
                    && assignment.is_override == is_override
            });
            assignments.count() as u64
        };
        let periods = (0..).zip(&self.periods).map(|(number, period)| {
            let counts = period.variants.iter().map(|variant| VariantCount {
                variant: variant.name.clone(),
                assigned: count(number, &variant.name, false),
                overridden: count(number, &variant.name, true),
            });
            WeightPeriod {
                period: number,
                from_secs: period.from_secs,
                variants: period.variants.clone(),
                counts: counts.collect(),
            }
        });
        periods.collect()
    }
}

/// By the experiment's name, so that they are sorted.
type Entries = BTreeMap<String, Entry>;

/// All that is stored.
#[derive(Default, Serialize, Deserialize)]
struct Contents {
    entries: Entries,
    /// Oldest first.
    changes: Vec<ChangeRecord>,
    outcomes: Vec<Outcome>,
}

/// A store in one JSON file.
pub(crate) struct JsonStore {
    file: PathBuf,
    operator: Option<String>,
    clock: Clock,
}

impl JsonStore {
    /// The store in this file; it need not be there yet.
    pub(crate) fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            operator: None,
            clock: Clock::System,
        }
    }

    /// Has changes logged as this operator's.
    pub(crate) fn with_operator(mut self, operator: impl Into<String>) -> Self {
        self.operator = Some(operator.into());
        self
    }

    /// Takes the time from this clock.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the suite"))]
    pub(crate) fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Runs a step on all that is stored while nobody else changes it, and keeps what the step has made
    /// of it if it succeeds: a transaction.
    fn change<T>(
        &self,
        step: impl FnOnce(&mut Contents) -> Result<T, ExperimentError>,
    ) -> Result<T, ExperimentError> {
        let guard = File::create(self.file.with_extension("lock"));
        let guard = guard.and_then(|guard| guard.lock().map(|()| guard));
        let _guard = guard.map_err(|error| self.failed("lock", error))?;
        let mut contents = self.read()?;
        let done = step(&mut contents)?;
        self.replace(&contents)
            .map_err(|error| self.failed("write", error))?;
        Ok(done)
    }

    fn read(&self) -> Result<Contents, ExperimentError> {
        if !self.file.exists() {
            return Ok(Contents::default());
        }
        let text = fs::read(&self.file).map_err(|error| self.failed("read", error))?;
        serde_json::from_slice(&text).map_err(|error| self.failed("read", error))
    }

    fn entry(&self, experiment: &str) -> Result<Option<Entry>, ExperimentError> {
        Ok(self.read()?.entries.remove(experiment))
    }

    /// A reader finds the file of before or the whole new one. What a caller is told must survive a power
    /// cut, so the disk has it before the name does.
    fn replace(&self, contents: &Contents) -> Result<(), Box<dyn Error + Send + Sync>> {
        let next = self.file.with_extension("next");
        let mut written = File::create(&next)?;
        written.write_all(&serde_json::to_vec(contents)?)?;
        written.sync_all()?;
        fs::rename(next, &self.file)?;
        let directory = self.file.parent().filter(|path| *path != Path::new(""));
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    }

    fn failed(
        &self,
        doing: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> ExperimentError {
        let store = StoreLocation::File(self.file.clone());
        let source = source.into();
        ExperimentStoreError::Backend {
            store,
            doing,
            source,
        }
        .into()
    }

    /// Asks the rules, writes what they decide, and appends the change.
    fn apply(
        &self,
        contents: &mut Contents,
        mutation: &Mutation<'_>,
        operator: Option<&str>,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let name = mutation.experiment();
        let now = self.clock.now_secs();
        let Contents {
            entries, changes, ..
        } = contents;
        let current = entries.get(name);
        let facts = Changing {
            entries,
            current,
            now,
        };
        let config = current.map(|entry| &entry.config);
        let step = lifecycle::decide(mutation, config, &facts)?;
        let Some(step) = step else { return Ok(None) };
        let begins_period = step.begins_weight_period(config);
        match step.write {
            Write::Config(mut config) => {
                config.updated_at_secs = now;
                let period = Period {
                    from_secs: now,
                    variants: config.variants.clone(),
                };
                let entry = entries.entry(name.to_owned()).or_insert_with(|| Entry {
                    config: config.clone(),
                    periods: vec![period.clone()],
                    assignments: BTreeMap::new(),
                    overrides: BTreeMap::new(),
                    exposures: Vec::new(),
                });
                if begins_period {
                    entry.periods.push(period);
                }
                entry.config = config;
            }
            Write::SetOverride {
                new,
                drops_assignment,
            } => {
                let entry = known(entries, name)?;
                if drops_assignment {
                    entry.drop_overridden(&new.actor);
                }
                let operator = operator.map(str::to_owned);
                let overrides = &mut entry.overrides;
                overrides.insert(new.actor.clone(), Override { operator, ..new });
            }
            Write::ClearOverride { actor } => {
                let entry = known(entries, name)?;
                entry.overrides.remove(&actor);
                entry.drop_overridden(&actor);
            }
            Write::Delete => {
                entries.remove(name);
            }
            Write::Rename(to) => {
                if let Some(mut entry) = entries.remove(name) {
                    entry.config.name.clone_from(&to);
                    entry.config.updated_at_secs = now;
                    entries.insert(to.clone(), entry);
                }
                for change in changes.iter_mut().filter(|c| c.experiment == name) {
                    change.experiment.clone_from(&to);
                }
            }
        }
        let change = ChangeRecord {
            experiment: mutation.next_name().unwrap_or(name).to_owned(),
            mutation: step.mutation,
            actor: operator.map(str::to_owned),
            timestamp_secs: now,
            detail: Some(step.detail),
        };
        changes.push(change.clone());
        Ok(Some(change))
    }

    /// The entry of the log for what is no mutation.
    fn note(&self, experiment: &str, text: String, operator: Option<&str>) -> ChangeRecord {
        let operator = operator.or(self.operator.as_deref());
        ChangeRecord {
            experiment: experiment.to_owned(),
            mutation: text,
            actor: operator.map(str::to_owned),
            timestamp_secs: self.clock.now_secs(),
            detail: None,
        }
    }
}

fn known<'e>(entries: &'e mut Entries, name: &str) -> Result<&'e mut Entry, ExperimentError> {
    let entry = entries.get_mut(name);
    entry.ok_or_else(|| ExperimentError::NotFound(name.to_owned()))
}

/// What is stored of an actor, and that of the others in the group which counts by now.
fn situation(entries: &Entries, experiment: &str, actor: &str, now: u64) -> Situation {
    let mut situation = Situation::unknown(experiment, actor);
    situation.at_secs = now;
    let Some(entry) = entries.get(experiment) else {
        return situation;
    };
    situation.config = Some(entry.config.clone());
    situation.pinned = entry.overrides.get(actor).cloned();
    let stored = entry.assignments.get(actor).cloned();
    situation.assignment = stored.map(|stored| Assignment {
        experiment: stored.experiment,
        actor: stored.actor,
        variant: stored.variant,
        is_override: stored.is_override,
        assigned_at_secs: stored.assigned_at_secs,
    });
    if let Some(group) = &entry.config.exclusion_group {
        let mut others = entries.values().filter(|other| {
            other.config.name != experiment
                && other.config.exclusion_group.as_ref() == Some(group)
                && holds(other, actor, now)
        });
        situation.sibling = others.next().map(|other| other.config.name.clone());
    }
    situation
}

/// Whether an assignment of the actor counts by now.
fn holds(entry: &Entry, actor: &str, now: u64) -> bool {
    let pinned = entry.overrides.get(actor).map(|pinned| StoredOverride {
        variant: &pinned.variant,
        expires_at_secs: pinned.expires_at_secs,
    });
    let stored = entry.assignments.get(actor).map(|stored| StoredVariant {
        variant: &stored.variant,
        is_override: stored.is_override,
    });
    Facts::at(|| now, pinned, stored).stored.is_some()
}

/// What the rules of a change look at.
struct Changing<'e> {
    entries: &'e Entries,
    current: Option<&'e Entry>,
    now: u64,
}

impl MutationFacts for Changing<'_> {
    fn has_assignments(&self, variant: &str) -> Result<bool, ExperimentStoreError> {
        let mut assignments = self.current.iter().flat_map(|e| e.assignments.values());
        Ok(assignments.any(|assignment| assignment.variant == variant))
    }

    fn has_any_assignment(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.current.is_some_and(|e| !e.assignments.is_empty()))
    }

    fn override_of(&self, actor: &str) -> Result<Option<Override>, ExperimentStoreError> {
        let pinned = self.current.and_then(|entry| entry.overrides.get(actor));
        Ok(pinned.cloned())
    }

    fn has_any_override(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.current.is_some_and(|e| !e.overrides.is_empty()))
    }

    fn has_any_exposure(&self) -> Result<bool, ExperimentStoreError> {
        Ok(self.current.is_some_and(|e| !e.exposures.is_empty()))
    }

    fn state_of(&self, name: &str) -> Result<Option<ExperimentState>, ExperimentStoreError> {
        Ok(self.entries.get(name).map(|entry| entry.config.state))
    }

    fn now_secs(&self) -> u64 {
        self.now
    }
}

/// The places of the first exposures: of all with the same key the earliest, and of several in one second the one that
/// was kept first.
fn first_places<K: Ord>(
    exposures: &[ExposureRecord],
    key: impl Fn(&ExposureRecord) -> Option<K>,
) -> BTreeSet<usize> {
    let mut first = BTreeMap::new();
    for (place, exposure) in exposures.iter().enumerate() {
        if let Some(key) = key(exposure) {
            let this = (exposure.timestamp_secs, place);
            let known = first.entry(key).or_insert(this);
            *known = (*known).min(this);
        }
    }
    first.into_values().map(|(_, place)| place).collect()
}

impl ExperimentStore for JsonStore {
    fn get(&self, experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError> {
        Ok(self.entry(experiment)?.map(|entry| entry.config))
    }

    fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError> {
        let entries = self.read()?.entries;
        Ok(entries.into_values().map(|entry| entry.config).collect())
    }

    fn mutate_all(
        &self,
        expected: &[Expected<'_>],
        mutations: &[Mutation<'_>],
        operator: Option<&str>,
    ) -> Result<Vec<Option<ChangeRecord>>, ExperimentError> {
        let operator = operator.or(self.operator.as_deref());
        self.change(|contents| {
            for expected in expected {
                let found = contents.entries.get(expected.experiment);
                expected.verify(found.map(|entry| &entry.config))?;
            }
            let mutations = mutations.iter();
            mutations
                .map(|m| self.apply(contents, m, operator))
                .collect()
        })
    }

    fn assign(&self, request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError> {
        request.validate()?;
        let AssignRequest {
            experiment, actor, ..
        } = *request;
        self.change(|contents| {
            let entries = &mut contents.entries;
            let now = self.clock.now_secs();
            let situation = situation(entries, experiment, actor, now);
            let config = situation.known()?;
            let assigned = request.decide(config, &config.allocation(), situation.facts())?;
            let entry = known(entries, experiment)?;
            if assigned.stored {
                let assignment = AssignmentRecord {
                    experiment: experiment.to_owned(),
                    actor: actor.to_owned(),
                    variant: assigned.variant.clone(),
                    is_override: assigned.is_override,
                    assigned_at_secs: now,
                    weight_period: entry.present_period(),
                };
                entry.assignments.insert(actor.to_owned(), assignment);
            }
            let exposure = request.exposure_of(&assigned, self.clock);
            entry.exposures.extend(exposure);
            Ok(assigned)
        })
    }

    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError> {
        let now = self.clock.now_secs();
        Ok(situation(&self.read()?.entries, experiment, actor, now))
    }

    fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError> {
        let entry = self.entry(experiment)?.into_iter();
        Ok(entry.flat_map(|e| e.overrides.into_values()).collect())
    }

    fn changes(&self, scan: &ChangeScan<'_>) -> Result<Vec<ChangeRecord>, ExperimentError> {
        let newest_first = self.read()?.changes.into_iter().rev();
        let wanted = newest_first.filter(|change| {
            scan.experiment.is_none_or(|name| change.experiment == name)
                && change.timestamp_secs >= scan.since_secs
        });
        let limit = Some(scan.limit).filter(|limit| *limit > 0);
        Ok(wanted.take(limit.unwrap_or(usize::MAX)).collect())
    }

    fn record_exposure(&self, exposure: &ExposureRecord) -> Result<(), ExperimentError> {
        exposure.validate()?;
        self.change(|contents| {
            let entry = known(&mut contents.entries, &exposure.experiment)?;
            entry.config.require_variant(&exposure.variant)?;
            entry.exposures.push(exposure.clone());
            Ok(())
        })
    }

    /// What is shown was read before, so that others may write meanwhile. It is all in memory: a store of
    /// more than a few megabytes would do better.
    fn scan_assignments(
        &self,
        experiment: &str,
        each: Each<'_, AssignmentRecord>,
    ) -> Result<(), ExperimentError> {
        let entry = self.entry(experiment)?;
        let mut assignments = entry.iter().flat_map(|entry| entry.assignments.values());
        assignments.try_for_each(each)
    }

    fn scan_exposures(
        &self,
        experiment: &str,
        scan: &ExposureScan,
        each: Each<'_, ExposureRecord>,
    ) -> Result<(), ExperimentError> {
        let entry = self.entry(experiment)?;
        let Some(entry) = entry else { return Ok(()) };
        let is_late = |e: &ExposureRecord| e.timestamp_secs >= scan.since_secs;
        let first = first_places(&entry.exposures, |e| is_late(e).then(|| e.actor.clone()));
        let mut exposures = entry.exposures.iter().enumerate();
        exposures.try_for_each(|(place, exposure)| {
            if is_late(exposure) && (!scan.first_only || first.contains(&place)) {
                each(exposure)?;
            }
            Ok(())
        })
    }

    fn prune_exposures(
        &self,
        experiment: &str,
        before_secs: u64,
        operator: Option<&str>,
    ) -> Result<u64, ExperimentError> {
        self.change(|contents| {
            let entry = known(&mut contents.entries, experiment)?;
            let kept = entry.exposures.len();
            let first = first_places(&entry.exposures, |e| {
                Some((e.actor.clone(), e.variant.clone(), e.is_override))
            });
            let mut places = 0..;
            entry.exposures.retain(|e| {
                let is_first = places.next().is_some_and(|place| first.contains(&place));
                is_first || e.timestamp_secs >= before_secs
            });
            let pruned = (kept - entry.exposures.len()) as u64;
            if pruned > 0 {
                let note = self.note(experiment, lifecycle::pruned(pruned), operator);
                contents.changes.push(note);
            }
            Ok(pruned)
        })
    }

    fn unassign(
        &self,
        experiment: &str,
        actors: &[&str],
        operator: Option<&str>,
    ) -> Result<Unassigned, ExperimentError> {
        self.change(|contents| {
            let entry = known(&mut contents.entries, experiment)?;
            lifecycle::require_unassignable(&entry.config)?;
            let (assigned, shown) = (entry.assignments.len(), entry.exposures.len());
            let stays = |actor: &str| !actors.contains(&actor);
            entry.assignments.retain(|actor, _| stays(actor));
            entry.exposures.retain(|exposure| stays(&exposure.actor));
            let unassigned = Unassigned {
                assignments: (assigned - entry.assignments.len()) as u64,
                exposures: (shown - entry.exposures.len()) as u64,
            };
            if unassigned != Unassigned::default() {
                let text = lifecycle::unassigned(unassigned.assignments);
                contents.changes.push(self.note(experiment, text, operator));
            }
            Ok(unassigned)
        })
    }

    fn weight_periods(&self, experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError> {
        let entry = self.entry(experiment)?;
        Ok(entry.map_or_else(Vec::new, |entry| entry.weight_periods()))
    }

    fn track(&self, outcomes: &[Outcome]) -> Result<Tracked, ExperimentError> {
        outcomes.iter().try_for_each(Outcome::validate)?;
        self.change(|contents| {
            let mut tracked = Tracked::default();
            for outcome in outcomes {
                let is_same =
                    |kept: &Outcome| kept.metric == outcome.metric && kept.id == outcome.id;
                if outcome.id.is_some() && contents.outcomes.iter().any(is_same) {
                    tracked.repeated += 1;
                } else {
                    tracked.recorded += 1;
                    contents.outcomes.push(outcome.clone());
                }
            }
            Ok(tracked)
        })
    }

    fn scan_outcomes(
        &self,
        scan: &OutcomeScan<'_>,
        each: Each<'_, Outcome>,
    ) -> Result<(), ExperimentError> {
        let outcomes = self.read()?.outcomes;
        let mut wanted = outcomes.iter().filter(|outcome| {
            scan.metrics.is_empty() || scan.metrics.contains(&outcome.metric.as_str())
        });
        wanted.try_for_each(each)
    }

    fn clock(&self) -> Clock {
        self.clock
    }
}
