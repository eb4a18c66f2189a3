//! A small model of the contract, written from its tables and from nothing else: what a command must
//! answer, and what must be stored then. It shares no code with the library.

use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Create {
        name: String,
        variants: Vec<(String, u32)>,
        group: Option<String>,
        entry: Entry,
        start: bool,
    },
    Start(String),
    Conclude(String, String),
    Archive(String),
    SetWeights(String, Vec<(String, u32)>),
    SetOverride(String, String, String),
    ClearOverride(String, String),
    Assign(String, String),
    /// By the library: no exposure is kept.
    AssignUnseen(String, String),
    /// By the library: these at once.
    AssignMany(String, Vec<String>),
    /// By the library: what was decided elsewhere, and whether an override did.
    Record(String, String, String, bool),
    /// By the library: a draft is replaced.
    Replace {
        name: String,
        variants: Vec<(String, u32)>,
        group: Option<String>,
        entry: Entry,
    },
    /// By the library: so many of 10000 newcomers enter from now on.
    SetCoverage(String, u64),
    /// By the library: what actors did. The metric, the value, and an id of which only the first counts.
    Track(Vec<(String, String, u32, Option<String>)>),
    /// By the library: exposures that say nothing new of an actor go.
    Prune(String),
    /// By hand: the override goes, and its assignment stays.
    RemoveOverride(String, String),
    /// By an application: it becomes a draft, and all else stays.
    Reset(String),
    /// By an application: it runs, and all else stays.
    Restart(String),
}

/// Who enters, and by which hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// In place of the name.
    pub(crate) salt: Option<String>,
    /// So many of 10000.
    pub(crate) coverage: u64,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            salt: None,
            coverage: 10_000,
        }
    }
}

/// The variant of an assignment and why, the log's text of a change, `None` if there was nothing to change;
/// or the exit code of a refusal.
pub(crate) type Answer = Result<Option<String>, u8>;

const NOT_FOUND: u8 = 3;
const WRONG_STATE: u8 = 4;
const ARCHIVED: u8 = 5;
const EXCLUDED: u8 = 6;
const NO_VARIANT: u8 = 7;
const REFUSED: u8 = 8;

/// What is known of an experiment from outside.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Experiment {
    pub(crate) state: String,
    pub(crate) winner: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) variants: Vec<(String, u32)>,
    pub(crate) entry: Entry,
    /// Actor → variant, and whether an override chose it.
    pub(crate) assignments: BTreeMap<String, (String, bool)>,
    /// The variants of each weight period, and in which of them each actor was assigned.
    pub(crate) periods: Vec<Vec<(String, u32)>>,
    pub(crate) assigned_in: BTreeMap<String, usize>,
    pub(crate) overrides: BTreeMap<String, String>,
    /// Oldest first.
    pub(crate) log: Vec<String>,
    /// Actor, variant, and whether an override chose it.
    pub(crate) exposures: Vec<(String, String, bool)>,
}

impl Experiment {
    fn has(&self, variant: &str) -> bool {
        self.variants.iter().any(|(name, _)| name == variant)
    }

    fn set_variants(&mut self, next: &[(String, u32)]) {
        if self.variants != next {
            self.variants = next.to_vec();
            self.periods.push(next.to_vec());
        }
    }

    /// What is stored of the actor already is not stored again.
    fn put(&mut self, actor: &str, chosen: (String, bool)) {
        if self.assignments.get(actor) != Some(&chosen) {
            let present = self.periods.len() - 1;
            self.assigned_in.insert(actor.to_owned(), present);
            self.assignments.insert(actor.to_owned(), chosen);
        }
    }

    fn would_drop_a_variant_in_use(&self, next: &[(String, u32)]) -> bool {
        let in_use = |name: &String| self.assignments.values().any(|(held, _)| held == name);
        let is_kept = |name: &String| next.iter().any(|(kept, _)| kept == name);
        let mut variants = self.variants.iter();
        variants.any(|(name, _)| !is_kept(name) && in_use(name))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) experiments: BTreeMap<String, Experiment>,
    /// As they were tracked.
    pub(crate) outcomes: Vec<(String, String, u32, Option<String>)>,
}

