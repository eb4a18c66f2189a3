//! What can be done about two experiments whose assignments are not independent.

use std::collections::BTreeMap;
use std::fmt;

use super::{Dependence, IdSample, dependences};
use crate::experiment::ExperimentConfig;
use crate::field::MAX_NAME_BYTES;
use crate::text::{Quoted, is_unsafe};

/// How many salts are tried at once, and how often. About one in ten is independent of thirty other experiments.
const BATCH: usize = 8;
const BATCHES: usize = 16;

/// How many pairs are measured for it. Among very many experiments no salt is independent of all, and the mixed hash is
/// the remedy.
const MAX_PAIRS: usize = 40_000;

/// What to do about two experiments whose assignments are not independent. It displays as the words for whoever writes
/// their file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Neither may change what it hashes: one of them has to give way to a new experiment.
    Replace,
    /// This one may change what it hashes.
    Change {
        /// Its name.
        experiment: String,
        /// A salt that was measured to make it independent of all the others, if one was found.
        salt: Option<String>,
        /// Whether the mixed hash would part the two; not if both hash the same.
        by_hash: bool,
    },
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Change {
            experiment,
            salt,
            by_hash,
        } = self
        else {
            return f.write_str(
                "both have started: replace one of them with a new experiment under another name",
            );
        };
        let name = Quoted(experiment);
        match (salt, by_hash) {
            (Some(salt), _) => write!(
                f,
                "set salt = '{salt}' in {name}, which was measured to be independent"
            ),
            (None, true) => {
                return write!(f, "set bucketing = \"fnv1a_mixed\" in {name}, or rename it");
            }
            (None, false) => return write!(f, "set another salt in {name}"),
        }?;
        if *by_hash {
            f.write_str(", or set bucketing = \"fnv1a_mixed\", or rename it")?;
        }
        Ok(())
    }
}

