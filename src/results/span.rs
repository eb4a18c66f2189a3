//! From when to when an experiment ran, by its log.

use crate::experiment::{ChangeKind, ChangeRecord, ExperimentState};

/// From when to when an experiment ran, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it was first started; of one that was not, when it was created.
    pub from_secs: u64,
    /// When it was concluded, or archived if that was earlier; `None` while it is neither.
    pub end_secs: Option<u64>,
}

impl Span {
    /// By the log, newest first, as [`history`](crate::ExperimentStore::history) gives it.
    #[must_use]
    pub fn of_log(history: &[ChangeRecord]) -> Self {
        let mut started = None;
        let mut end_secs = None;
        for change in history.iter().rev() {
            let at = change.timestamp_secs;
            match state_after(change) {
                Some(ExperimentState::Running) => {
                    started = started.or(Some(at));
                    end_secs = None;
                }
                Some(ExperimentState::Concluded | ExperimentState::Archived) => {
                    end_secs = end_secs.or(Some(at));
                }
                Some(ExperimentState::Draft | ExperimentState::Paused) | None => {}
            }
        }
        let created = history.last().map_or(0, |change| change.timestamp_secs);
        Self {
            from_secs: started.unwrap_or(created),
            end_secs,
        }
    }
}

/// The state that an entry moves the experiment to. Another program's entries have no detail.
fn state_after(change: &ChangeRecord) -> Option<ExperimentState> {
    match change.kind() {
        ChangeKind::Concluded { .. } => Some(ExperimentState::Concluded),
        ChangeKind::State { state } => Some(state),
        _ => change.detail.as_ref()?.after.state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, &str)]) -> Vec<ChangeRecord> {
        let entries = entries.iter().rev();
        let change = |&(timestamp_secs, mutation): &(u64, &str)| ChangeRecord {
            experiment: "e".to_owned(),
            mutation: mutation.to_owned(),
            actor: None,
            timestamp_secs,
            detail: None,
        };
        entries.map(change).collect()
    }

    #[test]
    fn it_runs_from_its_first_start_to_its_conclusion() {
        let of = |entries: &[(u64, &str)]| {
            let span = Span::of_log(&log(entries));
            (span.from_secs, span.end_secs)
        };
        assert_eq!(of(&[]), (0, None));
        assert_eq!(of(&[(1, "created"), (2, "set_weights")]), (1, None));
        let whole = [
            (1, "created"),
            (5, "state=running"),
            (9, "concluded=a"),
            (10, "concluded=b"),
            (11, "state=archived"),
        ];
        assert_eq!(of(&whole[..2]), (5, None));
        assert_eq!(of(&whole), (5, Some(9)));
        let restarted = [
            (5, "state=running"),
            (9, "concluded=a"),
            (10, "state=running"),
        ];
        assert_eq!(of(&restarted), (5, None));
        assert_eq!(of(&[(1, "created"), (4, "state=archived")]), (1, Some(4)));
    }
}