impl Model {
    pub(crate) fn run(&mut self, command: &Command) -> Answer {
        match command {
            Command::Create {
                name,
                variants,
                group,
                entry,
                start,
            } => self.create(name, variants, group.as_ref(), entry, *start),
            Command::Assign(name, actor) => self.assign(name, actor, true),
            Command::AssignUnseen(name, actor) => self.assign(name, actor, false),
            Command::AssignMany(name, actors) => self.assign_many(name, actors),
            Command::Record(name, actor, variant, is_override) => {
                self.record(name, actor, &(variant.clone(), *is_override))
            }
            Command::Replace {
                name,
                variants,
                group,
                entry,
            } => self.replace(name, variants, group.as_ref(), entry),
            Command::SetCoverage(name, coverage) => self.set_coverage(name, *coverage),
            Command::Track(outcomes) => Ok(Some(self.track(outcomes))),
            Command::Prune(name) => self.prune(name),
            Command::RemoveOverride(name, actor) => {
                let experiment = self.experiments.get_mut(name);
                experiment.and_then(|e| e.overrides.remove(actor));
                Ok(None)
            }
            Command::Reset(name) => Ok(self.overwrite(name, "draft")),
            Command::Restart(name) => Ok(self.overwrite(name, "running")),
            Command::Start(name) => self.change(name, |e| {
                if e.state == "running" && e.winner.is_none() {
                    return Ok(None);
                }
                "running".clone_into(&mut e.state);
                e.winner = None;
                Ok(Some("state=running".to_owned()))
            }),
            Command::Conclude(name, winner) => self.change(name, |e| {
                if !e.has(winner) {
                    return Err(REFUSED);
                }
                if e.state == "concluded" && e.winner.as_ref() == Some(winner) {
                    return Ok(None);
                }
                "concluded".clone_into(&mut e.state);
                e.winner = Some(winner.clone());
                Ok(Some(format!("concluded={winner}")))
            }),
            Command::Archive(name) => {
                if self
                    .experiments
                    .get(name)
                    .is_some_and(|e| e.state == "archived")
                {
                    return Ok(None);
                }
                self.change(name, |e| {
                    "archived".clone_into(&mut e.state);
                    Ok(Some("state=archived".to_owned()))
                })
            }
            Command::SetWeights(name, variants) => self.change(name, |e| {
                if e.state == "concluded" {
                    return Err(WRONG_STATE);
                }
                if e.variants == *variants {
                    return Ok(None);
                }
                if has_duplicate(variants) || e.would_drop_a_variant_in_use(variants) {
                    return Err(REFUSED);
                }
                e.set_variants(variants);
                Ok(Some("set_weights".to_owned()))
            }),
            Command::SetOverride(name, actor, variant) => self.change(name, |e| {
                if !e.has(variant) {
                    return Err(REFUSED);
                }
                if e.overrides.insert(actor.clone(), variant.clone()).as_ref() == Some(variant) {
                    return Ok(None);
                }
                Ok(Some(format!("override={actor}:{variant}")))
            }),
            Command::ClearOverride(name, actor) => self.change(name, |e| {
                if e.overrides.remove(actor).is_none() {
                    return Ok(None);
                }
                if e.assignments
                    .get(actor)
                    .is_some_and(|(_, is_override)| *is_override)
                {
                    e.assignments.remove(actor);
                    e.assigned_in.remove(actor);
                }
                Ok(Some(format!("override_cleared={actor}")))
            }),
        }
    }

    fn change(&mut self, name: &str, apply: impl FnOnce(&mut Experiment) -> Answer) -> Answer {
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        if experiment.state == "archived" {
            return Err(ARCHIVED);
        }
        let answer = apply(experiment)?;
        experiment.log.extend(answer.clone());
        Ok(answer)
    }

