-- Whom an experiment takes in. `salt` is hashed in place of the name. `coverage` is the share of the
-- newcomers who enter, in steps of 0.0001.
ALTER TABLE experiments ADD COLUMN salt TEXT;
ALTER TABLE experiments ADD COLUMN coverage INTEGER NOT NULL DEFAULT 10000
    CHECK (coverage BETWEEN 1 AND 10000);
