//! A small model of the contract, written from its tables and from nothing else: what a command must
//! answer, and what must be stored then. It shares no code with the library.

mod actors;
mod bucket;
mod command;
mod experiment;

use std::collections::BTreeMap;

pub(crate) use self::command::{Command, Draft, Entry, Values};
pub(crate) use self::experiment::{Experiment, Pinned};

/// The variant of an assignment, why, and its value; the log's text of a change, `None` if there was nothing to
/// change; or the exit code of a refusal.
pub(crate) type Answer = Result<Option<String>, u8>;

const NOT_FOUND: u8 = 3;
const WRONG_STATE: u8 = 4;
const ARCHIVED: u8 = 5;
/// The exit code of the next two as well.
const EXCLUDED: u8 = 6;
pub(crate) const CLOSED: u8 = 106;
pub(crate) const NOT_COVERED: u8 = 206;
const NO_VARIANT: u8 = 7;
const REFUSED: u8 = 8;

/// An entry of the log: the experiment's name, what was done, and when.
pub(crate) type Logged = (String, String, u64);

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) experiments: BTreeMap<String, Experiment>,
    /// Of all experiments, oldest first.
    pub(crate) log: Vec<Logged>,
    /// As they were tracked.
    pub(crate) outcomes: Vec<(String, String, u32, Option<String>)>,
    /// Seconds since the Unix epoch.
    pub(crate) now: u64,
}

impl Model {
    pub(crate) fn at(now: u64) -> Self {
        Self {
            experiments: BTreeMap::new(),
            log: Vec::new(),
            outcomes: Vec::new(),
            now,
        }
    }

    pub(crate) fn run(&mut self, command: &Command) -> Answer {
        match command {
            Command::Create { name, draft, start } => self.create(name, draft, *start),
            Command::Replace(name, draft) => self.replace(name, draft),
            Command::Start(_)
            | Command::Pause(_)
            | Command::Conclude(..)
            | Command::Archive(_)
            | Command::Reset(_)
            | Command::Restart(_) => self.move_on(command),
            Command::SetWeights(..)
            | Command::SetCoverage(..)
            | Command::SetEnrolling(..)
            | Command::SetValues(..) => self.set(command),
            Command::SetOverride {
                name,
                actor,
                variant,
                lasts,
                reason,
            } => self.pin(name, actor, variant, *lasts, reason.as_ref()),
            Command::ClearOverride(name, actor) => self.change(name, |e| {
                if e.overrides.remove(actor).is_none() {
                    return Ok(None);
                }
                if e.assignments.get(actor).is_some_and(|(_, is)| *is) {
                    e.remove(actor);
                }
                Ok(Some(format!("override_cleared={actor}")))
            }),
            Command::RemoveOverride(name, actor) => {
                let experiment = self.experiments.get_mut(name);
                experiment.and_then(|e| e.overrides.remove(actor));
                Ok(None)
            }
            Command::Assign(name, actor) => self.assign(name, actor, true),
            Command::AssignUnseen(name, actor) => self.assign(name, actor, false),
            Command::Foresee(name, actor) => self.clone().assign(name, actor, false),
            Command::Preview(name, actor) => self.clone().preview(name, actor),
            Command::AssignMany(name, actors) => self.assign_many(name, actors),
            Command::Record(name, actor, variant, is_override) => {
                self.record(name, actor, &(variant.clone(), *is_override))
            }
            Command::Unassign(name, actors) => self.unassign(name, actors),
            Command::Delete(name) => self.delete(name),
            Command::Rename(name, to) => self.rename(name, to),
            Command::Track(outcomes) => Ok(Some(self.track(outcomes))),
            Command::Prune(name) => self.prune(name),
            Command::Wait(secs) => {
                self.now += secs;
                Ok(None)
            }
        }
    }

    fn note(&mut self, name: &str, text: &str) {
        self.log.push((name.to_owned(), text.to_owned(), self.now));
    }

    fn change(&mut self, name: &str, apply: impl FnOnce(&mut Experiment) -> Answer) -> Answer {
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        if experiment.state == "archived" {
            return Err(ARCHIVED);
        }
        let answer = apply(experiment)?;
        if let Some(text) = &answer {
            self.note(name, text);
        }
        Ok(answer)
    }

