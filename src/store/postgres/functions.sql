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
-- An application's user may have no rights on tables of ours. So what a trigger writes to them is written by
-- functions that run as their owner (SECURITY DEFINER), on a search path that `migrations.rs` prepares.
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
-- so in the setting `exp.writer`: `exp`, `copy` for one that copies a store, or `counting` for one that also
-- counts the assignments that it stores.
CREATE OR REPLACE FUNCTION exp_variant_names(variants jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT name #>> '{}' FROM jsonb_path_query(variants, '$[*].name') AS name
$$;

-- An update that would remove a variant with assignments affects no row: the application reports that
-- as it reports the assignments that its own check finds. One that makes the list another begins a period.
-- Whoever moves a paused experiment to another state ends the pause: the application sees a draft, and starts it.
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
    NEW.paused := NEW.paused AND NEW.state = 'draft';
    IF NEW.variants <> OLD.variants THEN
        NEW.weight_period := OLD.weight_period + 1;
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS exp_close_gate ON autumn_experiments;
CREATE TRIGGER exp_close_gate BEFORE UPDATE OR DELETE ON autumn_experiments
    FOR EACH ROW EXECUTE FUNCTION exp_close_gate();

-- Keeps the periods of an experiment's weights, once the row is written: what an INSERT finds on conflict
-- is no new experiment. One that is created where assignments of an earlier one of its name are left goes on
-- with its periods. A period begins no earlier than the one before it, whatever a clock or an application
-- that leaves `updated_at` alone says.
CREATE OR REPLACE FUNCTION exp_begin_period() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    at timestamptz := NEW.created_at;
    last record;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        at := NEW.updated_at;
        IF at = OLD.updated_at AND coalesce(current_setting('exp.writer', true), '') = '' THEN
            at := clock_timestamp();
        END IF;
    ELSIF NOT EXISTS (
        SELECT FROM autumn_experiment_assignments WHERE experiment = NEW.name
    ) THEN
        DELETE FROM exp_weight_periods WHERE experiment = NEW.name;
    END IF;
    IF NOT isfinite(at) THEN
        at := clock_timestamp();
    END IF;
    SELECT period, began_at INTO last FROM exp_weight_periods
        WHERE experiment = NEW.name ORDER BY period DESC LIMIT 1;
    IF last.period >= NEW.weight_period THEN
        -- Not by its own trigger, as the list stays.
        UPDATE autumn_experiments SET weight_period = last.period + 1 WHERE name = NEW.name;
    END IF;
    INSERT INTO exp_weight_periods (experiment, period, began_at, variants)
        VALUES (NEW.name, greatest(NEW.weight_period, last.period + 1),
            greatest(at, last.began_at), NEW.variants);
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS exp_begin_first_period ON autumn_experiments;
CREATE TRIGGER exp_begin_first_period AFTER INSERT ON autumn_experiments
    FOR EACH ROW WHEN (current_setting('exp.writer', true) IS DISTINCT FROM 'copy')
    EXECUTE FUNCTION exp_begin_period();
DROP TRIGGER IF EXISTS exp_begin_next_period ON autumn_experiments;
CREATE TRIGGER exp_begin_next_period AFTER UPDATE ON autumn_experiments
    FOR EACH ROW WHEN (NEW.variants <> OLD.variants)
    EXECUTE FUNCTION exp_begin_period();

-- Adds up the rows that count the assignments of an experiment, unless another transaction does so at the
-- moment, (1163415622, 1), or this one may not see what others have added up since it began. About every
-- thousandth assignment asks for it.
CREATE OR REPLACE FUNCTION exp_fold_counts(in_experiment text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed'
        OR NOT pg_try_advisory_xact_lock(1163415622, 1)
    THEN
        RETURN;
    END IF;
    WITH folded AS (
        DELETE FROM exp_assignment_counts WHERE experiment = in_experiment RETURNING *
    )
    INSERT INTO exp_assignment_counts (experiment, weight_period, variant, is_override, assignments)
    SELECT experiment, weight_period, variant, is_override, sum(assignments) FROM folded
    GROUP BY experiment, weight_period, variant, is_override HAVING sum(assignments) <> 0;
END $$;

-- Counts assignments that are about to be stored, all at once.
CREATE OR REPLACE FUNCTION exp_count_many(
    in_experiment text, in_period integer, in_variants text[], in_counts bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('exp.writer', 'counting', true);
    INSERT INTO exp_assignment_counts (experiment, weight_period, variant, is_override, assignments)
        SELECT in_experiment, in_period, variant, false, assignments
        FROM unnest(in_variants, in_counts) AS counted (variant, assignments);
    PERFORM exp_fold_counts(in_experiment);
END $$;

-- Counts what a statement changes of assignments that are stored, or removes.
CREATE OR REPLACE FUNCTION exp_count_changes() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM exp_assignment_counts;
        RETURN NULL;
    END IF;
    INSERT INTO exp_assignment_counts (experiment, weight_period, variant, is_override, assignments)
        SELECT experiment, weight_period, variant, is_override, -count(*) FROM removed
        GROUP BY experiment, weight_period, variant, is_override;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO exp_assignment_counts (experiment, weight_period, variant, is_override, assignments)
            SELECT experiment, weight_period, variant, is_override, count(*) FROM added
            GROUP BY experiment, weight_period, variant, is_override;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS exp_count_changed ON autumn_experiment_assignments;
CREATE TRIGGER exp_count_changed AFTER UPDATE ON autumn_experiment_assignments
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION exp_count_changes();
DROP TRIGGER IF EXISTS exp_count_removed ON autumn_experiment_assignments;
CREATE TRIGGER exp_count_removed AFTER DELETE ON autumn_experiment_assignments
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION exp_count_changes();
DROP TRIGGER IF EXISTS exp_count_none ON autumn_experiment_assignments;
CREATE TRIGGER exp_count_none AFTER TRUNCATE ON autumn_experiment_assignments
    FOR EACH STATEMENT EXECUTE FUNCTION exp_count_changes();

-- Counts an assignment that a row trigger sees, and refuses the application's of a variant that the experiment
-- does not have. It may be of an experiment in any state, or of none: the application serves its experiments
-- from a memory that may be older. It gets the period of the weights that hold.
--
-- After the row and not before it, as a COPY would otherwise store its rows one by one.
CREATE OR REPLACE FUNCTION exp_check_assignment() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    present record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO exp_assignment_counts (experiment, weight_period, variant, is_override, assignments)
            VALUES (NEW.experiment, NEW.weight_period, NEW.variant, NEW.is_override, 1);
        IF NEW.id % 1000 = 0 THEN
            PERFORM exp_fold_counts(NEW.experiment);
        END IF;
    END IF;
    IF current_setting('exp.writer', true) <> '' THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1163415621, hashtext(NEW.experiment));
    SELECT e.weight_period, exp_has_variant(e.variants, NEW.variant) AS has_variant INTO present
        FROM autumn_experiments e WHERE e.name = NEW.experiment;
    IF NOT present.has_variant THEN
        RAISE EXCEPTION 'experiment ''%'' has no variant ''%''', NEW.experiment, NEW.variant;
    END IF;
    IF present.weight_period <> NEW.weight_period THEN
        UPDATE autumn_experiment_assignments SET weight_period = present.weight_period
            WHERE id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS exp_check_assignment ON autumn_experiment_assignments;
CREATE TRIGGER exp_check_assignment AFTER INSERT ON autumn_experiment_assignments
    FOR EACH ROW WHEN (coalesce(current_setting('exp.writer', true), '') NOT IN ('counting', 'copy'))
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

-- An override that the application sets again is another one, without end: what it knows nothing of goes.
CREATE OR REPLACE FUNCTION exp_set_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.expires_at := NULL;
    NEW.reason := NULL;
    NEW.operator := NULL;
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS exp_set_again ON autumn_experiment_overrides;
CREATE TRIGGER exp_set_again BEFORE UPDATE OF variant ON autumn_experiment_overrides
    FOR EACH ROW WHEN (coalesce(current_setting('exp.writer', true), '') = ''
        AND NEW.expires_at IS NOT DISTINCT FROM OLD.expires_at
        AND NEW.reason IS NOT DISTINCT FROM OLD.reason
        AND NEW.operator IS NOT DISTINCT FROM OLD.operator)
    EXECUTE FUNCTION exp_set_again();

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

-- Whether the actor's override has expired at that time. An expired one counts as none, and so does the
-- assignment that it made: whoever looks at an assignment asks if it `is_override`.
CREATE OR REPLACE FUNCTION exp_has_expired(in_experiment text, in_actor text, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM autumn_experiment_overrides
        WHERE experiment = in_experiment AND actor = in_actor AND expires_at <= at
    )
$$;

-- All that decides an actor's assignment at that time. Override and assignment are told as they are stored;
-- `sibling` is another experiment of the group in which the actor has an assignment that counts.
CREATE OR REPLACE FUNCTION exp_situation_VERSION(in_experiment text, in_actor text, at timestamptz) RETURNS TABLE (
    TYPED_CONFIGURATION,
    pinned text, pinned_at bigint, pinned_until bigint, pinned_for text, pinned_by text,
    assigned text, is_override boolean, assigned_at bigint, sibling text
) LANGUAGE sql STABLE AS $$
    SELECT CONFIGURATION,
        o.variant, floor(extract(epoch FROM o.created_at))::bigint,
        floor(extract(epoch FROM o.expires_at))::bigint, o.reason, o.operator,
        a.variant, a.is_override, floor(extract(epoch FROM a.assigned_at))::bigint,
        (SELECT s.name FROM autumn_experiment_assignments b
         JOIN autumn_experiments s ON s.name = b.experiment
         WHERE b.actor = in_actor AND s.exclusion_group = e.exclusion_group AND s.name <> e.name
            AND NOT (b.is_override AND exp_has_expired(b.experiment, in_actor, at))
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

-- The exposure of an assignment that is stored in a running experiment: its variant, or NULL and no exposure if
-- the experiment is not as it was seen or nothing is stored. `pinned` is whether an override is behind it that
-- holds, to a variant that the experiment has, and `seen_is_override` whether the assignment is an override's,
-- which may have outlived it; it is NULL as well if either is not so any more.
--
-- A function, because its INSERT sees what was committed before the gate opened, which the statement
-- that calls it may not.
CREATE OR REPLACE FUNCTION exp_show_again_VERSION(
    in_experiment text, in_actor text, seen_version bigint, pinned boolean, seen_is_override boolean,
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
        WHERE a.experiment = in_experiment AND a.actor = in_actor AND e.exp_version = seen_version
            AND a.is_override = seen_is_override
            AND CASE WHEN pinned THEN a.is_override AND o.variant = a.variant
                AND exp_has_variant(e.variants, o.variant) AND (o.expires_at > at) IS NOT FALSE
                ELSE o.variant IS NULL OR o.expires_at <= at AND NOT a.is_override END
        RETURNING variant INTO shown;
    RETURN shown;
END $$;

-- The second half of an assignment: stores what the rules decided, if all that they looked at is
-- still so. FALSE, and nothing stored, if anything is otherwise; the caller then reads and decides
-- again. `seen_pinned` and `seen_until` are the override, expired or not, and `seen_variant` is the assignment, also
-- of an override that has expired; a newcomer's takes its place.
--
-- A function, because each of its statements sees what was committed before it began: those after
-- the lock see what its last holder stored. The lock is the one that the application takes.
CREATE OR REPLACE FUNCTION exp_store_assignment_VERSION(
    in_experiment text, in_actor text, seen_version bigint, seen_pinned text, seen_until bigint,
    seen_variant text, seen_is_override boolean,
    new_variant text, new_is_override boolean, at timestamptz,
    store boolean, expose boolean, in_request_id text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    in_group text;
    in_period integer;
    found_pinned text;
    found_until bigint;
    found_variant text;
    found_is_override boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(in_actor));
    PERFORM pg_advisory_xact_lock_shared(1163415621, hashtext(in_experiment)),
        set_config('exp.writer', 'exp', true);
    SELECT exclusion_group, weight_period INTO in_group, in_period FROM autumn_experiments
        WHERE name = in_experiment AND exp_version = seen_version;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT variant, floor(extract(epoch FROM expires_at))::bigint INTO found_pinned, found_until
        FROM autumn_experiment_overrides
        WHERE experiment = in_experiment AND actor = in_actor;
    IF found_pinned IS DISTINCT FROM seen_pinned OR found_until IS DISTINCT FROM seen_until THEN
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
                (experiment, actor, variant, is_override, assigned_at, weight_period)
                VALUES (in_experiment, in_actor, new_variant, true, at, in_period)
                ON CONFLICT (experiment, actor) DO UPDATE
                SET variant = excluded.variant, is_override = true, assigned_at = excluded.assigned_at,
                    weight_period = excluded.weight_period;
        ELSE
            IF in_group IS NOT NULL AND EXISTS (
                SELECT FROM autumn_experiment_assignments a
                JOIN autumn_experiments e ON e.name = a.experiment
                WHERE a.actor = in_actor AND e.exclusion_group = in_group
                    AND e.name <> in_experiment
                    AND NOT (a.is_override AND exp_has_expired(a.experiment, in_actor, at))
            ) THEN
                RETURN false;
            END IF;
            INSERT INTO autumn_experiment_assignments AS stored
                (experiment, actor, variant, is_override, assigned_at, weight_period)
                VALUES (in_experiment, in_actor, new_variant, false, at, in_period)
                ON CONFLICT (experiment, actor) DO UPDATE
                SET variant = excluded.variant, is_override = false, assigned_at = excluded.assigned_at,
                    weight_period = excluded.weight_period
                WHERE stored.is_override AND stored.variant = seen_variant;
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
-- else to know, an override that is not stored yet or whose assignment has expired with it, a sibling, a newer
-- version, nothing is stored, `given` is NULL, and the other columns are the situation, for the caller to decide.
CREATE OR REPLACE FUNCTION exp_assign_VERSION(
    in_experiment text, in_actor text, seen_version bigint, new_variant text, at timestamptz,
    expose boolean, in_request_id text
) RETURNS TABLE (
    TYPED_CONFIGURATION,
    pinned text, pinned_at bigint, pinned_until bigint, pinned_for text, pinned_by text,
    assigned text, is_override boolean, assigned_at bigint, sibling text,
    given text, is_new boolean, is_pinned boolean
) LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE
    stored_id bigint;
    stored_period integer;
BEGIN
    SELECT NOT EXISTS (
            SELECT FROM autumn_experiment_assignments a
            WHERE a.experiment = in_experiment AND a.actor = in_actor
        ) INTO is_new
        FROM autumn_experiments e
        WHERE e.name = in_experiment AND e.exp_version = seen_version;
    IF NOT exp_assign_VERSION.is_new THEN
        SELECT a.variant, o.variant IS NOT NULL AND (o.expires_at > at) IS NOT FALSE, a.is_override
            INTO given, is_pinned, is_override
            FROM autumn_experiments e
            JOIN autumn_experiment_assignments a
                ON a.experiment = in_experiment AND a.actor = in_actor
            LEFT JOIN autumn_experiment_overrides o
                ON o.experiment = in_experiment AND o.actor = in_actor
            WHERE e.name = in_experiment AND e.exp_version = seen_version
                AND CASE WHEN o.variant IS NULL THEN true
                    WHEN o.expires_at <= at THEN NOT a.is_override
                    ELSE a.is_override AND a.variant = o.variant AND exp_has_variant(e.variants, o.variant) END;
        IF FOUND AND expose THEN
            exp_assign_VERSION.given := exp_show_again_VERSION(
                in_experiment, in_actor, seen_version, exp_assign_VERSION.is_pinned,
                exp_assign_VERSION.is_override, in_request_id, at);
        END IF;
    ELSIF exp_assign_VERSION.is_new THEN
        is_pinned := false;
        is_override := false;
        PERFORM pg_advisory_xact_lock(hashtext(in_actor)),
            pg_advisory_xact_lock_shared(1163415621, hashtext(in_experiment)),
            set_config('exp.writer', 'counting', true);
        INSERT INTO autumn_experiment_assignments AS stored
            (experiment, actor, variant, is_override, assigned_at, weight_period)
            SELECT in_experiment, in_actor, new_variant, false, at, e.weight_period
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
                        AND NOT (b.is_override AND exp_has_expired(b.experiment, in_actor, at))
                )
            ON CONFLICT (experiment, actor) DO NOTHING
            RETURNING stored.variant, stored.id, stored.weight_period
            INTO given, stored_id, stored_period;
        IF FOUND THEN
            INSERT INTO exp_assignment_counts
                (experiment, weight_period, variant, is_override, assignments)
                VALUES (in_experiment, stored_period, new_variant, false, 1);
            IF stored_id % 1000 = 0 THEN
                PERFORM exp_fold_counts(in_experiment);
            END IF;
            IF expose THEN
                INSERT INTO exp_exposures
                    (experiment, variant, actor, request_id, is_override, exposed_at)
                    VALUES (in_experiment, new_variant, in_actor, in_request_id, false, at);
            END IF;
        END IF;
    END IF;
    IF exp_assign_VERSION.given IS NOT NULL THEN
        RETURN NEXT;
    ELSE
        RETURN QUERY SELECT s.*, NULL::text, false, false
            FROM exp_situation_VERSION(in_experiment, in_actor, at) s;
    END IF;
END $$;

-- What people read by SQL. A view of a table would keep the application from dropping it and from changing a
-- column, so each is a view of a function, which looks for the table when it is called. The planner puts the
-- function's query in its place.
CREATE OR REPLACE FUNCTION exp_read_assignments() RETURNS TABLE (
    experiment text, actor text, variant text, is_override boolean, assigned_at timestamptz,
    weight_period integer
) LANGUAGE sql STABLE AS $$
    SELECT a.experiment::text, a.actor::text, a.variant::text, a.is_override, a.assigned_at, a.weight_period
    FROM autumn_experiment_assignments a
$$;
CREATE OR REPLACE VIEW exp_view_assignments AS SELECT * FROM exp_read_assignments();

CREATE OR REPLACE FUNCTION exp_read_exposures() RETURNS TABLE (
    experiment text, actor text, variant text, is_override boolean, request_id text, exposed_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT x.experiment, x.actor, x.variant, x.is_override, x.request_id, x.exposed_at FROM exp_exposures x
$$;
CREATE OR REPLACE VIEW exp_view_exposures AS SELECT * FROM exp_read_exposures();

CREATE OR REPLACE FUNCTION exp_read_outcomes() RETURNS TABLE (
    actor text, metric text, value double precision, at timestamptz, id text
) LANGUAGE sql STABLE AS $$
    SELECT o.actor, o.metric, o.value, o.at, o.id FROM exp_outcomes o
$$;
CREATE OR REPLACE VIEW exp_view_outcomes AS SELECT * FROM exp_read_outcomes();

CREATE OR REPLACE FUNCTION exp_read_changes() RETURNS TABLE (
    experiment text, mutation text, operator text, changed_at timestamptz, detail jsonb
) LANGUAGE sql STABLE AS $$
    SELECT c.experiment::text, c.mutation::text, c.actor::text, c.changed_at, c.detail
    FROM autumn_experiment_changes c
$$;
CREATE OR REPLACE VIEW exp_view_changes AS SELECT * FROM exp_read_changes();

-- A store that is watched by an older program learns of it here.
NOTIFY exp_schema;
