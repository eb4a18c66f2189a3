-- Whom an experiment takes in. `salt` is hashed in place of the name. `coverage` is the share of the
-- newcomers who enter, in steps of 0.0001. The application hashes the name, and enrols everybody.
ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS salt text;
ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS coverage integer NOT NULL DEFAULT 10000
    CHECK (coverage BETWEEN 1 AND 10000);
