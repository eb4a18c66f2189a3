//! What the rows say of each other, as queries that return nothing where all is well.

use crate::store::survey::{Invariant, StoreFault};

macro_rules! orphans {
    ($table:literal) => {
        concat!(
            "SELECT o.experiment, count(*) FROM ",
            $table,
            " o WHERE NOT EXISTS (SELECT FROM autumn_experiments e WHERE e.name = o.experiment)
             GROUP BY o.experiment ORDER BY o.experiment"
        )
    };
}

macro_rules! infinite {
    ($name:literal, $table:literal, $($time:literal),+) => {
        concat!(
            "SELECT ", $name, ", count(*) FROM ", $table,
            " WHERE NOT (true" $(, " AND isfinite(", $time, ")")+, ") GROUP BY 1 ORDER BY 1"
        )
    };
}

const fn orphan(noun: &'static str, sql: &'static str) -> Invariant {
    Invariant {
        code: StoreFault::Orphan,
        sql,
        subject: "experiment",
        noun,
        what: "of an experiment that is not there",
        repairable: false,
    }
}

const fn infinite(noun: &'static str, sql: &'static str) -> Invariant {
    Invariant {
        code: StoreFault::InfiniteTime,
        sql,
        subject: "experiment",
        noun,
        what: "at a time that is infinite",
        repairable: false,
    }
}

/// The log of an experiment that `exp` has deleted stays, and ends with that.
const LOG_OF_NONE: &str = "SELECT experiment, count(*) FROM autumn_experiment_changes c
    WHERE NOT EXISTS (SELECT FROM autumn_experiments e WHERE e.name = c.experiment)
    GROUP BY experiment
    HAVING (array_agg(mutation ORDER BY id DESC))[1] <> 'deleted' ORDER BY experiment";

/// What the rows say of each other. An application that deletes an experiment leaves its rows behind.
pub(super) const INVARIANTS: &[Invariant] = &[
    Invariant {
        code: StoreFault::RemovedVariant,
        sql: "SELECT a.experiment, count(*) FROM autumn_experiment_assignments a
             JOIN autumn_experiments e ON e.name = a.experiment
             WHERE NOT e.variants @> jsonb_build_array(jsonb_build_object('name', a.variant))
             GROUP BY a.experiment ORDER BY a.experiment",
        subject: "experiment",
        noun: "assignment",
        what: "of a variant that it does not have",
        repairable: true,
    },
    Invariant {
        code: StoreFault::SharedActor,
        sql: "SELECT exclusion_group, count(*) FROM (
                 SELECT e.exclusion_group, a.actor FROM autumn_experiment_assignments a
                 JOIN autumn_experiments e ON e.name = a.experiment
                 WHERE e.exclusion_group IS NOT NULL AND NOT a.is_override
                 GROUP BY e.exclusion_group, a.actor HAVING count(*) > 1
             ) twice GROUP BY exclusion_group ORDER BY exclusion_group",
        subject: "group",
        noun: "actor",
        what: "assigned in two of its experiments",
        repairable: false,
    },
    Invariant {
        code: StoreFault::UnknownPeriod,
        sql: "SELECT a.experiment, count(*) FROM autumn_experiment_assignments a
             JOIN autumn_experiments e ON e.name = a.experiment
             WHERE a.weight_period NOT BETWEEN 0 AND e.weight_period
             GROUP BY a.experiment ORDER BY a.experiment",
        subject: "experiment",
        noun: "assignment",
        what: "of a weight period that it never had",
        repairable: false,
    },
    Invariant {
        code: StoreFault::InvalidExperiment,
        sql: "SELECT name, 1::bigint FROM autumn_experiments
             WHERE paused AND state <> 'draft' ORDER BY name",
        subject: "experiment",
        noun: "state",
        what: "that none has while it is paused",
        repairable: false,
    },
    Invariant {
        code: StoreFault::Unreadable,
        sql: "SELECT metric, count(*) FROM exp_outcomes
             WHERE value IN ('NaN', 'infinity', '-infinity') GROUP BY metric ORDER BY metric",
        subject: "metric",
        noun: "outcome",
        what: "whose value is not a finite number",
        repairable: false,
    },
    Invariant {
        code: StoreFault::Miscounted,
        sql: "SELECT experiment, sum(abs(difference))::bigint FROM (
                 SELECT experiment, sum(assignments) AS difference FROM (
                     SELECT experiment, weight_period, variant, is_override, assignments
                     FROM exp_assignment_counts
                     UNION ALL
                     SELECT experiment, weight_period, variant, is_override, -count(*)
                     FROM autumn_experiment_assignments
                     GROUP BY experiment, weight_period, variant, is_override
                 ) counted GROUP BY experiment, weight_period, variant, is_override
             ) differences WHERE difference <> 0 GROUP BY experiment ORDER BY experiment",
        subject: "experiment",
        noun: "assignment",
        what: "more or less than it counts",
        repairable: true,
    },
    orphan("assignment", orphans!("autumn_experiment_assignments")),
    orphan("override", orphans!("autumn_experiment_overrides")),
    orphan("exposure", orphans!("exp_exposures")),
    orphan("entry", LOG_OF_NONE),
    infinite(
        "assignment",
        infinite!("experiment", "autumn_experiment_assignments", "assigned_at"),
    ),
    infinite(
        "override",
        infinite!(
            "experiment",
            "autumn_experiment_overrides",
            "created_at",
            "expires_at"
        ),
    ),
    infinite(
        "exposure",
        infinite!("experiment", "exp_exposures", "exposed_at"),
    ),
    Invariant {
        subject: "metric",
        ..infinite("outcome", infinite!("metric", "exp_outcomes", "at"))
    },
];

pub(super) const EXPERIMENT_TIMES: Invariant = infinite(
    "own time",
    infinite!("name", "autumn_experiments", "created_at", "updated_at"),
);
pub(super) const LOG_TIMES: Invariant = infinite(
    "log entry",
    infinite!("experiment", "autumn_experiment_changes", "changed_at"),
);
