-- +goose Up

-- Passkeys: other ways to give a second factor that is on (docs/decisions/0095). The name that
-- the person typed and the credential are sealed under the person's key.
CREATE TABLE passkeys (
    credential_hash BLOB PRIMARY KEY, -- SHA-256 of the credential's id
    user_id         TEXT    NOT NULL,
    sealed          BLOB    NOT NULL,
    sign_count      INTEGER NOT NULL, -- of the last signature that was accepted; 0 where the authenticator does not count
    created_at      INTEGER NOT NULL, -- Unix seconds
    last_used_at    INTEGER,          -- the same; null: never
    copied_at       INTEGER           -- when its count did not go on: it is refused since
) STRICT;

CREATE INDEX passkeys_user ON passkeys (user_id);

-- What an authenticator has to sign next. Of each ceremony, which is of one session or one
-- sign-in, the newest is good, once and for minutes.
CREATE TABLE passkey_challenges (
    ceremony   BLOB PRIMARY KEY, -- SHA-256 of what it is for, and in which session or sign-in
    user_id    TEXT    NOT NULL,
    challenge  BLOB    NOT NULL,
    expires_at INTEGER NOT NULL  -- Unix seconds
) STRICT;

CREATE INDEX passkey_challenges_expired ON passkey_challenges (expires_at);

-- +goose Down
DROP TABLE passkey_challenges;
DROP TABLE passkeys;
