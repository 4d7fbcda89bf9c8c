-- +goose Up

-- The tables of the views belong to the owner of the log, as all tables do. Until now
-- the service made them, and so could make whatever else it liked in their schema,
-- where an owner who looks at the views would have run it. It makes, exchanges and
-- drops them by these functions now, and may create nothing.

-- What a view's table is: %1$I is the schema. A new version of a view is a line more in
-- a function of this name, in a migration of its own.
-- +goose StatementBegin
CREATE FUNCTION kassa_views.definition(view text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE view
    WHEN 'balances_v1' THEN '
        CREATE TABLE %1$I.balances_v1 (
            user_id   text COLLATE "C" PRIMARY KEY,
            available bigint NOT NULL CHECK (available >= 0),
            held      bigint NOT NULL CHECK (held >= 0),
            position  bigint NOT NULL
        ) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05)'
    WHEN 'transactions_v1' THEN '
        CREATE TABLE %1$I.transactions_v1 (
            user_id       text COLLATE "C" NOT NULL,
            position      bigint      NOT NULL,
            type          text COLLATE "C" NOT NULL,
            status        text        NOT NULL,
            amount        bigint      NOT NULL,
            balance_after bigint      NOT NULL,
            at            timestamptz NOT NULL,
            prediction    text COLLATE "C" NOT NULL,
            admin         text        NOT NULL,
            reason        text        NOT NULL,
            reference     text        NOT NULL,
            PRIMARY KEY (user_id, position)
        );
        CREATE INDEX transactions_v1_type ON %1$I.transactions_v1 (user_id, type, position)'
    WHEN 'predictions_v1' THEN '
        CREATE TABLE %1$I.predictions_v1 (
            id              text COLLATE "C" PRIMARY KEY,
            user_id         text COLLATE "C" NOT NULL,
            state           text COLLATE "C" NOT NULL,
            text            bytea STORAGE EXTERNAL,
            price           bigint      NOT NULL,
            wanted          int         NOT NULL,
            requested_at    timestamptz NOT NULL,
            expires_at      timestamptz NOT NULL,
            position        bigint      NOT NULL,
            ended_at        timestamptz,
            end_position    bigint      NOT NULL,
            movies          text, -- JSON, as the answer had it
            model           text        NOT NULL,
            catalogue       text        NOT NULL,
            processing_time float8      NOT NULL,
            failure         text        NOT NULL,
            CHECK ((state = ''held'') = (ended_at IS NULL) AND (state = ''held'') = (end_position = 0))
        );
        CREATE UNIQUE INDEX predictions_v1_user ON %1$I.predictions_v1 (user_id, position);
        CREATE INDEX predictions_v1_state ON %1$I.predictions_v1 (user_id, state, position);
        CREATE INDEX predictions_v1_open ON %1$I.predictions_v1 (expires_at, position) WHERE state = ''held'''
    WHEN 'users_v1' THEN '
        CREATE TABLE %1$I.users_v1 (
            id           text COLLATE "C" PRIMARY KEY,
            email        bytea,
            admin        boolean     NOT NULL,
            signed_up_at timestamptz NOT NULL,
            position     bigint      NOT NULL
        );
        CREATE UNIQUE INDEX users_v1_position ON %1$I.users_v1 (position)'
    WHEN 'trial_v1' THEN '
        CREATE TABLE %1$I.trial_v1 (
            account text COLLATE "C" PRIMARY KEY,
            amount  bigint NOT NULL
        ) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0)'
    END
$$;
-- +goose StatementEnd

-- What the service may do with a view's table: to fill it, to empty it, and to keep it
-- fit. MAINTAIN is of PostgreSQL 17; without it the first readers of a rebuilt view find
-- a table that the server has not analysed yet.
-- +goose StatementBegin
CREATE FUNCTION kassa_views.give(place text, view text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %I.%I TO kassa_app', place, view);
    IF current_setting('server_version_num')::int >= 170000 THEN
        EXECUTE format('GRANT MAINTAIN ON %I.%I TO kassa_app', place, view);
    END IF;
END $$;
-- +goose StatementEnd

-- Makes a view's table, empty and at position 0, where it is missing: a position never
-- outlives its table. One transaction after the other makes, exchanges or drops tables.
-- +goose StatementBegin
CREATE FUNCTION kassa_views.make(place text, view text) RETURNS boolean LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ddl constant text := kassa_views.definition(view);
BEGIN
    IF place NOT IN ('kassa_views', 'kassa_views_next') OR ddl IS NULL THEN
        RAISE EXCEPTION 'there is no view %.%', place, view USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('kassa views'));
    IF to_regclass(format('%I.%I', place, view)) IS NOT NULL THEN
        EXECUTE format('INSERT INTO %I.positions (view, position) VALUES ($1, 0) ON CONFLICT DO NOTHING', place) USING view;
        RETURN false;
    END IF;
    EXECUTE format(ddl, place);
    PERFORM kassa_views.give(place, view);
    EXECUTE format('INSERT INTO %I.positions AS p (view, position) VALUES ($1, 0) ON CONFLICT ON CONSTRAINT positions_pkey DO UPDATE SET position = 0', place) USING view;
    RETURN true;
END $$;
-- +goose StatementEnd

-- Drops a table of a view, of this version or another, and its position with it. The
-- caller's lock_timeout holds.
-- +goose StatementBegin
CREATE FUNCTION kassa_views.drop(place text, view text) RETURNS boolean LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was constant regclass := to_regclass(format('%I.%I', place, view));
    n bigint;
BEGIN
    IF place NOT IN ('kassa_views', 'kassa_views_next') OR view !~ '^[a-z_]+_v[0-9]+$' THEN
        RAISE EXCEPTION 'there is no view %.%', place, view USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('kassa views'));
    EXECUTE format('DROP TABLE IF EXISTS %I.%I', place, view);
    EXECUTE format('DELETE FROM %I.positions WHERE view = $1', place) USING view;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN was IS NOT NULL OR n > 0;
END $$;
-- +goose StatementEnd

-- Puts the table that was built beside the served one in its place, with its position.
-- +goose StatementBegin
CREATE FUNCTION kassa_views.switch(view text) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF kassa_views.definition(view) IS NULL OR to_regclass(format('kassa_views_next.%I', view)) IS NULL THEN
        RAISE EXCEPTION 'there is no new table of the view %', view USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('kassa views'));
    EXECUTE format('DROP TABLE IF EXISTS kassa_views.%I', view);
    EXECUTE format('ALTER TABLE kassa_views_next.%I SET SCHEMA kassa_views', view);
    -- The row of the position stays: those who write the view wait for its lock.
    WITH built AS (DELETE FROM kassa_views_next.positions p WHERE p.view = switch.view RETURNING p.*)
        INSERT INTO kassa_views.positions TABLE built ON CONFLICT ON CONSTRAINT positions_pkey DO UPDATE SET position = excluded.position;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.definition(text), kassa_views.give(text, text), kassa_views.make(text, text),
    kassa_views.drop(text, text), kassa_views.switch(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kassa_views.make(text, text), kassa_views.drop(text, text), kassa_views.switch(text) TO kassa_app;

-- The tables that the service made change their owner; half built ones go. Processes
-- that run meanwhile go on.
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'kassa_views_next'::regnamespace AND relkind = 'r' AND relname <> 'positions' LOOP
        EXECUTE format('DROP TABLE kassa_views_next.%I', name);
    END LOOP;
    DELETE FROM kassa_views_next.positions;
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'kassa_views'::regnamespace AND relkind = 'r' AND relname <> 'positions' LOOP
        EXECUTE format('ALTER TABLE kassa_views.%I OWNER TO CURRENT_USER', name);
        PERFORM kassa_views.give('kassa_views', name);
    END LOOP;
END $$;
-- +goose StatementEnd

SELECT kassa_views.make('kassa_views', v) FROM unnest(ARRAY['balances_v1', 'transactions_v1', 'predictions_v1', 'users_v1', 'trial_v1']) v;

REVOKE CREATE ON SCHEMA kassa_views, kassa_views_next FROM kassa_app;

-- +goose Down
SELECT 'rights are not given back';