    /// From state to state.
    fn move_on(&mut self, command: &Command) -> Answer {
        match command {
            Command::Start(name) => self.change(name, |e| {
                if e.state == "running" && e.winner.is_none() {
                    return Ok(None);
                }
                "running".clone_into(&mut e.state);
                e.winner = None;
                Ok(Some("state=running".to_owned()))
            }),
            Command::Pause(name) => self.change(name, |e| match &*e.state {
                "paused" => Ok(None),
                "running" => {
                    "paused".clone_into(&mut e.state);
                    e.winner = None;
                    Ok(Some("state=paused".to_owned()))
                }
                _ => Err(WRONG_STATE),
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
                let experiment = self.experiments.get(name);
                if experiment.is_some_and(|e| e.state == "archived") {
                    return Ok(None);
                }
                self.change(name, |e| {
                    "archived".clone_into(&mut e.state);
                    Ok(Some("state=archived".to_owned()))
                })
            }
            Command::Reset(name) => Ok(self.overwrite(name, "draft")),
            Command::Restart(name) => Ok(self.overwrite(name, "running")),
            other => panic!("{other:?}"),
        }
    }

    fn overwrite(&mut self, name: &str, state: &str) -> Option<String> {
        let experiment = self.experiments.get_mut(name)?;
        if (&*experiment.state, state) != ("paused", "draft") {
            state.clone_into(&mut experiment.state);
        }
        None
    }

    /// A part of an experiment that has not come to its conclusion.
    fn set(&mut self, command: &Command) -> Answer {
        let (Command::SetWeights(name, _)
        | Command::SetCoverage(name, _)
        | Command::SetEnrolling(name, _)
        | Command::SetValues(name, _)) = command
        else {
            panic!("{command:?}");
        };
        self.change(name, |e| {
            if e.state == "concluded" {
                return Err(WRONG_STATE);
            }
            match command {
                Command::SetWeights(_, variants) if e.variants != *variants => {
                    let lacks_a_value = e.would_lack_a_value(variants);
                    if has_duplicate(variants)
                        || lacks_a_value
                        || e.would_drop_a_variant_in_use(variants)
                    {
                        return Err(REFUSED);
                    }
                    e.set_variants(variants);
                    Ok(Some("set_weights".to_owned()))
                }
                Command::SetCoverage(_, coverage) if e.entry.coverage != *coverage => {
                    e.entry.coverage = *coverage;
                    let digits = format!("{coverage:04}");
                    let share = if *coverage == 10_000 {
                        "1".to_owned()
                    } else {
                        format!("0.{}", digits.trim_end_matches('0'))
                    };
                    Ok(Some(format!("coverage={share}")))
                }
                Command::SetEnrolling(_, enrolling) if e.entry.enrolling != *enrolling => {
                    e.entry.enrolling = *enrolling;
                    Ok(Some(format!("enrolling={enrolling}")))
                }
                Command::SetValues(_, values) if e.values != *values => {
                    if !can_be_values(values, &e.variants) {
                        return Err(REFUSED);
                    }
                    e.values.clone_from(values);
                    Ok(Some("values".to_owned()))
                }
                _ => Ok(None),
            }
        })
    }

    fn create(&mut self, name: &str, draft: &Draft, start: bool) -> Answer {
        if has_duplicate(&draft.variants) || !can_be_values(&draft.values, &draft.variants) {
            return Err(REFUSED);
        }
        if let Some(existing) = self.experiments.get(name) {
            let archived = existing.state == "archived";
            return Err(if archived { ARCHIVED } else { REFUSED });
        }
        let experiment = Experiment::new(draft, if start { "running" } else { "draft" });
        self.experiments.insert(name.to_owned(), experiment);
        self.note(name, "created");
        Ok(Some("created".to_owned()))
    }

    fn replace(&mut self, name: &str, draft: &Draft) -> Answer {
        let Some(e) = self.experiments.get_mut(name) else {
            return self.create(name, draft, false);
        };
        if has_duplicate(&draft.variants) || !can_be_values(&draft.values, &draft.variants) {
            return Err(REFUSED);
        }
        if e.state == "archived" {
            return Err(ARCHIVED);
        }
        let leaves_group = e.group != draft.group && !e.assignments.is_empty();
        if e.state != "draft" || leaves_group || e.would_drop_a_variant_in_use(&draft.variants) {
            return Err(REFUSED);
        }
        e.set_variants(&draft.variants);
        e.group.clone_from(&draft.group);
        e.entry = draft.entry.clone();
        e.values.clone_from(&draft.values);
        e.winner = None;
        self.note(name, "updated");
        Ok(Some("updated".to_owned()))
    }

    /// A draft of which nothing is kept.
    fn unused(&self, name: &str) -> Result<(), u8> {
        let experiment = self.experiments.get(name).ok_or(NOT_FOUND)?;
        match &*experiment.state {
            "archived" => Err(ARCHIVED),
            "draft" if experiment.is_used() => Err(REFUSED),
            "draft" => Ok(()),
            _ => Err(WRONG_STATE),
        }
    }

    fn delete(&mut self, name: &str) -> Answer {
        self.unused(name)?;
        self.experiments.remove(name);
        self.note(name, "deleted");
        Ok(Some("deleted".to_owned()))
    }

    /// The log goes with it.
    fn rename(&mut self, name: &str, to: &str) -> Answer {
        if name == to {
            return self.change(name, |_| Ok(None));
        }
        self.unused(name)?;
        if self.experiments.contains_key(to) {
            return Err(REFUSED);
        }
        let renamed = self.experiments.remove(name).ok_or(NOT_FOUND)?;
        self.experiments.insert(to.to_owned(), renamed);
        for entry in &mut self.log {
            if entry.0 == name {
                to.clone_into(&mut entry.0);
            }
        }
        let text = format!("renamed={to}");
        self.note(to, &text);
        Ok(Some(text))
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
}

fn has_duplicate(variants: &[(String, u32)]) -> bool {
    (1..variants.len()).any(|n| variants[..n].iter().any(|(name, _)| *name == variants[n].0))
}

/// One for each of the variants and all of one type, or none at all.
fn can_be_values(values: &Values, variants: &[(String, u32)]) -> bool {
    let each_has_one = variants.iter().all(|(name, _)| values.contains_key(name));
    let mut are_texts = values.values().map(|value| value.starts_with('"'));
    let first = are_texts.next();
    let of_one_type = are_texts.all(|is_text| Some(is_text) == first);
    values.is_empty() || each_has_one && values.len() == variants.len() && of_one_type
}
