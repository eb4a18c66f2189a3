-- The layout of the Autumn web framework, made where it is missing and left as it is where an
-- application has made it, so that both programs administer the same experiments.

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

-- Where the actor's assignments in the siblings of a group are found. The application's own is of
-- this name, too.
CREATE INDEX IF NOT EXISTS idx_autumn_exp_assignments_actor
    ON autumn_experiment_assignments (actor);

-- An application's own trigger does the same under whatever name, but not every trigger does.
DO $$ BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = 'autumn_experiment_changes'::regclass AND NOT t.tgisinternal
            AND t.tgenabled <> 'D'
            AND p.prosrc ~* 'notify.*autumn_experiments'
    ) THEN
        CREATE FUNCTION exp_notify_change() RETURNS trigger LANGUAGE plpgsql AS $f$
        BEGIN
            PERFORM pg_notify('autumn_experiments', NEW.experiment);
            RETURN NULL;
        END $f$;
        CREATE TRIGGER exp_notify_change AFTER INSERT ON autumn_experiment_changes
            FOR EACH ROW EXECUTE FUNCTION exp_notify_change();
    END IF;
END $$;
