-- +goose Up

-- Passkeys: other ways to give a second factor that is on (docs/decisions/0095). The name that
-- the person typed and the credential are sealed under the person's key.
CREATE TABLE passkeys (
    credential_hash bytea PRIMARY KEY, -- SHA-256 of the credential's id
    user_id         text        NOT NULL,
    sealed          bytea       NOT NULL,
    sign_count      bigint      NOT NULL, -- of the last signature that was accepted; 0 where the authenticator does not count
    created_at      timestamptz NOT NULL,
    last_used_at    timestamptz,          -- null: never
    copied_at       timestamptz           -- when its count did not go on: it is refused since
);

CREATE INDEX passkeys_user ON passkeys (user_id);

-- What an authenticator has to sign next. Of each ceremony, which is of one session or one
-- sign-in, the newest is good, once and for minutes.
CREATE TABLE passkey_challenges (
    ceremony   bytea PRIMARY KEY, -- SHA-256 of what it is for, and in which session or sign-in
    user_id    text        NOT NULL,
    challenge  bytea       NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX passkey_challenges_expired ON passkey_challenges (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys, passkey_challenges TO kassa_app;

-- As scrub_vault of 00029, for these tables. A function of its own, because 00046 and 00047,
-- which a new database runs after this migration, make scrub_vault again without them.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace($ddl$
        CREATE FUNCTION @ours@.scrub_passkeys(most bigint) RETURNS text[] LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $body$
        DECLARE
            name text;
            left_out text[] := '{}';
        BEGIN
            FOREACH name IN ARRAY ARRAY['passkeys', 'passkey_challenges'] LOOP
                IF pg_relation_size(format('@ours@.%I', name)::regclass) > most THEN
                    left_out := left_out || name;
                ELSE
                    EXECUTE format('CLUSTER @ours@.%I USING %I', name, name || '_pkey');
                END IF;
            END LOOP;
            RETURN left_out;
        END $body$;
        REVOKE EXECUTE ON FUNCTION @ours@.scrub_passkeys(bigint) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION @ours@.scrub_passkeys(bigint) TO kassa_app;
    $ddl$, '@ours@', quote_ident(current_schema()));
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION scrub_passkeys(bigint);
DROP TABLE passkey_challenges;
DROP TABLE passkeys;
