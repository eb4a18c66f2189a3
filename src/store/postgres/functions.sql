-- The functions and the triggers that `exp` adds, and the column that is calculated for them. A change of the
-- version applies this file as a whole, after the migrations, so it is edited where it stands: whoever edits
-- it adds a migration, which makes the version a new one, if only one that says why.
--
-- Four words stand for what is put in before it is applied: VERSION for the schema's version, and three for
-- lists of the columns of an experiment, which `experiments.rs` has: CONFIGURATION, TYPED_CONFIGURATION and
-- DECIDING.
--
-- How a program of an older version is kept from deciding, though it runs on while the schema is changed:
--
-- * What assigns in a single call has the version in its name, and the others are dropped here. So an older
--   program calls what is not there any more; the check costs nothing.
-- * All else that it asks, in transactions and outside of them, is sent behind `exp_require(version)`. That
--   reads `exp_migrations`, which whoever changes the schema locks first: a transaction that has passed is
--   waited for, and one that has not waits, and then sees the new version.
-- * A call that was under way but had touched no table yet goes on with the old body once the tables are free.
--   It finds the experiment by its `exp_version`, and as that is another in every version of the schema it
--   finds nothing, and asks for the situation by a name that is gone.
--
-- What an older program needs to find out that it is the older one stays for ever: the table
-- `exp_migrations`, the column `exp_version`, and `exp_require(integer)`, which fails with EXP01.

DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN
        SELECT oid FROM pg_proc WHERE pg_function_is_visible(oid)
            AND proname ~ '^exp_(situation|show_again|store_assignment|assign)(_[0-9]+)?$'
    LOOP
        EXECUTE 'DROP FUNCTION ' || old;
    END LOOP;
END $$;

-- What the row says about assigning, in 64 bits: two rows that have it in common assign alike. Of the
-- content, because a number that the server gives to a row, as xmin, can come again with another
-- content on the server that takes over when one has failed.
ALTER TABLE autumn_experiments DROP COLUMN IF EXISTS exp_version;
ALTER TABLE autumn_experiments ADD COLUMN exp_version bigint NOT NULL GENERATED ALWAYS AS (
    hash_record_extended(ROW(DECIDING), VERSION)
) STORED;

-- Fails where the schema is another than the caller's version works with, or a copy into it is not
-- finished: sent at the beginning of a transaction, it keeps the rest of it from being done, and the schema
-- from being changed until the transaction ends. It is not STABLE, so that it sees what was committed
-- while it waited for the table.
CREATE OR REPLACE FUNCTION exp_require(version integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT max(m.version) FROM exp_migrations m) IS DISTINCT FROM exp_require.version
        OR to_regclass('exp_copy') IS NOT NULL
    THEN
        RAISE EXCEPTION 'the schema is another one, or a copy is unfinished' USING ERRCODE = 'EXP01';
    END IF;
END $$;

-- The gate of an experiment is the advisory lock (1163415621, hashtext(name)), "EXPE" in ASCII. Assignments
-- share it, a change of the experiment holds it exclusively, and waiters are served in order. A lock
-- of the row would do as much, but sharing a row writes to it, and a change of it can be overtaken
-- without end.
--
-- Triggers close and share it for the application, which does not know of it. What the application has
-- looked at before may be old once it has waited, so they look again: in a function each statement sees
-- what was committed before it began. A transaction of `exp`, which looks behind the gate itself, says
-- so in the setting `exp.writer`: `exp`, or `copy` for one that copies a store.
CREATE OR REPLACE FUNCTION exp_variant_names(variants jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT name #>> '{}' FROM jsonb_path_query(variants, '$[*].name') AS name
$$;

-- An update that would remove a variant with assignments affects no row: the application reports that
-- as it reports the assignments that its own check finds.
CREATE OR REPLACE FUNCTION exp_close_gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    removed text;
BEGIN
    PERFORM pg_advisory_xact_lock(1163415621, hashtext(OLD.name));
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    -- One after another: where none is removed, as with new weights, no assignment is read.
    FOR removed IN
        SELECT exp_variant_names(OLD.variants) EXCEPT SELECT exp_variant_names(NEW.variants)
    LOOP
        IF EXISTS (
            SELECT FROM autumn_experiment_assignments
            WHERE experiment = OLD.name AND variant = removed
        ) THEN
            RETURN NULL;
        END IF;
    END LOOP;
    NEW.updated_at := greatest(NEW.updated_at, NEW.created_at);
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS exp_close_gate ON autumn_experiments;
CREATE TRIGGER exp_close_gate BEFORE UPDATE OR DELETE ON autumn_experiments
    FOR EACH ROW EXECUTE FUNCTION exp_close_gate();

-- An assignment of a variant that the experiment does not have is refused. It may be of an experiment
-- in any state, or of none: the application serves its experiments from a memory that may be older.
--
-- After the row and not before it, as a COPY would otherwise store its rows one by one.
CREATE OR REPLACE FUNCTION exp_check_assignment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1163415621, hashtext(NEW.experiment));
    IF EXISTS (
        SELECT FROM autumn_experiments e
        WHERE e.name = NEW.experiment AND NOT exp_has_variant(e.variants, NEW.variant)
    ) THEN
        RAISE EXCEPTION 'experiment ''%'' has no variant ''%''', NEW.experiment, NEW.variant;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS exp_check_assignment ON autumn_experiment_assignments;
