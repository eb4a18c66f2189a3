//! How a plan reads, in every format.

use anstyle::{AnsiColor, Style};
use experiments::declare::{Action, Plan, PlannedExperiment};
use experiments::{ChangeSide, ExperimentConfig, ExperimentState};
use schemars::JsonSchema;
use serde::Serialize;

use super::View;
use super::change::write_differences;
use super::text::{BOLD, DIM, Text, safe, styled};
use super::tsv::{Tsv, listed};

#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct PlanView<'a>(pub(crate) &'a Plan);

impl View for PlanView<'_> {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "action",
            "experiment",
            "state_before",
            "state_after",
            "steps",
            "new_actors_per_10000",
            "stored_kept",
            "exploratory",
            "stored_lost",
            "enter_before_per_10000",
            "enter_after_per_10000",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for planned in &self.0.experiments {
            let before = planned.before.as_ref();
            let exploratory = planned.exploratory.iter();
            let exploratory: Vec<_> = exploratory.map(|name| listed(name)).collect();
            tsv.line(&[
                planned.action.as_str(),
                &planned.experiment,
                before.map_or("", |before| before.state.as_str()),
                planned.after.state.as_str(),
                &planned.steps.len().to_string(),
                &planned.moves.new_actors_per_10000.to_string(),
                &planned.moves.stored_kept.to_string(),
                &exploratory.join(","),
                &planned.moves.stored_lost.to_string(),
                &planned.moves.enter_before_per_10000.to_string(),
                &planned.moves.enter_after_per_10000.to_string(),
            ]);
        }
    }

    fn text(&self, text: &mut Text) {
        let planned = self.0.experiments.iter();
        for planned in planned.filter(|planned| planned.action != Action::Nothing) {
            write_experiment(planned, text);
        }
        text.line(format_args!("Plan: {}", summary(self.0)));
    }
}

/// How many experiments it is about, by what would be done to them.
pub(super) fn summary(plan: &Plan) -> String {
    let named = [
        (Action::Create, "to create"),
        (Action::Change, "to change"),
        (Action::Prune, "to archive"),
        (Action::Nothing, "unchanged"),
    ];
    let counted = named.map(|(action, words)| {
        let planned = plan.experiments.iter();
        (planned.filter(|e| e.action == action).count(), words)
    });
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = counted
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    if parts.is_empty() {
        "nothing is declared".to_owned()
    } else {
        parts.join(", ")
    }
}

/// What an action looks like: its sign and its words.
pub(super) fn shown(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::Create => ("+", "new"),
        Action::Change => ("~", "changes"),
        Action::Prune => ("-", "in no file: archived"),
        Action::Nothing => (" ", ""),
    }
}

fn write_experiment(planned: &PlannedExperiment, text: &mut Text) {
    let (sign, words) = shown(planned.action);
    let colour = match planned.action {
        Action::Create => AnsiColor::Green,
        Action::Change => AnsiColor::Yellow,
        Action::Prune => AnsiColor::Red,
        Action::Nothing => AnsiColor::White,
    };
    let style: Style = colour.on_default().bold();
    text.line(format_args!(
        "{} {}  {}",
        styled(style, sign),
        styled(BOLD, safe(&planned.experiment)),
        styled(DIM, words)
    ));
    let before = planned
        .before
        .as_ref()
        .map(ChangeSide::from)
        .unwrap_or_default();
    write_differences(&before, &ChangeSide::from(&planned.after), "    ", text);
    for metric in &planned.exploratory {
        let metric = safe(metric);
        text.line(format_args!(
            "    metric {metric}: hypothesis changed after the start: exploratory"
        ));
    }
    for line in affected(planned) {
        text.line(format_args!("    {line}"));
    }
    text.line("");
}

/// Who is affected, a line for each way.
pub(super) fn affected(planned: &PlannedExperiment) -> impl Iterator<Item = String> {
    [who_enters(planned), who_moves(planned)]
        .into_iter()
        .flatten()
}

/// How many of the newcomers enter, where that changes; and nothing about who is in, if `who_moves` says it.
fn who_enters(planned: &PlannedExperiment) -> Option<String> {
    let is_over = matches!(
        planned.after.state,
        ExperimentState::Concluded | ExperimentState::Archived
    );
    planned.before.as_ref().filter(|_| !is_over)?;
    let who_enters = planned.moves.who_enters()?;
    Some(match who_moves(planned) {
        Some(_) => format!("who enters: {who_enters}"),
        None => format!(
            "who enters: {who_enters}; {}",
            kept(planned.moves.stored_kept)
        ),
    })
}

/// Who gets, or is told, something else than before.
fn who_moves(planned: &PlannedExperiment) -> Option<String> {
    let (before, moves) = (planned.before.as_ref()?, planned.moves);
    let after = &planned.after;
    if after.state == ExperimentState::Archived {
        let loses = who_loses(before, moves.stored_lost)?;
        return Some(format!("who loses: {loses}"));
    }
    let sets_variants = before.variants != after.variants;
    if moves.new_actors_per_10000 + moves.stored_told_another == 0 && !sets_variants {
        return None;
    }
    let enter_otherwise = moves.enter_before_per_10000 != moves.enter_after_per_10000;
    let is_split_alike = !sets_variants && before.has_buckets_of(after);
    if enter_otherwise && is_split_alike && before.deciding_winner() == after.deciding_winner() {
        return None;
    }
    let number = moves.new_actors_per_100();
    let stored = match (moves.stored_told_another, moves.stored_kept) {
        (0, stored) => kept(stored),
        (another, stored) => {
            format!("{another} of {stored} stored actors would get a different variant")
        }
    };
    let get = if enter_otherwise {
        "enter, stay out or get a different variant than before"
    } else {
        "get a different variant"
    };
    Some(format!(
        "who moves: {number}% of new actors would {get}; {stored}"
    ))
}

fn kept(stored: u64) -> String {
    match stored {
        0 => "no actor is stored".to_owned(),
        1 => "the 1 stored actor keeps its own".to_owned(),
        stored => format!("all {stored} stored actors keep theirs"),
    }
}

/// What archiving an experiment with so many stored actors takes away, if anybody is told anything.
pub(crate) fn who_loses(before: &ExperimentConfig, stored: u64) -> Option<String> {
    Some(match (before.state, stored) {
        (ExperimentState::Archived, _) | (ExperimentState::Draft, 0) => return None,
        (ExperimentState::Concluded, _) => {
            let winner = safe(before.winner.as_deref().unwrap_or_default());
            let stored = match stored {
                0 => "; no actor is stored".to_owned(),
                1 => ", the 1 stored actor too".to_owned(),
                stored => format!(", the {stored} stored actors too"),
            };
            format!("everybody loses the winner {winner} for good{stored}")
        }
        (_, 0) => "no actor is stored; no new actor gets a variant any more".to_owned(),
        (_, 1) => "the 1 stored actor loses its variant for good; no new actor gets one".to_owned(),
        (_, stored) => {
            format!("all {stored} stored actors lose their variant for good; no new actor gets one")
        }
    })
}
