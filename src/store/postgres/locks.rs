//! The locks, in the order in which everybody takes them: turns, actors, rows of assignments that are taken back, rows
//! of experiments, gates.
//!
//! An actor's is the one that the reference's application takes. The gate of an experiment is made, and
//! explained, in `functions.sql`, as is the setting `exp.writer`.

macro_rules! lock_actors {
    () => {
        // In one order, so that two who take many never wait for each other.
        "SELECT pg_advisory_xact_lock(key) FROM ( \
             SELECT DISTINCT hashtext(actor) AS key FROM unnest($1::text[]) AS actor ORDER BY key \
         ) keys"
    };
}

/// Under it one mutation follows another: they are rare, and none waits for two.
pub(super) const TAKE_TURNS: &str =
    "SELECT pg_advisory_xact_lock(1163415635, 1), set_config('exp.writer', 'exp', true)";
/// These actors are assigned by nobody else.
pub(super) const LOCK_ACTORS: &str = lock_actors!();
/// The experiment is changed by nobody else.
pub(super) const LOCK_EXPERIMENT: &str =
    "SELECT 1 FROM autumn_experiments WHERE name = $1 FOR UPDATE";
/// Nobody assigns in the experiment.
pub(super) const CLOSE_GATE: &str = "SELECT pg_advisory_xact_lock(1163415621, hashtext($1))";
/// The experiment is not changed.
pub(super) const SHARE_GATE: &str = "SELECT pg_advisory_xact_lock_shared(1163415621, hashtext($1)), \
    set_config('exp.writer', 'exp', true)";
/// Both, in one round trip.
pub(super) const LOCK_ACTORS_AND_SHARE_GATE: &str = concat!(
    "WITH locked AS MATERIALIZED (",
    lock_actors!(),
    "), counted AS MATERIALIZED (SELECT count(*) FROM locked) \
     SELECT pg_advisory_xact_lock_shared(1163415621, hashtext($2)), \
         set_config('exp.writer', 'exp', true) FROM counted"
);
