-- +goose Up

-- Personal tokens of API clients.
CREATE TABLE personal_tokens (
    token_hash   bytea PRIMARY KEY,    -- keyed, under a key derived from the installation's secret
    user_id      text        NOT NULL,
    name         bytea       NOT NULL, -- sealed under the person's key
    scopes       text        NOT NULL, -- words with spaces between them
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz           -- to within minutes
);

CREATE INDEX personal_tokens_user ON personal_tokens (user_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON personal_tokens TO kassa_app;

-- As in 00029, with this table: when a token was used is personal data too.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace($ddl$
        CREATE OR REPLACE FUNCTION @ours@.scrub_vault(most bigint) RETURNS text[] LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $body$
        DECLARE
            name text;
            left_out text[] := '{}';
        BEGIN
            FOREACH name IN ARRAY ARRAY['subject_keys', 'passwords', 'sessions', 'personal_tokens', 'erasures'] LOOP
                IF pg_relation_size(format('@ours@.%I', name)::regclass) > most THEN
                    left_out := left_out || name;
                ELSE
                    EXECUTE format('CLUSTER @ours@.%I USING %I', name, name || '_pkey');
                END IF;
            END LOOP;
            RETURN left_out;
        END $body$;
    $ddl$, '@ours@', quote_ident(current_schema()));
END $$;
-- +goose StatementEnd

-- +goose Down
-- The function of 00029 comes back with that migration.
DROP FUNCTION IF EXISTS scrub_vault(bigint);
DROP TABLE personal_tokens;
