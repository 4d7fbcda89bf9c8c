-- +goose Up

-- Reminders of the erasures that were requested: the log decides, and the role expirer
-- looks here for whom. A row is written before the request, and goes with the person's
-- key, so no crash leaves an erasure that nobody finishes.
CREATE TABLE erasures (
    user_id text PRIMARY KEY,
    due_at  timestamptz NOT NULL
);

CREATE INDEX erasures_due ON erasures (due_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON erasures TO kassa_app;

-- An auditor sees whose keys are there, and not the keys. The role may not be there yet.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kassa_auditor') THEN
        CREATE ROLE kassa_auditor NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database's migration made it meanwhile
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the owner of the database cannot make roles: as a superuser, CREATE ROLE kassa_auditor NOLOGIN, and migrate again'
            USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
GRANT SELECT (user_id) ON subject_keys TO kassa_auditor;

-- Writes the tables with keys, hashes and tokens again, without the rows that were
-- deleted: a DELETE leaves its row in the file until something is written over it. Only
-- the owner of a table may do that. A small table takes milliseconds; a large one, which
-- would keep sign-ins waiting, is left to the operator (docs/privacy.md), and named.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace($ddl$
        CREATE FUNCTION @ours@.scrub_vault(most bigint) RETURNS text[] LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $body$
        DECLARE
            name text;
            left_out text[] := '{}';
        BEGIN
            FOREACH name IN ARRAY ARRAY['subject_keys', 'passwords', 'sessions', 'erasures'] LOOP
                IF pg_relation_size(format('@ours@.%I', name)::regclass) > most THEN
                    left_out := left_out || name;
                ELSE
                    EXECUTE format('CLUSTER @ours@.%I USING %I', name, name || '_pkey');
                END IF;
            END LOOP;
            RETURN left_out;
        END $body$;
        REVOKE EXECUTE ON FUNCTION @ours@.scrub_vault(bigint) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION @ours@.scrub_vault(bigint) TO kassa_app;
    $ddl$, '@ours@', quote_ident(current_schema()));
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION scrub_vault(bigint);
DROP TABLE erasures;
