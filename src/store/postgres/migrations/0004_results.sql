-- What results are computed from. `weight_period` of an experiment counts the changes of its variants and
-- their weights; that of an assignment is the period in which it was made. The triggers in `functions.sql` keep
-- them, and the counts, for the application as well.

-- Of experiments that are gone, with tables that the application has taken back.
DO $$ BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = 'autumn_experiments'::regclass
            AND attname = 'weight_period' AND NOT attisdropped
    ) THEN
        DROP TABLE IF EXISTS exp_weight_periods, exp_assignment_counts;
    END IF;
END $$;

ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS weight_period integer NOT NULL DEFAULT 0;

-- How it is analysed, as JSON; NULL where nothing is set.
ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS analysis jsonb;

ALTER TABLE autumn_experiment_assignments ADD COLUMN IF NOT EXISTS weight_period integer NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS exp_weight_periods (
    experiment text NOT NULL,
    period     integer NOT NULL,
    began_at   timestamptz NOT NULL,
    variants   jsonb NOT NULL,
    PRIMARY KEY (experiment, period)
);

-- How many assignments there are: the sum over all rows of the same. Each statement that stores assignments
-- adds rows, so that none waits for another; now and then they are folded. It stays small, and has no index.
CREATE TABLE IF NOT EXISTS exp_assignment_counts (
    experiment    text NOT NULL,
    weight_period integer NOT NULL,
    variant       text NOT NULL,
    is_override   boolean NOT NULL,
    assignments   bigint NOT NULL
);

-- Outcomes in the order in which they were kept.
CREATE TABLE IF NOT EXISTS exp_outcomes (
    key    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor  text NOT NULL,
    metric text NOT NULL,
    value  double precision NOT NULL,
    at     timestamptz NOT NULL,
    id     text
);
CREATE UNIQUE INDEX IF NOT EXISTS exp_outcomes_by_id ON exp_outcomes (metric, id) WHERE id IS NOT NULL;

-- The periods that there were, from the log. An entry of the application does not say what the weights
-- became: they are taken to be those that are known next. What the experiment has now is known in any case.
-- Where the triggers have kept the periods already, those stay.
INSERT INTO exp_weight_periods (experiment, period, began_at, variants)
WITH entries AS (
    SELECT id, experiment, changed_at, mutation, detail IS NULL AS is_bare,
        detail #> '{before,variants}' AS before, detail #> '{after,variants}' AS after
    FROM autumn_experiment_changes
    WHERE isfinite(changed_at) AND (detail #> '{after,variants}' IS NOT NULL
        OR detail IS NULL AND mutation IN ('set_weights', 'updated'))
), creations AS (
    SELECT DISTINCT ON (e.name) e.name AS experiment, e.variants AS present, c.id, c.after,
        CASE WHEN isfinite(e.created_at) THEN e.created_at ELSE 'epoch' END AS at
    FROM autumn_experiments e
    LEFT JOIN entries c ON c.experiment = e.name AND c.mutation = 'created'
    ORDER BY e.name, c.id DESC NULLS LAST
), steps AS (
    SELECT experiment, 0 AS id, at, present, NULL::jsonb AS before, after, true AS begins
    FROM creations
    UNION ALL
    SELECT c.experiment, c.id, c.changed_at, present, c.before, c.after,
        c.is_bare AND c.mutation = 'set_weights'
    FROM entries c JOIN creations n USING (experiment)
    WHERE c.mutation <> 'created' AND c.id > coalesce(n.id, 0)
), known AS (
    SELECT *, CASE WHEN lead(id) OVER w IS NULL THEN present
        ELSE coalesce(after, lead(before) OVER w) END AS variants
    FROM steps WINDOW w AS (PARTITION BY experiment ORDER BY id)
), numbered AS (
    SELECT *, count(variants) OVER (PARTITION BY experiment ORDER BY id DESC) AS next_known FROM known
), filled AS (
    SELECT experiment, id, at, begins,
        first_value(variants) OVER (PARTITION BY experiment, next_known ORDER BY id DESC) AS variants
    FROM numbered
), compared AS (
    SELECT *, lag(variants) OVER (PARTITION BY experiment ORDER BY id) AS earlier FROM filled
)
SELECT experiment, row_number() OVER w - 1, max(at) OVER w, variants
FROM compared
WHERE (begins OR variants <> earlier)
    AND NOT EXISTS (SELECT FROM exp_weight_periods p WHERE p.experiment = compared.experiment)
WINDOW w AS (PARTITION BY experiment ORDER BY id);

UPDATE autumn_experiments e SET weight_period = p.period
FROM (SELECT experiment, max(period) AS period FROM exp_weight_periods GROUP BY experiment) p
WHERE p.experiment = e.name AND p.period > 0 AND e.weight_period = 0;

-- By time. `exp` keeps it in whole seconds: in the second of a change it is the variant that tells, if it had
-- no weight after it. Of an experiment whose weights never changed no assignment is read.
DO $$
DECLARE
    changed text;
BEGIN
    FOR changed IN SELECT DISTINCT experiment FROM exp_weight_periods WHERE period > 0 LOOP
        UPDATE autumn_experiment_assignments a SET weight_period = made.period
        FROM (
            SELECT a.id, max(p.period) AS period
            FROM exp_weight_periods p JOIN autumn_experiment_assignments a ON a.assigned_at > p.began_at
                OR a.assigned_at = date_trunc('second', p.began_at) AND (a.is_override OR jsonb_path_exists(
                    p.variants, '$[*] ? (@.name == $variant && @.weight > 0)',
                    jsonb_build_object('variant', a.variant)))
            WHERE p.experiment = changed AND p.period > 0
                AND a.experiment = changed AND a.weight_period = 0 AND isfinite(a.assigned_at)
            GROUP BY a.id
        ) made
        WHERE made.id = a.id;
    END LOOP;
END $$;

DELETE FROM exp_assignment_counts;
INSERT INTO exp_assignment_counts (experiment, weight_period, variant, is_override, assignments)
SELECT experiment, weight_period, variant, is_override, count(*) FROM autumn_experiment_assignments
GROUP BY experiment, weight_period, variant, is_override;
