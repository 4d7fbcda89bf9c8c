-- +goose Up

-- The auditor's role: it can read what `kassa verify` reads, and nothing else. Logins for
-- people are made IN ROLE kassa_auditor; see docs/audit.md.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kassa_auditor') THEN
        CREATE ROLE kassa_auditor NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- roles belong to the whole server: another database's migration made it meanwhile
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the owner of the database cannot make roles: as a superuser, CREATE ROLE kassa_auditor NOLOGIN, and migrate again'
            USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO kassa_auditor', current_schema());
END $$;
-- +goose StatementEnd

GRANT USAGE ON SCHEMA kassa_views TO kassa_auditor;
GRANT SELECT ON events, event_index, head, snapshots, checkpoints, archives, archived_events, archived_accounts, goose_db_version,
    kassa_views.positions TO kassa_auditor;

-- The tables of the views are also read by the auditor, those too that are made later.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION kassa_views.give(place text, view text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %I.%I TO kassa_app', place, view);
    IF current_setting('server_version_num')::int >= 170000 THEN
        EXECUTE format('GRANT MAINTAIN ON %I.%I TO kassa_app', place, view);
    END IF;
    EXECUTE format('GRANT SELECT ON %I.%I TO kassa_auditor', place, view);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN SELECT relnamespace::regnamespace::text AS place, relname::text AS view FROM pg_class
        WHERE relnamespace IN ('kassa_views'::regnamespace, 'kassa_views_next'::regnamespace) AND relkind = 'r' AND relname <> 'positions' LOOP
        EXECUTE format('GRANT SELECT ON %I.%I TO kassa_auditor', made.place, made.view);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
SELECT 'rights are not given back';
