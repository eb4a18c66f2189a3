//! What must come of a step, whoever takes it: the rules, and where the application has its own.

use std::collections::BTreeMap;

use crate::program::{Config, Given, Refusal, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Library,
    Application,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Create(Vec<(String, u32)>, Option<String>),
    Start,
    Conclude(String),
    Archive,
    SetWeights(Vec<(String, u32)>),
    SetOverride(String, String),
    ClearOverride(String),
    Assign(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) who: Who,
    pub(crate) experiment: String,
    pub(crate) action: Action,
}

/// By experiment and actor: the variant, and whether an override is behind it.
pub(crate) type Assignments = BTreeMap<(String, String), (String, bool)>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) experiments: BTreeMap<String, Config>,
    pub(crate) assignments: Assignments,
    overrides: BTreeMap<(String, String), String>,
}

impl Model {
    /// What the step answers: what is given if it assigns.
    pub(crate) fn take(&mut self, step: &Step) -> Result<Option<Given>, Refusal> {
        let Step {
            who,
            experiment,
            action,
        } = step;
        if let Action::Create(variants, group) = action {
            return self.create(*who, experiment, variants, group.as_deref());
        }
        let config = self.experiments.get(experiment).cloned();
        let config = config.ok_or(Refusal::NotFound)?;
        if config.state == State::Archived && !self.may_touch_archived(*who, action) {
            return Err(Refusal::Archived);
        }
        match action {
            Action::Create(..) => {}
            Action::Start => self.set_state(experiment, State::Running, None),
            Action::Conclude(winner) => {
                require_variant(&config, winner)?;
                self.set_state(experiment, State::Concluded, Some(winner.clone()));
            }
            Action::Archive => self.set_state(experiment, State::Archived, None),
            Action::SetWeights(variants) => {
                if config.state == State::Concluded {
                    return Err(Refusal::Concluded);
                }
                self.require_unused(experiment, variants)?;
                self.experiments.get_mut(experiment).unwrap().variants = variants.clone();
            }
            Action::SetOverride(actor, variant) => {
                require_variant(&config, variant)?;
                let key = (experiment.clone(), actor.clone());
                self.overrides.insert(key, variant.clone());
            }
            Action::ClearOverride(actor) => {
                let key = (experiment.clone(), actor.clone());
                if self.overrides.remove(&key).is_some()
                    && self.assignments.get(&key).is_some_and(|(_, is)| *is)
                {
                    self.assignments.remove(&key);
                }
            }
            Action::Assign(actor) => return self.assign(experiment, actor, &config).map(Some),
        }
        Ok(None)
    }

    /// The application pins actors in an archived experiment, and archives one again; that changes
    /// nothing anybody sees.
    fn may_touch_archived(&self, who: Who, action: &Action) -> bool {
        match action {
            Action::Archive => true,
            Action::SetOverride(..) => who == Who::Application,
            _ => false,
        }
    }

    fn create(
        &mut self,
        who: Who,
        experiment: &str,
        variants: &[(String, u32)],
        group: Option<&str>,
    ) -> Result<Option<Given>, Refusal> {
        // The application resets whatever is there.
        if who == Who::Library {
            match self.experiments.get(experiment).map(|config| config.state) {
                None | Some(State::Draft) => {}
                Some(State::Archived) => return Err(Refusal::Archived),
                Some(_) => return Err(Refusal::Exists),
            }
        }
        self.require_unused(experiment, variants)?;
        let config = Config {
            state: State::Draft,
            variants: variants.to_vec(),
            winner: None,
            group: group.map(str::to_owned),
        };
        self.experiments.insert(experiment.to_owned(), config);
        Ok(None)
    }

    fn set_state(&mut self, experiment: &str, state: State, winner: Option<String>) {
        let config = self.experiments.get_mut(experiment).unwrap();
        config.state = state;
        config.winner = winner;
    }

    /// A variant that has assignments can't be removed, by any path.
    fn require_unused(&self, experiment: &str, left: &[(String, u32)]) -> Result<(), Refusal> {
        let mut assigned = self.assignments.iter();
        let is_used = assigned.any(|((of, _), (variant, _))| {
            of == experiment && left.iter().all(|(name, _)| name != variant)
        });
        if is_used {
            Err(Refusal::VariantInUse)
        } else {
            Ok(())
        }
    }

    fn assign(&mut self, experiment: &str, actor: &str, config: &Config) -> Result<Given, Refusal> {
        match config.state {
            State::Draft => return Err(Refusal::NotRunning),
            State::Concluded => {
                let variant = config.winner.clone().ok_or(Refusal::NoVariant)?;
                let exposed = None;
                return Ok(Given { variant, exposed });
            }
            State::Running | State::Archived => {}
        }
        let key = (experiment.to_owned(), actor.to_owned());
        let pinned = self.overrides.get(&key);
        let pinned = pinned.filter(|pinned| require_variant(config, pinned).is_ok());
        let (variant, is_override) = match (pinned, self.assignments.get(&key)) {
            (Some(pinned), _) => (pinned.clone(), true),
            (None, Some(assigned)) => assigned.clone(),
            (None, None) => {
                self.require_alone(experiment, actor, config)?;
                let variant = bucketed(experiment, actor, &config.variants);
                (variant.ok_or(Refusal::NoVariant)?, false)
            }
        };
        self.assignments.insert(key, (variant.clone(), is_override));
        Ok(Given {
            variant,
            exposed: Some(is_override),
        })
    }

    /// The actor is in no other experiment of the group.
    fn require_alone(&self, experiment: &str, actor: &str, config: &Config) -> Result<(), Refusal> {
        let mut others = self.assignments.keys();
        let is_excluded = config.group.is_some()
            && others.any(|(of, who)| {
                who == actor && of != experiment && self.group(of) == config.group
            });
        if is_excluded {
            Err(Refusal::Excluded)
        } else {
            Ok(())
        }
    }

    fn group(&self, experiment: &str) -> Option<String> {
        self.experiments.get(experiment)?.group.clone()
    }
}

fn require_variant(config: &Config, variant: &str) -> Result<(), Refusal> {
    let mut names = config.variants.iter().map(|(name, _)| name);
    names
        .any(|name| name == variant)
        .then_some(())
        .ok_or(Refusal::UnknownVariant)
}

/// Written down once more, so that neither program's own is what it is compared with.
pub(crate) fn bucketed(
    experiment: &str,
    actor: &str,
    variants: &[(String, u32)],
) -> Option<String> {
    let hash = format!("{experiment}:{actor}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let total: u64 = variants.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let threshold = hash % 10_000 * total / 10_000;
    let mut sum = 0;
    variants
        .iter()
        .find(|(_, weight)| {
            sum += u64::from(*weight);
            threshold < sum
        })
        .map(|(name, _)| name.clone())
}
