//! The checker: what the commands told, and whether a store still holds it.

use std::collections::BTreeMap;
use std::path::Path;

use experiments::{ExperimentStore as _, SqliteExperimentStore};

/// An experiment and the text of one of its changes.
pub(crate) type Change = (&'static str, &'static str);

#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    /// The variant of each actor of `e`.
    variants: BTreeMap<String, String>,
    changes: BTreeMap<Change, usize>,
    /// Whether a command has used the store with success.
    is_there: bool,
    /// Copies by their names, with what they hold at least.
    copies: Vec<(String, Self)>,
}

impl Told {
    /// Notes what a command printed: its lines, the last of which may be cut.
    pub(crate) fn lines(&mut self, actor: Option<&str>, output: &[u8]) {
        let text = String::from_utf8_lossy(output);
        let Some((complete, _)) = text.rsplit_once('\n') else {
            return;
        };
        for line in complete.lines() {
            let (actor, variant) = match actor {
                Some(actor) => (actor, line),
                None => line.split_once('\t').unwrap(),
            };
            let variant = variant.to_owned();
            let before = self.variants.insert(actor.to_owned(), variant.clone());
            assert!(
                before.is_none_or(|before| before == variant),
                "{actor} was told two variants"
            );
        }
        self.is_there = true;
    }

    /// Notes the changes of a command that returned 0.
    pub(crate) fn changes(&mut self, changes: &[Change]) {
        for change in changes {
            *self.changes.entry(*change).or_default() += 1;
        }
        self.is_there = true;
    }

    /// Notes a copy of the store, of that name and beside it.
    pub(crate) fn copy(&mut self, name: &str) {
        let held = Self {
            copies: Vec::new(),
            ..self.clone()
        };
        self.copies.push((name.to_owned(), held));
    }

    pub(crate) fn forget_copies(&mut self) {
        self.copies.clear();
    }

    /// What is wrong with the store in this file, or with a copy of it.
    pub(crate) fn missing_in(&self, path: &Path) -> Result<(), String> {
        if !path.exists() && !self.is_there {
            return Ok(());
        }
        let store = SqliteExperimentStore::open(path).map_err(|error| error.to_string())?;
        let found = store.check().map_err(|error| error.to_string())?;
        if !found.is_empty() {
            return Err(format!("{found:?}"));
        }
        for (actor, variant) in &self.variants {
            let stored = store.get_assignment("e", actor);
            let stored = stored.map_err(|error| error.to_string())?;
            let stored = stored.map(|stored| stored.variant);
            if stored.as_ref() != Some(variant) {
                return Err(format!(
                    "{actor} was told {variant}, the store has {stored:?}"
                ));
            }
        }
        for ((experiment, mutation), told) in &self.changes {
            let history = store.history(experiment, 0);
            let history = history.map_err(|error| error.to_string())?;
            let kept = history.iter().filter(|change| change.mutation == *mutation);
            let kept = kept.count();
            if kept < *told {
                return Err(format!(
                    "{mutation} of {experiment} was done {told} times, the history has {kept}"
                ));
            }
        }
        for (name, held) in &self.copies {
            let copy = path.with_file_name(name);
            held.missing_in(&copy)
                .map_err(|what| format!("{name}: {what}"))?;
        }
        Ok(())
    }
}