    fn set_coverage(&mut self, name: &str, coverage: u64) -> Answer {
        self.change(name, |e| {
            if e.state == "concluded" {
                return Err(WRONG_STATE);
            }
            if e.entry.coverage == coverage {
                return Ok(None);
            }
            e.entry.coverage = coverage;
            let digits = format!("{coverage:04}");
            let share = if coverage == 10_000 {
                "1".to_owned()
            } else {
                format!("0.{}", digits.trim_end_matches('0'))
            };
            Ok(Some(format!("coverage={share}")))
        })
    }

    fn create(
        &mut self,
        name: &str,
        variants: &[(String, u32)],
        group: Option<&String>,
        entry: &Entry,
        start: bool,
    ) -> Answer {
        if has_duplicate(variants) {
            return Err(REFUSED);
        }
        if let Some(existing) = self.experiments.get(name) {
            let archived = existing.state == "archived";
            return Err(if archived { ARCHIVED } else { REFUSED });
        }
        let experiment = Experiment {
            state: if start { "running" } else { "draft" }.to_owned(),
            group: group.cloned(),
            variants: variants.to_vec(),
            periods: vec![variants.to_vec()],
            entry: entry.clone(),
            log: vec!["created".to_owned()],
            ..Experiment::default()
        };
        self.experiments.insert(name.to_owned(), experiment);
        Ok(Some("created".to_owned()))
    }

    fn replace(
        &mut self,
        name: &str,
        variants: &[(String, u32)],
        group: Option<&String>,
        entry: &Entry,
    ) -> Answer {
        let Some(e) = self.experiments.get_mut(name) else {
            return self.create(name, variants, group, entry, false);
        };
        if has_duplicate(variants) {
            return Err(REFUSED);
        }
        if e.state == "archived" {
            return Err(ARCHIVED);
        }
        let leaves_group = e.group.as_ref() != group && !e.assignments.is_empty();
        if e.state != "draft" || leaves_group || e.would_drop_a_variant_in_use(variants) {
            return Err(REFUSED);
        }
        e.set_variants(variants);
        e.group = group.cloned();
        e.entry = entry.clone();
        e.winner = None;
        e.log.push("updated".to_owned());
        Ok(Some("updated".to_owned()))
    }

    fn overwrite(&mut self, name: &str, state: &str) -> Option<String> {
        state.clone_into(&mut self.experiments.get_mut(name)?.state);
        None
    }

    fn assign(&mut self, name: &str, actor: &str, is_shown: bool) -> Answer {
        let experiment = self.experiments.get(name).ok_or(NOT_FOUND)?;
        match &*experiment.state {
            "archived" => return Err(ARCHIVED),
            "concluded" => {
                let winner = experiment.winner.as_ref();
                return Ok(winner.map(|winner| format!("{winner} concluded")));
            }
            "draft" => return Err(WRONG_STATE),
            _ => {}
        }
        let pinned = experiment
            .overrides
            .get(actor)
            .filter(|v| experiment.has(v));
        let (stored, reason) = match (pinned, experiment.assignments.get(actor)) {
            (Some(pinned), _) => ((pinned.clone(), true), "override"),
            (None, Some(stored)) => (stored.clone(), "sticky"),
            (None, None) => {
                if self.is_excluded(name, actor) {
                    return Err(EXCLUDED);
                }
                let hashed = experiment.entry.salt.as_deref().unwrap_or(name);
                let covered = mix(fnv1a(&format!("{hashed}:coverage:{actor}"))) % 10_000;
                if covered >= experiment.entry.coverage {
                    return Err(EXCLUDED);
                }
                let chosen = choose(hashed, actor, &experiment.variants);
                ((chosen.ok_or(NO_VARIANT)?, false), "assigned")
            }
        };
        let (variant, is_override) = stored.clone();
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        experiment.put(actor, stored);
        let answer = format!("{variant} {reason}");
        if is_shown {
            let exposure = (actor.to_owned(), variant, is_override);
            experiment.exposures.push(exposure);
        }
        Ok(Some(answer))
    }

