-- +goose Up

-- Second factors: of a person one, by time-based codes (RFC 6238). Until its first code
-- was given it is not confirmed, and asks for nothing.
CREATE TABLE factors (
    user_id    text PRIMARY KEY,
    secret     bytea       NOT NULL, -- sealed under the person's key
    confirmed  boolean     NOT NULL,
    last_step  bigint      NOT NULL, -- of the last code that was used: no earlier one is good, and none twice
    created_at timestamptz NOT NULL  -- or when it was confirmed
);

-- Codes for a person whose device is lost, each for one use.
CREATE TABLE recovery_codes (
    user_id   text  NOT NULL,
    code_hash bytea NOT NULL, -- keyed, under a key derived from the installation's secret
    PRIMARY KEY (user_id, code_hash)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON factors, recovery_codes TO kassa_app;

-- When a code was last given in a session; null where the person has no factor.
ALTER TABLE sessions ADD COLUMN factor_at timestamptz;

-- As in 00046, with these tables.
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
            FOREACH name IN ARRAY ARRAY['subject_keys', 'passwords', 'sessions', 'personal_tokens', 'factors', 'recovery_codes', 'erasures'] LOOP
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
ALTER TABLE sessions DROP COLUMN factor_at;
DROP TABLE recovery_codes;
DROP TABLE factors;