/// What to do about each of the dependences that [`dependences`] found between these experiments over these ids. Where
/// one of the two `may_change` what it hashes, it is the second rather than the first that is to change.
#[must_use]
pub fn remedies(
    configs: &[&ExperimentConfig],
    found: &[Dependence],
    samples: &[IdSample<'_>],
    may_change: impl Fn(usize) -> bool,
) -> Vec<Remedy> {
    let changing = |dependence: &Dependence| {
        let (first, second) = dependence.pair;
        [second, first].into_iter().find(|&place| may_change(place))
    };
    let mut places: Vec<usize> = Vec::new();
    for place in found.iter().filter_map(changing) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let salts = independent_salts(configs, &places, samples);
    let remedy = |dependence: &Dependence| {
        let Some(place) = changing(dependence) else {
            return Remedy::Replace;
        };
        let (first, second) = dependence.pair;
        Remedy::Change {
            experiment: configs[place].name.clone(),
            salt: salts.get(&place).cloned(),
            // Two that hash the same are alike under either hash.
            by_hash: !configs[first].has_buckets_of(configs[second]),
        }
    };
    found.iter().map(remedy).collect()
}

/// For each of the experiments at these places, as far as one is found: a salt with which it is independent of all the
/// others, also once those have theirs.
fn independent_salts(
    configs: &[&ExperimentConfig],
    places: &[usize],
    samples: &[IdSample<'_>],
) -> BTreeMap<usize, String> {
    let mut chosen: BTreeMap<usize, ExperimentConfig> = BTreeMap::new();
    let mut pairs = 0;
    for batch in 0..BATCHES {
        let open: Vec<usize> = places
            .iter()
            .copied()
            .filter(|place| !chosen.contains_key(place))
            .collect();
        pairs += open.len() * BATCH * configs.len();
        if open.is_empty() || pairs > MAX_PAIRS {
            break;
        }
        // The experiment that hashes its name counts as the first round.
        let rounds = 2 + batch * BATCH..2 + (batch + 1) * BATCH;
        let candidates: Vec<(usize, ExperimentConfig)> = open
            .iter()
            .flat_map(|&place| rounds.clone().map(move |round| (place, round)))
            .filter_map(|(place, round)| Some((place, with_salt(configs[place], round)?)))
            .collect();
        let found = choose(configs, &chosen, &candidates, samples);
        chosen.extend(found);
    }
    let chosen = chosen.into_iter();
    chosen
        .map(|(place, config)| (place, config.hashed().to_owned()))
        .collect()
}

/// The experiment with the salt of that round, if that can be shown as it is.
fn with_salt(config: &ExperimentConfig, round: usize) -> Option<ExperimentConfig> {
    let salt = format!("{}-{round}", config.hashed());
    let is_plain = !salt.contains(|c| is_unsafe(c) || c == '\'');
    (is_plain && salt.len() <= MAX_NAME_BYTES).then(|| config.clone().salt(salt))
}

/// For each place the first of its candidates that is independent of all experiments, and of what was chosen before it.
fn choose(
    configs: &[&ExperimentConfig],
    chosen: &BTreeMap<usize, ExperimentConfig>,
    candidates: &[(usize, ExperimentConfig)],
    samples: &[IdSample<'_>],
) -> BTreeMap<usize, ExperimentConfig> {
    let mut all = configs.to_vec();
    all.extend(chosen.values());
    let others = all.len();
    all.extend(candidates.iter().map(|(_, config)| config));
    let dependent = dependences(&all, samples, |_, second| second >= others);
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    for (candidate, (place, _)) in (others..).zip(candidates) {
        let is_dependent = dependent.iter().any(|dependence| {
            let (first, second) = dependence.pair;
            second == candidate && (first < others || found.values().any(|&it| it == first))
        });
        if !is_dependent {
            found.entry(*place).or_insert(candidate);
        }
    }
    let found = found.into_iter();
    found
        .map(|(place, candidate)| (place, candidates[candidate - others].1.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucketing::Bucketing;
    use crate::experiment::VariantConfig;

    fn even(name: &str) -> ExperimentConfig {
        let variants = vec![VariantConfig::new("a", 50), VariantConfig::new("b", 50)];
        ExperimentConfig::new(name, variants)
    }

    fn remedies_of(configs: &[ExperimentConfig], may_change: &[usize]) -> Vec<String> {
        let configs: Vec<&ExperimentConfig> = configs.iter().collect();
        let found = dependences(&configs, &IdSample::SHAPES, |_, _| true);
        let remedies = remedies(&configs, &found, &IdSample::SHAPES, |place| {
            may_change.contains(&place)
        });
        remedies.iter().map(ToString::to_string).collect()
    }

    /// The salt that a remedy names.
    fn salt(remedy: &str) -> &str {
        remedy.split('\'').nth(1).unwrap()
    }

    #[test]
    fn the_salt_that_is_named_helps() {
        let names = ["checkout_v2", "search_v2", "email_cta", "home_v2"];
        let mut configs = names.map(even).to_vec();
        let told = remedies_of(&configs, &[0, 1, 2, 3]);
        assert!(told.len() > 1, "{told:?}");
        // As a user would, one after the other.
        for remedy in told {
            let (salt, rest) = remedy.split_at(remedy.find(" in ").unwrap());
            let name = self::salt(rest);
            let config = configs.iter_mut().find(|config| config.name == name);
            config.unwrap().salt = Some(self::salt(salt).to_owned());
        }
        assert_eq!(remedies_of(&configs, &[]), [""; 0]);
    }

    #[test]
    fn a_salt_that_is_taken_or_does_not_help_is_not_named() {
        let taken = even("x").salt("email_cta-2");
        let configs = [even("checkout_v2"), taken, even("email_cta")];
        let told = remedies_of(&configs, &[2]);
        let remedy = told.last().unwrap();
        assert!(remedy.contains("in 'email_cta'"), "{told:?}");
        assert_ne!(salt(remedy), "email_cta-2");
    }

    #[test]
    fn only_what_may_change_is_to_be_changed() {
        let pair = [even("checkout_v2"), even("email_cta")];
        let [first] = &remedies_of(&pair, &[0])[..] else {
            panic!("one pair");
        };
        assert!(first.contains("in 'checkout_v2'"), "{first}");
        let [neither] = &remedies_of(&pair, &[])[..] else {
            panic!("one pair");
        };
        assert!(neither.starts_with("both have started"), "{neither}");
        // The mixed hash does not help two that hash the same.
        let mixed = |name| even(name).bucketing(Bucketing::Fnv1aMixed).salt("s");
        let [same] = &remedies_of(&[mixed("a"), mixed("b")], &[1])[..] else {
            panic!("one pair");
        };
        assert_eq!(salt(same), "s-2");
        assert!(!same.contains("fnv1a_mixed"), "{same}");
    }
}
