//! How many actors the other experiments of an exclusion group hold. Whatever the state of these, a group never frees them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::text::Quoted;

/// The actors who can't enter an experiment, because they are in others of its exclusion group. It displays as the first
/// part of a sentence, such as "1000 actors are in 'rank' (archived)".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct HeldByGroup {
    /// How many stored assignments the other experiments have together. No actor has two of them, overrides aside.
    pub actors: u64,
    /// The other experiments that hold any, those with the most first.
    pub experiments: Vec<Holder>,
}

/// An experiment that keeps its actors out of the others of its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Holder {
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's state.
    pub state: ExperimentState,
    /// How many stored assignments it has, also those by overrides.
    pub actors: u64,
}

/// How many experiments a sentence names.
const MAX_NAMED: usize = 5;

impl HeldByGroup {
    /// What the others hold, of experiments with the numbers of their stored assignments. The experiment itself may be
    /// among these.
    pub fn of<'a>(
        config: &ExperimentConfig,
        all: impl IntoIterator<Item = (&'a ExperimentConfig, u64)>,
    ) -> Self {
        let holds = |(other, actors): &(&ExperimentConfig, u64)| {
            *actors > 0
                && other.name != config.name
                && other.exclusion_group.is_some()
                && other.exclusion_group == config.exclusion_group
        };
        let holders = all.into_iter().filter(holds);
        let holders = holders.map(|(other, actors)| Holder {
            experiment: other.name.clone(),
            state: other.state,
            actors,
        });
        let mut experiments: Vec<Holder> = holders.collect();
        experiments.sort_by(|a, b| {
            let by_actors = b.actors.cmp(&a.actors);
            by_actors.then_with(|| a.experiment.cmp(&b.experiment))
        });
        Self {
            actors: experiments.iter().map(|holder| holder.actors).sum(),
            experiments,
        }
    }

    /// Whether nobody is kept out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actors == 0
    }
}

impl fmt::Display for HeldByGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actors {
            1 => f.write_str("1 actor is in ")?,
            actors => write!(f, "{actors} actors are in ")?,
        }
        if let [only] = &self.experiments[..] {
            return write!(f, "{} ({})", Quoted(&only.experiment), only.state);
        }
        let named = self.experiments.iter().take(MAX_NAMED);
        let mut named: Vec<String> = named
            .map(|holder| {
                let name = Quoted(&holder.experiment);
                format!("{} in {name}, {}", holder.actors, holder.state)
            })
            .collect();
        if self.experiments.len() > MAX_NAMED {
            named.push(format!("{} more", self.experiments.len() - MAX_NAMED));
        }
        write!(f, "other experiments ({})", named.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, group: Option<&str>) -> ExperimentConfig {
        ExperimentConfig {
            exclusion_group: group.map(str::to_owned),
            ..ExperimentConfig::new(name, Vec::new())
        }
    }

    #[test]
    fn the_others_of_the_group_hold() {
        let new = config("new", Some("g"));
        let (a, b) = (config("a", Some("g")), config("b", Some("g")));
        let (other, none) = (config("c", Some("h")), config("d", None));
        let all = [(&new, 7), (&a, 5), (&b, 60), (&other, 8), (&none, 9)];
        let held = HeldByGroup::of(&new, all);
        assert_eq!(held.actors, 65);
        assert_eq!(
            held.to_string(),
            "65 actors are in other experiments (60 in 'b', draft; 5 in 'a', draft)"
        );
        let held = HeldByGroup::of(&new, [(&a, 1), (&b, 0)]);
        assert_eq!(held.to_string(), "1 actor is in 'a' (draft)");
        assert!(HeldByGroup::of(&none, [(&config("e", None), 1)]).is_empty());
    }

    #[test]
    fn very_many_are_counted() {
        let others: Vec<_> = (0..8)
            .map(|n| config(&format!("e{n}"), Some("g")))
            .collect();
        let all = others.iter().map(|other| (other, 1));
        let held = HeldByGroup::of(&config("new", Some("g")), all).to_string();
        assert!(held.ends_with("1 in 'e4', draft; 3 more)"), "{held}");
    }
}
