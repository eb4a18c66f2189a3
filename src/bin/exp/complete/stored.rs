//! Completers that look into the store. Where it can't be read, they have nothing to offer.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use experiments::metric::MetricKind;
use experiments::text::escape;
use experiments::{
    ExperimentConfig, ExperimentService, ExperimentState, PgExperimentStore, SqliteAccess,
    SqliteExperimentStore,
};

use super::typed::typed;
use crate::environment::{self, NamedStore};

/// How long a completion waits for a store: nobody who pressed Tab waits for long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Completes the name of an experiment.
pub(crate) fn experiments() -> ArgValueCompleter {
    experiments_where(|_| true)
}

/// Completes the name of an experiment in one of these states.
pub(crate) fn experiments_in(states: &'static [ExperimentState]) -> ArgValueCompleter {
    experiments_where(|config| states.contains(&config.state))
}

/// Completes the name of an experiment that isn't archived.
pub(crate) fn live_experiments() -> ArgValueCompleter {
    experiments_where(|config| config.state != ExperimentState::Archived)
}

/// Completes the name of an experiment that is neither concluded nor archived.
pub(crate) fn unfinished_experiments() -> ArgValueCompleter {
    experiments_where(|config| {
        config.state == ExperimentState::Draft || config.state.is_under_way()
    })
}

fn experiments_where(
    is_meant: impl Fn(&ExperimentConfig) -> bool + Send + Sync + 'static,
) -> ArgValueCompleter {
    completer(move || {
        let meant = list().into_iter().filter(|config| is_meant(config));
        meant.map(|config| (config.name, config.state)).collect()
    })
}

/// Completes a variant of the experiment that the argument `name` names.
pub(crate) fn variants() -> ArgValueCompleter {
    completer(weighted)
}

/// Completes `VARIANT=WEIGHT,VARIANT=WEIGHT`, up to the weight.
pub(crate) fn weights() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let current = current.to_string_lossy();
        let begun = current.rfind(',').map_or(0, |comma| comma + 1);
        let (before, last) = current.split_at(begun);
        let words = typed()
            .all("listed")
            .into_iter()
            .chain(typed().all("named"));
        let listed = words
            .chain([before.to_owned()])
            .collect::<Vec<_>>()
            .join(",");
        let is_listed = |name: &str| {
            let mut listed = listed.split(',').filter_map(|word| word.rsplit_once('='));
            listed.any(|(listed, _)| listed == name)
        };
        let offered = weighted().into_iter().filter(|(name, _)| !is_listed(name));
        let offered = offered.map(|(name, weight)| (format!("{before}{name}="), weight));
        candidates(&format!("{before}{last}"), offered.collect())
    })
}

/// The variants of the experiment, each with its weight.
fn weighted() -> Vec<(String, String)> {
    let Some(name) = typed().one("name") else {
        return Vec::new();
    };
    let configs = list().into_iter().filter(|config| config.name == name);
    let variants = configs.flat_map(|config| config.variants);
    variants
        .map(|variant| (variant.name, format!("weight {}", variant.weight)))
        .collect()
}

/// Completes an actor who has an override in the experiment that the argument `name` names.
pub(crate) fn overridden_actors() -> ArgValueCompleter {
    completer(|| {
        let name = typed().one("name").unwrap_or_default();
        let overrides = service().and_then(|service| service.overrides(&name).ok());
        let overrides = overrides.unwrap_or_default().into_iter();
        overrides.map(|set| (set.actor, set.variant)).collect()
    })
}

/// Completes the name of an exclusion group.
pub(crate) fn groups() -> ArgValueCompleter {
    completer(|| {
        let mut counts = BTreeMap::<String, usize>::new();
        for group in list()
            .into_iter()
            .filter_map(|config| config.exclusion_group)
        {
            *counts.entry(group).or_default() += 1;
        }
        let help = |count| match count {
            1 => "1 experiment".to_owned(),
            count => format!("{count} experiments"),
        };
        counts
            .into_iter()
            .map(|(group, count)| (group, help(count)))
            .collect()
    })
}

/// Completes the column of a metric that some experiment declares.
pub(crate) fn metrics() -> ArgValueCompleter {
    completer(columns)
}

/// Completes `NAME:KIND`.
pub(crate) fn metric_kinds() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let current = current.to_string_lossy();
        let offered = match current.rsplit_once(':') {
            None => {
                let columns = columns().into_iter();
                columns.map(|(name, help)| (name + ":", help)).collect()
            }
            Some((name, _)) => {
                let kinds = MetricKind::ALL.iter();
                kinds
                    .map(|kind| (format!("{name}:{}", kind.as_str()), String::new()))
                    .collect()
            }
        };
        candidates(&current, offered)
    })
}

/// The columns of all declared metrics, each with one experiment that has it.
fn columns() -> Vec<(String, String)> {
    let mut columns = BTreeMap::<String, String>::new();
    for config in list() {
        for metric in config.analysis.metrics {
            columns.insert(metric.column().to_owned(), config.name.clone());
        }
    }
    columns.into_iter().collect()
}

/// A completer that offers these values, each with a word of help.
fn completer<H: Display>(
    offered: impl Fn() -> Vec<(String, H)> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| candidates(&current.to_string_lossy(), offered()))
}

fn candidates<H: Display>(current: &str, offered: Vec<(String, H)>) -> Vec<CompletionCandidate> {
    let mut candidates = Vec::new();
    for (value, help) in offered {
        // What can't be shown as it is can't be typed either.
        if value.starts_with(current) && escape(&value) == value {
            let help = escape(&help.to_string()).into_owned();
            let help = (!help.is_empty()).then(|| help.into());
            candidates.push(CompletionCandidate::new(value).help(help));
        }
    }
    candidates
}

fn list() -> Vec<ExperimentConfig> {
    let listed = service().and_then(|service| service.list().ok());
    listed.unwrap_or_default()
}

fn service() -> Option<ExperimentService> {
    match environment::store_place(typed().store()).ok()? {
        NamedStore::File(path) => {
            let store = SqliteExperimentStore::open_as(path, SqliteAccess::Read, PATIENCE);
            Some(ExperimentService::new(store.ok()?))
        }
        NamedStore::Database(options) => {
            let options = options
                .connect_timeout(PATIENCE)
                .statement_timeout(PATIENCE);
            let store = PgExperimentStore::open(options);
            Some(ExperimentService::new(store.ok()?))
        }
    }
}
