//! Who gets which variant, and what is kept of an actor.

use super::bucket::{choose, fnv1a, mix};
use super::experiment::Experiment;
use super::{
    ARCHIVED, Answer, CLOSED, EXCLUDED, Model, NO_VARIANT, NOT_COVERED, NOT_FOUND, Pinned, REFUSED,
    WRONG_STATE,
};

impl Model {
    pub(super) fn pin(
        &mut self,
        name: &str,
        actor: &str,
        variant: &str,
        lasts: Option<u64>,
        reason: Option<&String>,
    ) -> Answer {
        let now = self.now;
        let ends = lasts.map(|lasts| now + lasts);
        self.change(name, |e| {
            if !e.has(variant) || lasts == Some(0) {
                return Err(REFUSED);
            }
            let pinned = Pinned {
                variant: variant.to_owned(),
                ends,
                reason: reason.cloned(),
            };
            let had_ended = e.overrides.contains_key(actor) && e.pinned(actor, now).is_none();
            if had_ended && e.assignments.get(actor).is_some_and(|(_, is)| *is) {
                e.remove(actor);
            }
            if e.overrides.insert(actor.to_owned(), pinned.clone()) == Some(pinned) {
                return Ok(None);
            }
            Ok(Some(format!("override={actor}:{variant}")))
        })
    }

    pub(super) fn assign(&mut self, name: &str, actor: &str, is_shown: bool) -> Answer {
        let now = self.now;
        let experiment = self.experiments.get(name).ok_or(NOT_FOUND)?;
        let told = |variant: &str, reason: &str| {
            let value = experiment.values.get(variant);
            let value = value.map(|value| format!(" {value}"));
            Some(format!("{variant} {reason}{}", value.unwrap_or_default()))
        };
        match &*experiment.state {
            "archived" => return Err(ARCHIVED),
            "concluded" => {
                let winner = experiment.winner.as_ref();
                return Ok(winner.and_then(|winner| told(winner, "concluded")));
            }
            "draft" | "paused" => return Err(WRONG_STATE),
            _ => {}
        }
        let pinned = experiment.pinned(actor, now).map(|pinned| &pinned.variant);
        let pinned = pinned.filter(|v| experiment.has(v));
        let (stored, reason) = match (pinned, experiment.stored(actor, now)) {
            (Some(pinned), _) => ((pinned.clone(), true), "override"),
            (None, Some(stored)) => (stored.clone(), "sticky"),
            (None, None) => ((self.enter(name, actor)?, false), "assigned"),
        };
        let (variant, is_override) = stored.clone();
        let answer = told(&variant, reason);
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        experiment.put(actor, stored, now);
        if is_shown {
            let exposure = (actor.to_owned(), variant, is_override);
            experiment.exposures.push(exposure);
        }
        Ok(answer)
    }

    /// As if it ran.
    pub(super) fn preview(&mut self, name: &str, actor: &str) -> Answer {
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        if ["draft", "paused"].contains(&&*experiment.state) {
            "running".clone_into(&mut experiment.state);
        }
        self.assign(name, actor, false)
    }

    /// The variant of a newcomer.
    fn enter(&self, name: &str, actor: &str) -> Result<String, u8> {
        if self.is_excluded(name, actor) {
            return Err(EXCLUDED);
        }
        let experiment = &self.experiments[name];
        if !experiment.entry.enrolling {
            return Err(CLOSED);
        }
        let hashed = experiment.entry.salt.as_deref().unwrap_or(name);
        let covered = mix(fnv1a(&format!("{hashed}:coverage:{actor}"))) % 10_000;
        if covered >= experiment.entry.coverage {
            return Err(NOT_COVERED);
        }
        choose(hashed, actor, &experiment.variants).ok_or(NO_VARIANT)
    }

    /// One after another; who alone is refused is no reason to refuse the others.
    pub(super) fn assign_many(&mut self, name: &str, actors: &[String]) -> Answer {
        let mut answers = Vec::new();
        for actor in actors {
            answers.push(match self.assign(name, actor, true) {
                Err(code @ (EXCLUDED | CLOSED | NOT_COVERED | NO_VARIANT)) => code.to_string(),
                answer => answer?.unwrap_or_default(),
            });
        }
        Ok(Some(answers.join(", ")))
    }

    pub(super) fn record(&mut self, name: &str, actor: &str, brought: &(String, bool)) -> Answer {
        let now = self.now;
        let experiment = self.experiments.get(name).ok_or(NOT_FOUND)?;
        match &*experiment.state {
            "archived" => return Err(ARCHIVED),
            "running" => {}
            _ => return Err(WRONG_STATE),
        }
        if !experiment.has(&brought.0) {
            return Err(REFUSED);
        }
        let stored = experiment.stored(actor, now);
        if !brought.1 && stored.is_none() && self.is_excluded(name, actor) {
            return Err(EXCLUDED);
        }
        let kept = stored.filter(|_| !brought.1).unwrap_or(brought).clone();
        let variant = kept.0.clone();
        let experiment = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        experiment.put(actor, kept, now);
        Ok(Some(variant))
    }

    pub(super) fn unassign(&mut self, name: &str, actors: &[String]) -> Answer {
        let e = self.experiments.get_mut(name).ok_or(NOT_FOUND)?;
        match &*e.state {
            "archived" => return Err(ARCHIVED),
            "concluded" => return Err(WRONG_STATE),
            _ => {}
        }
        let assignments = actors.iter().filter(|actor| e.remove(actor)).count();
        let before = e.exposures.len();
        e.exposures.retain(|(actor, ..)| !actors.contains(actor));
        let exposures = before - e.exposures.len();
        if assignments + exposures > 0 {
            self.note(name, &format!("unassigned={assignments}"));
        }
        Ok(Some(format!(
            "{assignments} assignments, {exposures} exposures"
        )))
    }

    pub(super) fn prune(&mut self, name: &str) -> Answer {
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
        if let Some(text) = &text {
            self.note(name, text);
        }
        Ok(text)
    }

    /// Whether the actor is in another experiment of the group.
    fn is_excluded(&self, name: &str, actor: &str) -> bool {
        let group = self.experiments[name].group.as_ref();
        group.is_some_and(|group| self.is_in(group, name, actor))
    }

    /// Whether the actor is in an experiment of that group other than this one.
    pub(crate) fn is_in(&self, group: &str, except: &str, actor: &str) -> bool {
        let is_in = |(other, e): (&String, &Experiment)| {
            let is_other = other != except && e.group.as_deref() == Some(group);
            is_other && e.stored(actor, self.now).is_some()
        };
        self.experiments.iter().any(is_in)
    }

    /// The variant of the actor's override, if that counts.
    pub(crate) fn pinned(&self, name: &str, actor: &str) -> Option<&String> {
        let pinned = self.experiments.get(name)?.pinned(actor, self.now)?;
        Some(&pinned.variant)
    }
}