    /// One after another; who alone is refused is no reason to refuse the others.
    fn assign_many(&mut self, name: &str, actors: &[String]) -> Answer {
        let mut answers = Vec::new();
        for actor in actors {
            answers.push(match self.assign(name, actor, true) {
                Err(code @ (EXCLUDED | NO_VARIANT)) => code.to_string(),
                answer => answer?.unwrap_or_default(),
            });
        }
        Ok(Some(answers.join(", ")))
    }

    fn record(&mut self, name: &str, actor: &str, brought: &(String, bool)) -> Answer {
        let experiment = self.experiments.get(name).ok_or(NOT_FOUND)?;
        match &*experiment.state {
            "archived" => return Err(ARCHIVED),
            "running" => {}
            _ => return Err(WRONG_STATE),
        }
        if !experiment.has(&brought.0) {
            return Err(REFUSED);
        }
        let stored = experiment.assignments.get(actor);
        if !brought.1 && stored.is_none() && self.is_excluded(name, actor) {
            return Err(EXCLUDED);
        }
        let kept = stored.filter(|_| !brought.1).unwrap_or(brought).clone();
        let variant = kept.0.clone();
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        experiment.put(actor, kept);
        Ok(Some(variant))
    }

    fn track(&mut self, outcomes: &[(String, String, u32, Option<String>)]) -> String {
        let (mut recorded, mut repeated) = (0, 0);
        for outcome in outcomes {
            let is_same = |kept: &&(String, String, u32, Option<String>)| {
                kept.1 == outcome.1 && kept.3 == outcome.3
            };
            if outcome.3.is_some() && self.outcomes.iter().any(|kept| is_same(&kept)) {
                repeated += 1;
            } else {
                recorded += 1;
                self.outcomes.push(outcome.clone());
            }
        }
        format!("{recorded} recorded, {repeated} repeated")
    }

    fn prune(&mut self, name: &str) -> Answer {
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        let mut kept = Vec::new();
        for exposure in &experiment.exposures {
            if !kept.contains(exposure) {
                kept.push(exposure.clone());
            }
        }
        let pruned = experiment.exposures.len() - kept.len();
        experiment.exposures = kept;
        let text = (pruned > 0).then(|| format!("exposures_pruned={pruned}"));
        experiment.log.extend(text.clone());
        Ok(text)
    }

    /// Whether the actor is in another experiment of the group.
    fn is_excluded(&self, name: &str, actor: &str) -> bool {
        let group = self.experiments[name].group.as_ref();
        let is_in = |(other, e): (&String, &Experiment)| {
            other != name && e.group.as_ref() == group && e.assignments.contains_key(actor)
        };
        group.is_some() && self.experiments.iter().any(is_in)
    }
}

fn has_duplicate(variants: &[(String, u32)]) -> bool {
    (1..variants.len()).any(|n| variants[..n].iter().any(|(name, _)| *name == variants[n].0))
}

/// FNV-1a, 64 bits.
fn fnv1a(text: &str) -> u64 {
    let mut hash: u64 = 14_695_981_039_346_656_037;
    for byte in text.bytes() {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(1_099_511_628_211);
    }
    hash
}

/// The finaliser of MurmurHash3, 64 bits.
fn mix(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// The plain hash modulo 10000, and the running sum of weights.
fn choose(hashed: &str, actor: &str, variants: &[(String, u32)]) -> Option<String> {
    let hash = fnv1a(&format!("{hashed}:{actor}"));
    let total: u64 = variants.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let threshold = (hash % 10_000) * total / 10_000;
    let mut sum = 0;
    for (name, weight) in variants {
        sum += u64::from(*weight);
        if sum > threshold {
            return Some(name.clone());
        }
    }
    None
}
