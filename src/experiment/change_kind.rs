//! What kind of change an entry of the audit log tells of, taken out of its text.

use serde::Serialize;

use super::change::{ChangeRecord, ChangeSide};
use super::config::ExperimentState;
use crate::coverage::Coverage;

/// The kind of a change, and the parts that its text names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "parts", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// The experiment was created.
    Created,
    /// Several fields of its configuration changed in one step, or one that has no kind of its own.
    Updated,
    /// It was started, paused, resumed, started again or archived.
    State {
        /// The state that it has now.
        state: ExperimentState,
    },
    /// It was concluded.
    Concluded {
        /// The variant that everybody gets.
        winner: String,
    },
    /// Its weights, or its variants.
    SetWeights,
    /// It was closed to newcomers, or opened.
    Enrolling {
        /// Whether newcomers may enter.
        enrolling: bool,
    },
    /// Its coverage.
    Coverage {
        /// The share of the newcomers who enter.
        coverage: Coverage,
    },
    /// What its variants stand for.
    Values,
    /// What it is judged by.
    Metrics,
    /// A variant was pinned to an actor.
    Override {
        /// The participant. `None` where another program wrote a text that can be read in several ways.
        actor: Option<String>,
        /// The variant. `None` as above.
        variant: Option<String>,
    },
    /// The override of an actor was taken away.
    OverrideCleared {
        /// The participant.
        actor: String,
    },
    /// Assignments were taken back.
    Unassigned {
        /// How many.
        assignments: u64,
    },
    /// Exposures were removed.
    ExposuresPruned {
        /// How many.
        exposures: u64,
    },
    /// The experiment got another name.
    Renamed {
        /// The name that it has now.
        name: String,
    },
    /// The experiment was deleted.
    Deleted,
    /// A fault of the store was repaired.
    Repaired {
        /// The code of the fault, as `exp store check` has it.
        code: String,
    },
    /// Another program wrote a text that is none of these.
    Other,
}

impl ChangeRecord {
    /// Its kind, and the parts that its text names.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        let known = match self.mutation.split_once('=') {
            None => match &*self.mutation {
                "created" => Some(ChangeKind::Created),
                "updated" => Some(ChangeKind::Updated),
                "set_weights" => Some(ChangeKind::SetWeights),
                "values" => Some(ChangeKind::Values),
                "metrics" => Some(ChangeKind::Metrics),
                "deleted" => Some(ChangeKind::Deleted),
                _ => None,
            },
            Some((kind, rest)) => {
                let after = self.detail.as_ref().map(|detail| &detail.after);
                with_parts(kind, rest, after)
            }
        };
        known.unwrap_or(ChangeKind::Other)
    }
}

fn with_parts(kind: &str, rest: &str, after: Option<&ChangeSide>) -> Option<ChangeKind> {
    Some(match kind {
        "state" => ChangeKind::State {
            state: ExperimentState::named(rest)?,
        },
        "concluded" => ChangeKind::Concluded {
            winner: rest.to_owned(),
        },
        "enrolling" => ChangeKind::Enrolling {
            enrolling: rest.parse().ok()?,
        },
        "coverage" => ChangeKind::Coverage {
            coverage: rest.parse().ok()?,
        },
        "override" => {
            let pinned = after.and_then(|after| after.pinned.as_deref());
            let (actor, variant) = actor_and_variant(rest, pinned).unzip();
            ChangeKind::Override {
                actor: actor.map(str::to_owned),
                variant: variant.map(str::to_owned),
            }
        }
        "override_cleared" => ChangeKind::OverrideCleared {
            actor: rest.to_owned(),
        },
        "unassigned" => ChangeKind::Unassigned {
            assignments: rest.parse().ok()?,
        },
        "exposures_pruned" => ChangeKind::ExposuresPruned {
            exposures: rest.parse().ok()?,
        },
        "repaired" => ChangeKind::Repaired {
            code: rest.to_owned(),
        },
        "renamed" => ChangeKind::Renamed {
            name: rest.to_owned(),
        },
        _ => return None,
    })
}

/// Takes `actor:variant` apart. Both may hold colons, so it takes the variant to find the one between them.
fn actor_and_variant<'a>(text: &'a str, variant: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    if let Some(variant) = variant {
        let actor = text.strip_suffix(variant)?.strip_suffix(':')?;
        return Some((actor, variant));
    }
    let parts = text.split_once(':')?;
    (!parts.1.contains(':')).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ChangeDetail;

    fn kind(mutation: &str, pinned: Option<&str>) -> ChangeKind {
        let after = ChangeSide {
            pinned: pinned.map(str::to_owned),
            ..ChangeSide::default()
        };
        let detail = pinned.map(|_| ChangeDetail {
            before: ChangeSide::default(),
            after,
        });
        ChangeRecord {
            experiment: "e".to_owned(),
            mutation: mutation.to_owned(),
            actor: None,
            timestamp_secs: 0,
            detail,
        }
        .kind()
    }

    fn pinned(actor: &str, variant: &str) -> ChangeKind {
        ChangeKind::Override {
            actor: Some(actor.to_owned()),
            variant: Some(variant.to_owned()),
        }
    }

    #[test]
    fn an_override_is_taken_apart_by_its_variant() {
        assert_eq!(kind("override=a:b:c", Some("c")), pinned("a:b", "c"));
        assert_eq!(kind("override=a:b:c", Some("b:c")), pinned("a", "b:c"));
        assert_eq!(kind("override=a=1:b", Some("b")), pinned("a=1", "b"));
    }

    #[test]
    fn an_override_of_another_program_is_taken_apart_where_there_is_one_way() {
        assert_eq!(kind("override=user 1:b", None), pinned("user 1", "b"));
        let unknown = ChangeKind::Override {
            actor: None,
            variant: None,
        };
        assert_eq!(kind("override=user:1:b", None), unknown);
    }

    #[test]
    fn what_another_program_wrote_is_no_error() {
        for text in ["", "=", "state=", "state=gone", "weights=1", "coverage=all"] {
            assert_eq!(kind(text, None), ChangeKind::Other, "{text:?}");
        }
    }
}