CREATE TRIGGER exp_check_assignment AFTER INSERT ON autumn_experiment_assignments
    FOR EACH ROW WHEN (coalesce(current_setting('exp.writer', true), '') = '')
    EXECUTE FUNCTION exp_check_assignment();
DROP TRIGGER IF EXISTS exp_check_changed_assignment ON autumn_experiment_assignments;
CREATE TRIGGER exp_check_changed_assignment AFTER UPDATE OF variant ON autumn_experiment_assignments
    FOR EACH ROW WHEN (NEW.variant IS DISTINCT FROM OLD.variant
        AND coalesce(current_setting('exp.writer', true), '') = '')
    EXECUTE FUNCTION exp_check_assignment();

-- Overrides are set while nobody changes the experiment, so that the log has the change in its order.
CREATE OR REPLACE FUNCTION exp_share_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1163415621, hashtext(NEW.experiment));
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS exp_share_gate ON autumn_experiment_overrides;
CREATE TRIGGER exp_share_gate BEFORE INSERT OR UPDATE ON autumn_experiment_overrides
    FOR EACH ROW WHEN (coalesce(current_setting('exp.writer', true), '') = '')
    EXECUTE FUNCTION exp_share_gate();

-- The application shows the log by time, and `exp` as it was written: an entry is later than the one
-- before it, also if its transaction began earlier or a clock says otherwise. Several of the application
-- may be written at once: each waits for the one before it, (1163415638, hashtext(name)), and only then
-- takes its place. A copy keeps the second that was copied.
CREATE OR REPLACE FUNCTION exp_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    after timestamptz;
BEGIN
    IF coalesce(current_setting('exp.writer', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock(1163415638, hashtext(NEW.experiment));
        NEW.id := nextval(pg_get_serial_sequence('autumn_experiment_changes', 'id'));
    END IF;
    SELECT changed_at + interval '1 microsecond' INTO after FROM autumn_experiment_changes
        WHERE experiment = NEW.experiment AND isfinite(changed_at) ORDER BY id DESC LIMIT 1;
    IF after > NEW.changed_at AND (
        current_setting('exp.writer', true) IS DISTINCT FROM 'copy'
        OR after < date_trunc('second', NEW.changed_at) + interval '1 second'
    ) THEN
        NEW.changed_at := after;
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS exp_order_change ON autumn_experiment_changes;
CREATE TRIGGER exp_order_change BEFORE INSERT ON autumn_experiment_changes
    FOR EACH ROW EXECUTE FUNCTION exp_order_change();

-- All that decides an actor's assignment. `sibling` is another experiment of the group in which the
-- actor has an assignment.
CREATE OR REPLACE FUNCTION exp_situation_VERSION(in_experiment text, in_actor text) RETURNS TABLE (
    TYPED_CONFIGURATION,
    pinned text, assigned text, is_override boolean, assigned_at bigint, sibling text
) LANGUAGE sql STABLE AS $$
    SELECT CONFIGURATION,
        o.variant, a.variant, a.is_override, floor(extract(epoch FROM a.assigned_at))::bigint,
        (SELECT s.name FROM autumn_experiment_assignments b
         JOIN autumn_experiments s ON s.name = b.experiment
         WHERE b.actor = in_actor AND s.exclusion_group = e.exclusion_group AND s.name <> e.name
         ORDER BY s.name COLLATE "C" LIMIT 1)
    FROM autumn_experiments e
    LEFT JOIN autumn_experiment_overrides o ON o.experiment = e.name AND o.actor = in_actor
    LEFT JOIN autumn_experiment_assignments a ON a.experiment = e.name AND a.actor = in_actor
    WHERE e.name = in_experiment
$$;

-- Of the list and not of the row: a function of the row's type would keep the application from
-- dropping its table.
CREATE OR REPLACE FUNCTION exp_has_variant(variants jsonb, variant text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT variants @> jsonb_build_array(jsonb_build_object('name', variant))
$$;

-- The exposure of an assignment that is stored: its variant, or NULL and no exposure if the experiment
-- does not run or nothing is stored. `pinned` is whether an override is behind it, to a variant that
-- the experiment has, and `seen_is_override` whether the assignment is an override's, which may have
-- outlived it; it is NULL as well if either is not so any more.
--
-- A function, because its INSERT sees what was committed before the gate opened, which the statement
-- that calls it may not.
CREATE OR REPLACE FUNCTION exp_show_again_VERSION(
    in_experiment text, in_actor text, pinned boolean, seen_is_override boolean,
    in_request_id text, at timestamptz
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    shown text;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1163415621, hashtext(in_experiment));
    INSERT INTO exp_exposures (experiment, variant, actor, request_id, is_override, exposed_at)
        SELECT a.experiment, a.variant, a.actor, in_request_id, a.is_override, at
        FROM autumn_experiment_assignments a
        JOIN autumn_experiments e ON e.name = a.experiment
        LEFT JOIN autumn_experiment_overrides o
            ON o.experiment = a.experiment AND o.actor = a.actor
        WHERE a.experiment = in_experiment AND a.actor = in_actor AND e.state = 'running'
            AND a.is_override = seen_is_override
            AND CASE WHEN pinned THEN a.is_override AND o.variant = a.variant
                AND exp_has_variant(e.variants, o.variant)
                ELSE o.variant IS NULL END
        RETURNING variant INTO shown;
    RETURN shown;
END $$;

-- The second half of an assignment: stores what the rules decided, if all that they looked at is
-- still so. FALSE, and nothing stored, if anything is otherwise; the caller then reads and decides
-- again.
--
-- A function, because each of its statements sees what was committed before it began: those after
-- the lock see what its last holder stored. The lock is the one that the application takes.
CREATE OR REPLACE FUNCTION exp_store_assignment_VERSION(
    in_experiment text, in_actor text, seen_version bigint, seen_pinned text,
    seen_variant text, seen_is_override boolean,
    new_variant text, new_is_override boolean, at timestamptz,
    store boolean, expose boolean, in_request_id text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    in_group text;
    found_variant text;
    found_is_override boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(in_actor));
    PERFORM pg_advisory_xact_lock_shared(1163415621, hashtext(in_experiment)),
        set_config('exp.writer', 'exp', true);
    SELECT exclusion_group INTO in_group FROM autumn_experiments
        WHERE name = in_experiment AND exp_version = seen_version;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF (SELECT variant FROM autumn_experiment_overrides
        WHERE experiment = in_experiment AND actor = in_actor) IS DISTINCT FROM seen_pinned THEN
        RETURN false;
    END IF;
    SELECT variant, is_override INTO found_variant, found_is_override
        FROM autumn_experiment_assignments
        WHERE experiment = in_experiment AND actor = in_actor;
    IF found_variant IS DISTINCT FROM seen_variant
        OR found_is_override IS DISTINCT FROM seen_is_override THEN
        RETURN false;
    END IF;
    IF store THEN
        IF new_is_override THEN
            INSERT INTO autumn_experiment_assignments
                (experiment, actor, variant, is_override, assigned_at)
                VALUES (in_experiment, in_actor, new_variant, true, at)
                ON CONFLICT (experiment, actor) DO UPDATE
                SET variant = excluded.variant, is_override = true, assigned_at = excluded.assigned_at;
        ELSE
            IF in_group IS NOT NULL AND EXISTS (
                SELECT FROM autumn_experiment_assignments a
                JOIN autumn_experiments e ON e.name = a.experiment
                WHERE a.actor = in_actor AND e.exclusion_group = in_group
                    AND e.name <> in_experiment
            ) THEN
                RETURN false;
            END IF;
            INSERT INTO autumn_experiment_assignments
                (experiment, actor, variant, is_override, assigned_at)
                VALUES (in_experiment, in_actor, new_variant, false, at)
                ON CONFLICT (experiment, actor) DO NOTHING;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
        END IF;
    END IF;
    IF expose THEN
        INSERT INTO exp_exposures (experiment, variant, actor, request_id, is_override, exposed_at)
            VALUES (in_experiment, new_variant, in_actor, in_request_id, new_is_override, at);
    END IF;
    RETURN true;
END $$;

-- A whole assignment in one call, for who has seen the running experiment in this version before:
-- what is stored, or `new_variant` where nothing is. Only standing rules are repeated here: whether a
-- newcomer may enter, and with which variant, the caller's entry rules have decided. If there is anything
-- else to know, an override that is not stored yet, a sibling, a newer version, nothing is
-- stored, `given` is NULL, and the other columns are the situation, for the caller to decide.
CREATE OR REPLACE FUNCTION exp_assign_VERSION(
    in_experiment text, in_actor text, seen_version bigint, new_variant text, at timestamptz,
    expose boolean, in_request_id text
) RETURNS TABLE (
    TYPED_CONFIGURATION,
    pinned text, assigned text, is_override boolean, assigned_at bigint, sibling text,
    given text, is_new boolean, is_pinned boolean
) LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
    SELECT NOT EXISTS (
            SELECT FROM autumn_experiment_assignments a
            WHERE a.experiment = in_experiment AND a.actor = in_actor
        ) INTO is_new
        FROM autumn_experiments e
        WHERE e.name = in_experiment AND e.exp_version = seen_version;
    IF NOT exp_assign_VERSION.is_new THEN
        SELECT a.variant, o.variant IS NOT NULL, a.is_override INTO given, is_pinned, is_override
            FROM autumn_experiments e
            JOIN autumn_experiment_assignments a
                ON a.experiment = in_experiment AND a.actor = in_actor
            LEFT JOIN autumn_experiment_overrides o
                ON o.experiment = in_experiment AND o.actor = in_actor
            WHERE e.name = in_experiment AND e.exp_version = seen_version
                AND (o.variant IS NULL OR a.is_override AND a.variant = o.variant
                    AND exp_has_variant(e.variants, o.variant));
        IF FOUND AND expose THEN
            exp_assign_VERSION.given := exp_show_again_VERSION(
                in_experiment, in_actor, exp_assign_VERSION.is_pinned, exp_assign_VERSION.is_override,
                in_request_id, at);
        END IF;
    ELSIF exp_assign_VERSION.is_new THEN
        is_pinned := false;
        is_override := false;
        PERFORM pg_advisory_xact_lock(hashtext(in_actor)),
            pg_advisory_xact_lock_shared(1163415621, hashtext(in_experiment)),
            set_config('exp.writer', 'exp', true);
        INSERT INTO autumn_experiment_assignments AS stored
            (experiment, actor, variant, is_override, assigned_at)
            SELECT in_experiment, in_actor, new_variant, false, at
            FROM autumn_experiments e
            WHERE e.name = in_experiment AND e.exp_version = seen_version
                AND NOT EXISTS (
                    SELECT FROM autumn_experiment_overrides o
                    WHERE o.experiment = in_experiment AND o.actor = in_actor
                )
                AND NOT EXISTS (
                    SELECT FROM autumn_experiment_assignments b
                    JOIN autumn_experiments s ON s.name = b.experiment
                    WHERE b.actor = in_actor AND s.exclusion_group = e.exclusion_group
                        AND s.name <> in_experiment
                )
            ON CONFLICT (experiment, actor) DO NOTHING
            RETURNING stored.variant INTO given;
        IF FOUND AND expose THEN
            INSERT INTO exp_exposures
                (experiment, variant, actor, request_id, is_override, exposed_at)
                VALUES (in_experiment, new_variant, in_actor, in_request_id, false, at);
        END IF;
    END IF;
    IF exp_assign_VERSION.given IS NOT NULL THEN
        RETURN NEXT;
    ELSE
        RETURN QUERY SELECT s.*, NULL::text, false, false
            FROM exp_situation_VERSION(in_experiment, in_actor) s;
    END IF;
END $$;

-- A store that is watched by an older program learns of it here.
NOTIFY exp_schema;
