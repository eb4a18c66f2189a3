-- Who enters and second thoughts: an experiment may be paused, be closed to newcomers, and say what its variants
-- stand for; an override may have an end; and the log of an experiment that was deleted stays.

-- A CHECK cannot be changed but in the text of its table. A new column in place of this one would break whatever
-- view somebody has made of it.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, '''running'', ''concluded''', '''running'', ''paused'', ''concluded''')
WHERE type = 'table' AND name = 'experiments';
PRAGMA writable_schema = RESET;

-- Whether newcomers may enter. `variant_values` is a JSON object: what each variant stands for, by the variant's
-- name; NULL if no variant stands for anything.
ALTER TABLE experiments ADD COLUMN enrolling INTEGER NOT NULL DEFAULT 1 CHECK (enrolling IN (0, 1));
ALTER TABLE experiments ADD COLUMN variant_values TEXT;

-- From the second `expires_at` on an override counts as none, and so does the assignment that it made.
ALTER TABLE overrides ADD COLUMN expires_at INTEGER;
ALTER TABLE overrides ADD COLUMN reason TEXT;
ALTER TABLE overrides ADD COLUMN operator TEXT;

-- The log tells who set an override. LEFT JOIN has SQLite look the entries up by their text.
INSERT INTO overrides (experiment_id, actor, variant, created_at, operator)
SELECT o.experiment_id, o.actor, o.variant, o.created_at, logged.operator
FROM overrides o
JOIN variants v ON v.experiment_id = o.experiment_id AND v.idx = o.variant
LEFT JOIN (
    SELECT experiment_id, mutation, operator, max(id) FROM changes
    WHERE mutation GLOB 'override=*' GROUP BY experiment_id, mutation
) logged ON logged.experiment_id = o.experiment_id
    AND logged.mutation = 'override=' || o.actor || ':' || v.name
WHERE true
ON CONFLICT DO UPDATE SET operator = excluded.operator;

-- The number under which the log of a deleted experiment stays, until an experiment of that name takes it over.
CREATE TABLE deleted_experiments (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

DROP VIEW exp_view_changes;
CREATE VIEW exp_view_changes AS
SELECT e.name AS experiment, c.mutation AS mutation, c.operator AS operator,
    strftime('%Y-%m-%dT%H:%M:%SZ', c.changed_at, 'unixepoch') AS changed_at, c.detail AS detail
FROM changes c
JOIN (SELECT id, name FROM experiments UNION ALL SELECT id, name FROM deleted_experiments) e
    ON e.id = c.experiment_id;
