//! Many rows a statement.

use std::fmt::Write as _;

use rusqlite::Statement;

use crate::assignment::{AssignManyRequest, Verdict};
use crate::store::sqlite::experiments::Stored;

/// An actor's answer, before it is stored.
#[derive(Clone, Copy)]
pub(super) struct Settled<'a> {
    pub(super) place: u32,
    pub(super) verdict: Verdict<'a>,
    /// The `idx` of its variant.
    pub(super) variant: Option<usize>,
    /// Whether an assignment of the actor is there that does not count.
    pub(super) replaces: bool,
}

/// Parameters 1 to 4 are the space, the slot, the time and the period; then each row's actor and variant.
pub(super) fn insert_statement(rows: usize) -> String {
    let mut sql = "INSERT INTO assignments
        (space_id, actor, slot, variant, assigned_after, weight_period) VALUES"
        .to_owned();
    for row in 0..rows {
        let comma = if row == 0 { "" } else { "," };
        let actor = 5 + row * 2;
        let _ = write!(sql, "{comma} (?1, ?{actor}, ?2, ?{}, ?3, ?4)", actor + 1);
    }
    sql.push_str(" ON CONFLICT DO NOTHING");
    sql
}

/// Binds and runs it; says how many rows were new.
pub(super) fn insert(
    insert: &mut Statement<'_>,
    request: &AssignManyRequest<'_>,
    experiment: &Stored,
    now: i64,
    rows: &[&Settled<'_>],
) -> rusqlite::Result<usize> {
    insert.raw_bind_parameter(1, experiment.space)?;
    insert.raw_bind_parameter(2, experiment.slot)?;
    insert.raw_bind_parameter(3, now.saturating_sub(experiment.created_at))?;
    insert.raw_bind_parameter(4, experiment.weight_period)?;
    for (index, row) in rows.iter().enumerate() {
        let actor = 5 + index * 2;
        insert.raw_bind_parameter(actor, request.actors[row.place as usize])?;
        insert.raw_bind_parameter(actor + 1, row.variant.unwrap_or_default())?;
    }
    insert.raw_execute()
}
