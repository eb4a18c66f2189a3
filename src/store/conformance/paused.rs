//! Pausing and resuming, and what may be done in which state.

use super::{
    OPERATOR, archive, assert_kept_out, assert_refused, assign, conclude, create, even, pause,
    record, running, set_coverage, set_enrolling, snapshot, start, weights,
};
use crate::assignment::AssignRequest;
use crate::error::ExperimentError;
use crate::experiment::{ChangeRecord, ExperimentConfig, ExperimentState, VariantValues};
use crate::lifecycle::Mutation;
use crate::rule::AssignmentReason;
use crate::store::ExperimentStore;

/// A paused experiment gives nobody a variant: neither who is in, nor who has an override, nor a newcomer, nor
/// whom a caller brings along. Nothing is stored meanwhile.
pub fn a_paused_experiment_refuses_everybody(store: &dyn ExperimentStore) {
    running(store, "e");
    assign(store, "e", "in").unwrap();
    store.set_override("e", "pinned", "treatment").unwrap();
    store.set_override("e", "qa", "treatment").unwrap();
    assign(store, "e", "qa").unwrap();
    pause(store, "e").unwrap().unwrap();
    for actor in ["in", "pinned", "qa", "new"] {
        assert_kept_out(store, "e", actor, AssignmentReason::NotRunning);
        assert_refused!(
            assign(store, "e", actor),
            ExperimentError::NotRunning(_, ExperimentState::Paused)
        );
        for is_override in [false, true] {
            assert_refused!(
                record(store, "e", actor, "control", is_override),
                ExperimentError::NotRunning(_, ExperimentState::Paused)
            );
        }
    }
}

/// A pause forgets nothing: not who is in, since when and in which period, not the overrides, not the exposures.
pub fn a_pause_forgets_nothing(store: &dyn ExperimentStore) {
    running(store, "e");
    let first = store.assign(&AssignRequest::new("e", "in").keep_exposure(Some("r")));
    let first = first.unwrap();
    store.set_override("e", "qa", "treatment").unwrap();
    assign(store, "e", "qa").unwrap();
    let kept = || {
        let all = (store.overrides("e").unwrap(), super::scanned(store, "e"));
        let periods = store.weight_periods("e").unwrap();
        (all, periods, store.exposures("e").unwrap())
    };
    let before = kept();
    pause(store, "e").unwrap();
    assert_eq!(kept(), before);
    start(store, "e").unwrap();
    assert_eq!(kept(), before);
    let again = assign(store, "e", "in").unwrap();
    assert_eq!(
        (again.variant, again.reason),
        (first.variant, AssignmentReason::Sticky)
    );
    let pinned = assign(store, "e", "qa").unwrap();
    assert_eq!(pinned.reason, AssignmentReason::Override);
    assert!(!pinned.stored);
}

/// The log says that an experiment was paused and that it was resumed, from which state to which.
pub fn a_pause_is_logged(store: &dyn ExperimentStore) {
    running(store, "e");
    let states = |change: ChangeRecord| {
        assert_eq!(change.actor.as_deref(), Some(OPERATOR));
        let detail = change.detail.unwrap();
        (change.mutation, detail.before.state, detail.after.state)
    };
    let paused = pause(store, "e").unwrap().unwrap();
    assert_eq!(
        states(paused),
        (
            "state=paused".to_owned(),
            Some(ExperimentState::Running),
            Some(ExperimentState::Paused)
        )
    );
    let resumed = start(store, "e").unwrap().unwrap();
    assert_eq!(
        states(resumed),
        (
            "state=running".to_owned(),
            Some(ExperimentState::Paused),
            Some(ExperimentState::Running)
        )
    );
    pause(store, "e").unwrap();
    let concluded = conclude(store, "e", "control").unwrap().unwrap();
    let (_, before, _) = states(concluded);
    assert_eq!(before, Some(ExperimentState::Paused));
    let found = store.get("e").unwrap().unwrap();
    assert_eq!(found.winner.as_deref(), Some("control"));
}

/// What each action gives in each state: the text of the log's entry, `same` if there was nothing to change, or
/// the kind of the refusal.
const TABLE: &str = "
                 draft            running          paused           concluded        archived
    create       updated          AlreadyExists    AlreadyExists    AlreadyExists    Archived
    create_new   AlreadyExists    AlreadyExists    AlreadyExists    AlreadyExists    Archived
    start        state=running    same             state=running    state=running    Archived
    pause        NotRunning       state=paused     same             NotRunning       Archived
    conclude     concluded=b      concluded=b      concluded=b      concluded=b      Archived
    same_winner  concluded=a      concluded=a      concluded=a      same             Archived
    archive      state=archived   state=archived   state=archived   state=archived   same
    set_weights  set_weights      set_weights      set_weights      Concluded        Archived
    coverage     coverage=0.25    coverage=0.25    coverage=0.25    Concluded        Archived
    enrolling    enrolling=false  enrolling=false  enrolling=false  Concluded        Archived
    values       values           values           values           Concluded        Archived
    override     override=x:a     override=x:a     override=x:a     override=x:a     Archived
    clear        same             same             same             same             Archived
    delete       deleted          NotDraft         NotDraft         NotDraft         Archived
    rename       renamed=other    NotDraft         NotDraft         NotDraft         Archived
    unassign     same             same             same             Concluded        Archived
