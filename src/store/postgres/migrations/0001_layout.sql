-- The layout of the Autumn web framework, made where it is missing and left as it is where an
-- application has made it, so that both programs administer the same experiments.
--
-- It is what the application's own migration makes, down to the names of the indexes: whichever program
-- comes first, the other finds what it would have made. That migration can also take the tables back,
-- and does not know of ours. So nothing outside of its tables may depend on them, their row types
-- included, and every file here can be run again over what was left behind.

DO $$ BEGIN
    IF to_regtype('autumn_experiment_state') IS NULL THEN
        CREATE TYPE autumn_experiment_state AS ENUM ('draft', 'running', 'concluded', 'archived');
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS autumn_experiments (
    id              bigserial PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    description     text,
    state           autumn_experiment_state NOT NULL DEFAULT 'draft',
    variants        jsonb NOT NULL DEFAULT '[]',
    winner          text,
    exclusion_group text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS autumn_experiment_assignments (
    id          bigserial PRIMARY KEY,
    experiment  text NOT NULL,
    actor       text NOT NULL,
    variant     text NOT NULL,
    is_override boolean NOT NULL DEFAULT false,
    assigned_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (experiment, actor)
);

CREATE TABLE IF NOT EXISTS autumn_experiment_overrides (
    id         bigserial PRIMARY KEY,
    experiment text NOT NULL,
    actor      text NOT NULL,
    variant    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (experiment, actor)
);

CREATE TABLE IF NOT EXISTS autumn_experiment_changes (
    id         bigserial PRIMARY KEY,
    experiment text NOT NULL,
    mutation   text NOT NULL,
    actor      text,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- Two of them repeat a unique key. They are the application's, and each program may meet the tables
-- that the other has made.
CREATE INDEX IF NOT EXISTS idx_autumn_experiments_name ON autumn_experiments (name);
CREATE INDEX IF NOT EXISTS idx_autumn_experiments_state ON autumn_experiments (state);
CREATE INDEX IF NOT EXISTS idx_autumn_exp_assignments_experiment
    ON autumn_experiment_assignments (experiment);
-- Where the actor's assignments in the siblings of a group are found.
CREATE INDEX IF NOT EXISTS idx_autumn_exp_assignments_actor
    ON autumn_experiment_assignments (actor);
CREATE INDEX IF NOT EXISTS idx_autumn_exp_overrides_experiment
    ON autumn_experiment_overrides (experiment, actor);
CREATE INDEX IF NOT EXISTS idx_autumn_exp_changes_experiment_time
    ON autumn_experiment_changes (experiment, changed_at DESC);

-- Not among our functions, which are replaced with each version: it is the application's, to change as well.
-- By the application's names, so that its own migration can drop both. Where a trigger of another name
-- does the same, that one is enough; where the application's own does not, ours stands beside it.
DO $$
DECLARE
    trigger_name text := 'autumn_experiment_change_notify';
    function_name text := 'autumn_notify_experiment_change';
BEGIN
    IF EXISTS (
        SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = 'autumn_experiment_changes'::regclass AND NOT t.tgisinternal
            AND t.tgenabled <> 'D'
            AND p.prosrc ~* 'notify.*autumn_experiments'
    ) THEN
        RETURN;
    END IF;
    IF to_regproc(function_name) IS NOT NULL THEN
        trigger_name := 'exp_notify_change';
        function_name := 'exp_notify_change';
    END IF;
    EXECUTE format($f$
        CREATE OR REPLACE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql AS $b$
        BEGIN
            PERFORM pg_notify('autumn_experiments', NEW.experiment);
            RETURN NULL;
        END $b$
    $f$, function_name);
    EXECUTE format($f$
        CREATE TRIGGER %I AFTER INSERT ON autumn_experiment_changes
            FOR EACH ROW EXECUTE FUNCTION %I()
    $f$, trigger_name, function_name);
END $$;
