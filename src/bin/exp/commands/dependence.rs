//! What is said and done when an experiment would disturb one that is live.

use experiments::independence::Remedy;
use experiments::readiness::{ConcernKind, dependence_concerns};
use experiments::text::escape;
use experiments::{Bucketing, ExperimentConfig, ExperimentService, ExperimentState};

use super::command_line;
use crate::context::Context;
use crate::exit::{Hint, Invalid, positional, quote};

/// Warns if the assignments of `new` and of an experiment that is not over are not independent.
pub(super) fn warn(
    new: &ExperimentConfig,
    service: &ExperimentService,
    context: &Context,
) -> anyhow::Result<()> {
    if context.is_quiet() {
        return Ok(());
    }
    for (told, remedy) in dependent(new, &service.list()?) {
        context.warn(format_args!("{told}; {}", typed(&remedy)));
    }
    Ok(())
}

/// The remedy in the words for whoever types commands.
pub(super) fn typed(remedy: &Remedy) -> String {
    let Remedy::Change {
        experiment,
        salt,
        by_hash,
    } = remedy
    else {
        return remedy.to_string();
    };
    let mut ways = Vec::new();
    if let Some(salt) = salt {
        ways.push(format!(
            "salt = \"{salt}\", which was measured to be independent"
        ));
    }
    if *by_hash {
        ways.push("bucketing = \"fnv1a_mixed\"".to_owned());
    }
    if ways.is_empty() {
        ways.push("another salt".to_owned());
    }
    let edit = format!("exp edit {}", positional(experiment));
    format!("{edit} can set {}", ways.join(", or "))
}

/// The option of `exp create` for the hash that makes any two experiments independent.
const MIXED: &str = "--bucketing fnv1a_mixed";

/// The option of `exp create` for this salt.
fn salt_option(salt: Option<&str>) -> Option<String> {
    salt.map(|salt| format!("--salt {}", quote(salt)))
}

/// The remedy in the options of `exp create`, before there is such an experiment.
pub(super) fn options(remedy: &Remedy) -> String {
    let Remedy::Change { salt, by_hash, .. } = remedy else {
        return remedy.to_string();
    };
    let hash = by_hash.then(|| MIXED.to_owned());
    let ways: Vec<String> = salt_option(salt.as_deref())
        .into_iter()
        .chain(hash)
        .collect();
    if ways.is_empty() {
        return "give it another --salt".to_owned();
    }
    format!("{} makes it independent", ways.join(" or "))
}

/// Refuses to start an experiment for which nobody has chosen what it hashes, if it would depend on one of `all` that is
/// live. Later nothing can be done any more.
pub(super) fn refuse(new: &ExperimentConfig, all: &[ExperimentConfig]) -> anyhow::Result<()> {
    let draft = ExperimentConfig {
        state: ExperimentState::Draft,
        ..new.clone()
    };
    let live = all.iter().filter(|other| other.state.is_under_way());
    let live: Vec<ExperimentConfig> = live.cloned().collect();
    let found = dependent(&draft, &live);
    let Some((_, Remedy::Change { salt, .. })) = found.first() else {
        return Ok(());
    };
    let mixed = draft.bucketing(Bucketing::Fnv1aMixed);
    let by_hash = dependent(&mixed, &live)
        .is_empty()
        .then(|| MIXED.to_owned());
    let mut ways = by_hash.into_iter().chain(salt_option(salt.as_deref()));
    let help = match (ways.next(), ways.next()) {
        (None, _) => "give it another --salt".to_owned(),
        (Some(way), None) => format!("this makes it independent: {}", command_line::with(&way)),
        (Some(way), Some(other)) => format!(
            "this makes it independent, as {other} does: {}",
            command_line::with(&way)
        ),
    };
    let told: Vec<String> = found.into_iter().map(|(told, _)| told).collect();
    let name = escape(&new.name);
    let message = format!(
        "{name} is not created, as it would start at once: {}",
        told.join("; ")
    );
    let hint = format!("{help}; to start it as it is, add --bucketing fnv1a");
    Err(anyhow::Error::new(Invalid(message)).context(Hint(hint)))
}

/// The pairs of it and one of the others, in words, and what to do about each.
fn dependent(config: &ExperimentConfig, others: &[ExperimentConfig]) -> Vec<(String, Remedy)> {
    let concerns = dependence_concerns(config, others).into_iter();
    let dependent = concerns.filter_map(|concern| {
        let told = concern.to_string();
        match concern.kind {
            ConcernKind::Dependent { remedy, .. } => Some((told, remedy)),
            _ => None,
        }
    });
    dependent.collect()
}
