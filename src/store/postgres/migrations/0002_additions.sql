-- What `exp` knows and the application does not. Each column has a default or may be empty, so that
-- the application's own statements go on working. Run again, it makes what is missing: an application may
-- drop its tables and make them anew. What the experiments' own row says about assigning, the functions and
-- the triggers are in `functions.sql`.

ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS bucketing text NOT NULL DEFAULT 'fnv1a';

ALTER TABLE autumn_experiment_changes ADD COLUMN IF NOT EXISTS detail jsonb;

-- The audit log is read from its end, one experiment at a time.
CREATE INDEX IF NOT EXISTS exp_changes_by_experiment ON autumn_experiment_changes (experiment, id);

-- Only ever read through, one experiment at a time and rarely, so it has no index but its key.
CREATE TABLE IF NOT EXISTS exp_exposures (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment  text NOT NULL,
    variant     text NOT NULL,
    actor       text NOT NULL,
    request_id  text,
    is_override boolean NOT NULL,
    exposed_at  timestamptz NOT NULL
);
