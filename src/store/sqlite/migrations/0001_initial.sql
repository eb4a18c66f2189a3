-- The first schema. Names are stored once and referred to by small integers: the rows that come by
-- the million (assignments, exposures) hold little more than the actor.

-- What an actor can be in only one experiment of. Every experiment is in exactly one space: that of
-- its exclusion group, or a nameless one of its own. So one search of `assignments` finds both the
-- actor's own assignment and any in a sibling.
CREATE TABLE spaces (
    id              INTEGER PRIMARY KEY,
    exclusion_group TEXT UNIQUE
) STRICT;

-- `slot` counts the experiments of a space from 0. `winner` is the index of a variant.
CREATE TABLE experiments (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    description TEXT,
    state       TEXT    NOT NULL CHECK (state IN ('draft', 'running', 'concluded', 'archived')),
    winner      INTEGER,
    space_id    INTEGER NOT NULL,
    slot        INTEGER NOT NULL,
    bucketing   TEXT    NOT NULL CHECK (bucketing IN ('fnv1a', 'fnv1a_mixed')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (space_id, slot)
) STRICT;

-- A variant keeps its row and its `idx` for good, as log entries and exposures go on referring to it;
-- `position` is its place in the experiment's list, or NULL once it is removed. The counts of its
-- assignments are kept here because counting millions of rows takes seconds.
CREATE TABLE variants (
    experiment_id INTEGER NOT NULL,
    idx           INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    weight        INTEGER NOT NULL,
    position      INTEGER,
    assigned      INTEGER NOT NULL DEFAULT 0,
    overridden    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (experiment_id, idx)
) STRICT, WITHOUT ROWID;

-- `variant` is the variant's idx, or -1 - idx if an override made the assignment. `assigned_after` is
-- in seconds since the experiment was created, which takes fewer bytes than a date.
CREATE TABLE assignments (
    space_id       INTEGER NOT NULL,
    actor          TEXT    NOT NULL,
    slot           INTEGER NOT NULL,
    variant        INTEGER NOT NULL,
    assigned_after INTEGER NOT NULL,
    PRIMARY KEY (space_id, actor, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE overrides (
    experiment_id INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    variant       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (experiment_id, actor)
) STRICT, WITHOUT ROWID;

-- In the order in which they happened. `variant` is encoded as in `assignments`. Exposures are only
-- ever read through, so they have no index.
CREATE TABLE exposures (
    id            INTEGER PRIMARY KEY,
    experiment_id INTEGER NOT NULL,
    variant       INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    request_id    TEXT,
    exposed_at    INTEGER NOT NULL
) STRICT;

-- The audit log, in the order in which it happened. `detail` is JSON: what was before and after.
CREATE TABLE changes (
    id            INTEGER PRIMARY KEY,
    experiment_id INTEGER NOT NULL,
    mutation      TEXT    NOT NULL,
    operator      TEXT,
    changed_at    INTEGER NOT NULL,
    detail        TEXT
) STRICT;
CREATE INDEX changes_by_experiment ON changes (experiment_id);
