-- What results are made of: the period of weights in which each actor was assigned, how an experiment is
-- analysed, outcomes, and views for whoever reads the store by SQL.

-- How an experiment is analysed, as JSON; NULL if all of it is as by default. `weight_period` is the number of
-- the present one.
ALTER TABLE experiments ADD COLUMN analysis TEXT;
ALTER TABLE experiments ADD COLUMN weight_period INTEGER NOT NULL DEFAULT 0;

-- The number of the period takes no byte in a row that is there already, one for 0 and 1, and two up to 127.
ALTER TABLE assignments ADD COLUMN weight_period INTEGER NOT NULL DEFAULT 0;

-- The time between two changes of an experiment's variants or weights, numbered from 0. `variants` is JSON: the
-- list that held in it.
CREATE TABLE weight_periods (
    experiment_id INTEGER NOT NULL,
    period        INTEGER NOT NULL,
    began_at      INTEGER NOT NULL,
    variants      TEXT    NOT NULL,
    PRIMARY KEY (experiment_id, period)
) STRICT, WITHOUT ROWID;

-- How many assignments of a period buckets made, and how many overrides made, as counting millions of rows takes
-- seconds. `variant` is an idx.
CREATE TABLE assignment_counts (
    experiment_id INTEGER NOT NULL,
    weight_period INTEGER NOT NULL,
    variant       INTEGER NOT NULL,
    assigned      INTEGER NOT NULL DEFAULT 0,
    overridden    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (experiment_id, weight_period, variant)
) STRICT, WITHOUT ROWID;

-- The log tells when weights changed, and what they were before and after. Of an entry without that, which
-- another program made, the next one that has it says what was before it. The last period has the present list.
INSERT INTO weight_periods (experiment_id, period, began_at, variants)
WITH entries AS MATERIALIZED (
    SELECT id, experiment_id, mutation, changed_at, detail,
        CASE WHEN json_valid(detail) THEN detail ->> '$.before.variants' END AS before,
        CASE WHEN json_valid(detail) THEN detail ->> '$.after.variants' END AS after
    FROM changes
    WHERE mutation IN ('created', 'updated', 'set_weights', 'repaired=removed-variant')
),
begun AS MATERIALIZED (
    SELECT experiment_id, changed_at, before, after,
        row_number() OVER (PARTITION BY experiment_id ORDER BY id) AS period
    FROM entries
    WHERE mutation <> 'created' AND (detail IS NULL OR before IS NOT after)
    UNION ALL
    SELECT e.id, e.created_at, NULL, (
        SELECT c.after FROM entries c WHERE c.experiment_id = e.id AND c.mutation = 'created'
        ORDER BY c.id LIMIT 1), 0
    FROM experiments e
),
present AS (
    SELECT experiment_id, json_group_array(
        json_object('name', name, 'weight', weight) ORDER BY position) AS variants
    FROM variants WHERE position IS NOT NULL GROUP BY experiment_id
)
SELECT b.experiment_id, b.period, b.changed_at, CASE
    WHEN b.period < (SELECT max(o.period) FROM begun o WHERE o.experiment_id = b.experiment_id)
    THEN coalesce(b.after, (
        SELECT l.before FROM begun l
        WHERE l.experiment_id = b.experiment_id AND l.period > b.period AND l.before IS NOT NULL
        ORDER BY l.period LIMIT 1), p.variants, '[]')
    ELSE coalesce(p.variants, '[]') END
FROM begun b JOIN experiments e ON e.id = b.experiment_id
LEFT JOIN present p ON p.experiment_id = b.experiment_id;

UPDATE experiments SET weight_period = (
    SELECT max(p.period) FROM weight_periods p WHERE p.experiment_id = experiments.id);

-- By time, which is in whole seconds: in the second of a change it is the variant that tells, if it had no
-- weight after it. The signs and CROSS JOIN have SQLite begin with the experiments, which are few: where no weights
-- have changed, no assignment is read.
UPDATE assignments SET weight_period = coalesce((
    SELECT max(p.period) FROM weight_periods p
    WHERE p.experiment_id = e.id AND (
        p.began_at < e.created_at + assignments.assigned_after
        OR p.began_at = e.created_at + assignments.assigned_after
            AND (assignments.variant < 0 OR EXISTS (
                SELECT 1 FROM json_each(p.variants) listed
                JOIN variants v ON v.name = listed.value ->> 'name'
                WHERE v.experiment_id = e.id AND v.idx = assignments.variant
                    AND listed.value ->> 'weight' > 0)))), 0)