";

/// Every cell of the table of states, each with an experiment of its own. What is done is logged once, what is
/// refused or changes nothing leaves no trace.
pub fn each_state_allows_what_the_table_says(store: &dyn ExperimentStore) {
    let mut rows = TABLE.lines().map(str::split_whitespace);
    let states: Vec<_> = rows
        .by_ref()
        .find(|row| row.clone().count() > 0)
        .unwrap()
        .collect();
    for mut row in rows {
        let Some(action) = row.next() else { continue };
        let cells: Vec<_> = row.collect();
        assert_eq!(cells.len(), states.len(), "{action}");
        for (&state, expected) in states.iter().zip(cells) {
            let name = format!("{action} {state}");
            bring_to(store, &name, ExperimentState::named(state).unwrap());
            let before = snapshot(store, &name);
            let length = store.history(&name, 0).unwrap().len();
            let seen = match act(store, &name, action) {
                Ok(None) => "same".to_owned(),
                Ok(Some(change)) => {
                    let newest = store.history(&change.experiment, 1).unwrap();
                    assert_eq!(newest, std::slice::from_ref(&change));
                    let entries = store.history(&change.experiment, 0).unwrap().len();
                    assert_eq!(entries, length + 1, "{name}");
                    change.mutation
                }
                Err(refusal) => format!("{:?}", refusal.kind()),
            };
            assert_eq!(seen, expected, "{name}");
            let is_refusal = expected.starts_with(char::is_uppercase);
            if is_refusal || expected == "same" {
                assert_eq!(snapshot(store, &name), before, "{name}");
            }
            if action == "rename" && state == "draft" {
                store
                    .mutate(
                        &Mutation::Delete {
                            experiment: "other",
                        },
                        None,
                    )
                    .unwrap();
            }
        }
    }
}

/// An experiment with the variants `a` and `b` in that state, on the way that leads there.
fn bring_to(store: &dyn ExperimentStore, name: &str, state: ExperimentState) {
    create(
        store,
        &ExperimentConfig::new(name, weights(&[("a", 1), ("b", 1)])),
    );
    if state == ExperimentState::Draft {
        return;
    }
    start(store, name).unwrap();
    match state {
        ExperimentState::Draft | ExperimentState::Running => {}
        ExperimentState::Paused => drop(pause(store, name).unwrap()),
        ExperimentState::Concluded => drop(conclude(store, name, "a").unwrap()),
        ExperimentState::Archived => drop(archive(store, name).unwrap()),
    }
}

fn act(
    store: &dyn ExperimentStore,
    name: &str,
    action: &str,
) -> Result<Option<ChangeRecord>, ExperimentError> {
    let draft = || ExperimentConfig::new(name, weights(&[("a", 1), ("b", 2)]));
    match action {
        "create" => store.upsert(draft()),
        "create_new" => store.insert(draft()),
        "start" => start(store, name),
        "pause" => pause(store, name),
        "conclude" => conclude(store, name, "b"),
        "same_winner" => conclude(store, name, "a"),
        "archive" => archive(store, name),
        "set_weights" => store.set_variants(name, draft().variants, None),
        "coverage" => set_coverage(store, name, 2_500),
        "enrolling" => set_enrolling(store, name, false),
        "values" => {
            let values: VariantValues = ["a", "b"]
                .map(|variant| (variant.to_owned(), variant.into()))
                .into_iter()
                .collect();
            let mutation = Mutation::SetValues {
                experiment: name,
                values: &values,
            };
            store.mutate(&mutation, None)
        }
        "override" => store.set_override(name, "x", "a"),
        "clear" => store.clear_override(name, "x"),
        "delete" => store.mutate(&Mutation::Delete { experiment: name }, None),
        "rename" => {
            let mutation = Mutation::Rename {
                experiment: name,
                to: "other",
            };
            store.mutate(&mutation, None)
        }
        "unassign" => {
            let unassigned = store.unassign(name, &["x"], None)?;
            assert_eq!(unassigned.assignments + unassigned.exposures, 0);
            Ok(None)
        }
        other => panic!("{other}"),
    }
}

/// An experiment may be created paused, as a copy does, and resumed.
pub fn a_paused_experiment_may_be_created(store: &dyn ExperimentStore) {
    create(store, &even("e", ExperimentState::Paused));
    assert_eq!(super::state_of(store, "e"), ExperimentState::Paused);
    assert_kept_out(store, "e", "a", AssignmentReason::NotRunning);
    start(store, "e").unwrap().unwrap();
    assign(store, "e", "a").unwrap();
}
