-- +goose Up

-- Two processes may make the same table at once, where it was dropped. The second waits for
-- the first, and then has to see its table. to_regclass reads the session's cache of names,
-- which a wait for an advisory lock does not renew; a query of pg_class reads the catalog.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION kassa_views.make(place text, view text) RETURNS boolean LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ddl constant text := kassa_views.definition(view);
BEGIN
    IF place NOT IN ('kassa_views', 'kassa_views_next') OR ddl IS NULL THEN
        RAISE EXCEPTION 'there is no view %.%', place, view USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('kassa views'));
    IF EXISTS (SELECT FROM pg_class WHERE relname = view AND relnamespace = place::regnamespace) THEN
        EXECUTE format('INSERT INTO %I.positions (view, position) VALUES ($1, 0) ON CONFLICT DO NOTHING', place) USING view;
        RETURN false;
    END IF;
    EXECUTE format(ddl, place);
    PERFORM kassa_views.give(place, view);
    EXECUTE format('INSERT INTO %I.positions AS p (view, position) VALUES ($1, 0) ON CONFLICT ON CONSTRAINT positions_pkey DO UPDATE SET position = 0', place) USING view;
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
SELECT 'the function stays as it is';
