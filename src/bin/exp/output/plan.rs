//! How a plan reads, in every format.

use anstyle::{AnsiColor, Style};
use experiments::declare::{Action, Plan, PlannedExperiment};
use experiments::{ChangeSide, ExperimentConfig, ExperimentState};
use schemars::JsonSchema;
use serde::Serialize;

use super::View;
use super::change::write_differences;
use super::text::{BOLD, DIM, Text, hanging, safe, styled};
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
            "stored_told_another",
            "stored_suspended",
            "stored_resumed",
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
                &planned.moves.stored_told_another.to_string(),
                &planned.moves.stored_suspended.to_string(),
                &planned.moves.stored_resumed.to_string(),
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
        hanging(text, 6, "    ", &line);
    }
    text.line("");
}

/// Who is affected, a line for each way.
pub(super) fn affected(planned: &PlannedExperiment) -> impl Iterator<Item = String> {
    let lines = match &planned.before {
        Some(before) if planned.after.state == ExperimentState::Archived => {
            let loses = who_loses(before, planned.moves.stored_lost);
            vec![loses.map(|loses| format!("who loses: {loses}"))]
        }
        Some(before) => {
            let begins_or_ends = who_begins_or_ends(before, planned);
            let moves = who_moves(before, planned, begins_or_ends.is_some());
            let says_stored = begins_or_ends.is_some() || moves.is_some();
            let enters = who_enters(before, planned, says_stored);
            vec![begins_or_ends, enters, moves]
        }
        None => Vec::new(),
    };
    lines.into_iter().flatten()
}

/// Who gets a variant from now on where nobody did, or the reverse.
fn who_begins_or_ends(before: &ExperimentConfig, planned: &PlannedExperiment) -> Option<String> {
    match (
        planned.gives_variants_before(),
        planned.gives_variants_after(),
    ) {
        (true, false) => Some(who_ends(before, planned)),
        (false, true) => Some(who_begins(before, planned)),
        // What gives nobody a variant goes on giving none.
        (false, false) if before.state != planned.after.state => Some(
            "pause: nobody gets a variant until it is resumed; nobody got one before".to_owned(),
        ),
        (true, true) | (false, false) => None,
    }
}

fn who_ends(before: &ExperimentConfig, planned: &PlannedExperiment) -> String {
    let what = match before.deciding_winner() {
        None => "pause: nobody gets a variant".to_owned(),
        Some(winner) => {
            let winner = safe(winner);
            format!("who loses: everybody loses the winner {winner} and gets nothing")
        }
    };
    let until = match planned.after.state {
        ExperimentState::Paused => "it is resumed",
        _ => "it runs",
    };
    let stored = match planned.moves.stored_suspended {
        0 => "no actor is stored".to_owned(),
        1 => "the 1 stored actor gets its own then".to_owned(),
        stored => format!("all {stored} stored actors get theirs then"),
    };
    format!("{what} until {until}; {stored}")
}

fn who_begins(before: &ExperimentConfig, planned: &PlannedExperiment) -> String {
    let moves = planned.moves;
    if let Some(winner) = planned.after.deciding_winner() {
        let stored = match (moves.stored_told_another, moves.stored_resumed) {
            (_, 0) => "no actor is stored".to_owned(),
            (another, stored) => {
                format!("{another} of {stored} stored actors would get a different variant")
            }
        };
        let winner = safe(winner);
        return format!(
            "who moves: everybody gets the winner {winner}, nobody got anything before; {stored}"
        );
    }
    let word = match before.state {
        ExperimentState::Paused => "resume",
        _ => "start",
    };
    let new = match moves.enter_after_per_10000 {
        0 => "no new actor gets a variant".to_owned(),
        10_000 => "new actors get a variant".to_owned(),
        _ => format!(
            "{} of 100 new actors get a variant",
            moves.enter_after_per_100()
        ),
    };
    let stored = match moves.stored_resumed {
        0 => "no actor is stored".to_owned(),
        1 => "the 1 stored actor gets its own".to_owned(),
        stored => format!("all {stored} stored actors get theirs"),
    };
    format!("{word}: {new}; {stored}")
}

/// How many of the newcomers enter, where that changes; and that whoever is in stays in, unless another line `says_stored`.
fn who_enters(
    before: &ExperimentConfig,
    planned: &PlannedExperiment,
    says_stored: bool,
) -> Option<String> {
    let (after, moves) = (&planned.after, planned.moves);
    // The line on its start says how many enter.
    let starts = before.state == ExperimentState::Draft && planned.gives_variants_after();
    if after.state == ExperimentState::Concluded || starts {
        return None;
    }
    let is_declared_otherwise =
        before.enrolling != after.enrolling || before.coverage != after.coverage;
    let who_enters = match moves.who_enters() {
        Some(who_enters) => format!("{}{who_enters}", once_it_runs(planned)),
        None if is_declared_otherwise && moves.enter_after_per_10000 == 0 => {
            "no newcomer, as before".to_owned()
        }
        None => return None,
    };
    let stored = if says_stored {
        String::new()
    } else {
        format!("; {}", kept(moves.stored_kept))
    };
    Some(format!("who enters: {who_enters}{stored}"))
}

/// What is said of an experiment that gives nobody a variant holds later.
fn once_it_runs(planned: &PlannedExperiment) -> &'static str {
    if planned.gives_variants_after() {
        ""
    } else {
        "once it runs, "
    }
}

/// Who gets, or is told, something else than before; only of the new ones, if another line says it of those who are
/// stored.
fn who_moves(
    before: &ExperimentConfig,
    planned: &PlannedExperiment,
    says_stored: bool,
) -> Option<String> {
    let (after, moves) = (&planned.after, planned.moves);
    let sets_variants = before.variants != after.variants;
    let is_split_alike = !sets_variants && before.has_buckets_of(after);
    let has_same_winner = before.deciding_winner() == after.deciding_winner();
    // Nobody has been told anything by a draft, and a winner that comes or goes is in the line on that.
    let is_moot = before.state == ExperimentState::Draft || !has_same_winner || is_split_alike;
    if says_stored && is_moot {
        return None;
    }
    if moves.new_actors_per_10000 + moves.stored_told_another == 0 && !sets_variants {
        return None;
    }
    let enter_otherwise = moves.enter_before_per_10000 != moves.enter_after_per_10000;
    if enter_otherwise && is_split_alike && has_same_winner {
        return None;
    }
    let number = moves.new_actors_per_100();
    let stored = match (moves.stored_told_another, moves.stored_kept) {
        _ if says_stored => String::new(),
        (0, stored) => format!("; {}", kept(stored)),
        (another, stored) => {
            format!("; {another} of {stored} stored actors would get a different variant")
        }
    };
    // A winner is for everybody, also for whom it does not cover.
    let covers_all = moves.enter_before_per_10000 == 10_000;
    let get = match (before.deciding_winner(), after.deciding_winner()) {
        (None, Some(_)) if !covers_all => "get a different variant, or one where they got none",
        (Some(_), None) if !covers_all || enter_otherwise => "get a different variant, or none",
        (None, None) if enter_otherwise => "enter, stay out or get a different variant than before",
        _ => "get a different variant",
    };
    let when = once_it_runs(planned);
    Some(format!(
        "who moves: {when}{number}% of new actors would {get}{stored}"
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