FROM experiments e
WHERE e.weight_period > 0
    AND assignments.space_id = +e.space_id AND assignments.slot = +e.slot
    AND e.created_at + assignments.assigned_after >= (
        SELECT min(p.began_at) FROM weight_periods p WHERE p.experiment_id = e.id AND p.period > 0);

INSERT INTO assignment_counts (experiment_id, weight_period, variant, assigned, overridden)
SELECT v.experiment_id, 0, v.idx, v.assigned, v.overridden
FROM variants v JOIN experiments e ON e.id = v.experiment_id
WHERE e.weight_period = 0 AND (v.assigned <> 0 OR v.overridden <> 0);

INSERT INTO assignment_counts (experiment_id, weight_period, variant, assigned, overridden)
SELECT e.id, a.weight_period, CASE WHEN a.variant < 0 THEN -1 - a.variant ELSE a.variant END AS idx,
    count(*) FILTER (WHERE a.variant >= 0), count(*) FILTER (WHERE a.variant < 0)
FROM experiments e CROSS JOIN assignments a ON a.space_id = e.space_id AND a.slot = e.slot
WHERE e.weight_period > 0 GROUP BY e.id, a.weight_period, idx;

ALTER TABLE variants DROP COLUMN assigned;
ALTER TABLE variants DROP COLUMN overridden;

-- What actors did that a metric counts, in the order in which it was kept; of no experiment.
CREATE TABLE metrics (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE outcomes (
    id          INTEGER PRIMARY KEY,
    metric_id   INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    value       REAL    NOT NULL,
    happened_at INTEGER NOT NULL,
    outcome_id  TEXT
) STRICT;

-- Of the outcomes of a metric with the same id only the first is kept.
CREATE UNIQUE INDEX outcomes_by_id ON outcomes (metric_id, outcome_id) WHERE outcome_id IS NOT NULL;

-- What is read by SQL from outside. Their names and columns stay as they are in every later version.
CREATE VIEW exp_view_assignments AS
SELECT e.name AS experiment, a.actor AS actor, v.name AS variant, a.variant < 0 AS is_override,
    strftime('%Y-%m-%dT%H:%M:%SZ', e.created_at + a.assigned_after, 'unixepoch') AS assigned_at,
    a.weight_period AS weight_period
FROM assignments a
JOIN experiments e ON e.space_id = a.space_id AND e.slot = a.slot
JOIN variants v ON v.experiment_id = e.id
    AND v.idx = CASE WHEN a.variant < 0 THEN -1 - a.variant ELSE a.variant END;

CREATE VIEW exp_view_exposures AS
SELECT e.name AS experiment, x.actor AS actor, v.name AS variant, x.variant < 0 AS is_override,
    x.request_id AS request_id,
    strftime('%Y-%m-%dT%H:%M:%SZ', x.exposed_at, 'unixepoch') AS exposed_at
FROM exposures x
JOIN experiments e ON e.id = x.experiment_id
JOIN variants v ON v.experiment_id = e.id
    AND v.idx = CASE WHEN x.variant < 0 THEN -1 - x.variant ELSE x.variant END;

CREATE VIEW exp_view_outcomes AS
SELECT o.actor AS actor, m.name AS metric, o.value AS value,
    strftime('%Y-%m-%dT%H:%M:%SZ', o.happened_at, 'unixepoch') AS at, o.outcome_id AS id
FROM outcomes o JOIN metrics m ON m.id = o.metric_id;

CREATE VIEW exp_view_changes AS
SELECT e.name AS experiment, c.mutation AS mutation, c.operator AS operator,
    strftime('%Y-%m-%dT%H:%M:%SZ', c.changed_at, 'unixepoch') AS changed_at, c.detail AS detail
FROM changes c JOIN experiments e ON e.id = c.experiment_id;
