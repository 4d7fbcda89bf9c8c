-- +goose Up

-- What must be forgettable stands here, outside the log: the key that unseals a
-- person's data in the log, and what proves who they are.
CREATE TABLE subject_keys (
    user_id text PRIMARY KEY,
    wrapped bytea NOT NULL     -- the person's key, under a key derived from the installation's secret
);

CREATE TABLE passwords (
    user_id text PRIMARY KEY,
    hash    text NOT NULL      -- argon2id, in the PHC string format
);

CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY, -- SHA-256 of the cookie's token: a stolen copy of this table opens nothing
    user_id    text        NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON subject_keys, passwords, sessions TO kassa_app;

-- +goose Down
DROP TABLE sessions;
DROP TABLE passwords;
DROP TABLE subject_keys;
