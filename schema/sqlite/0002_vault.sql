-- +goose Up

-- What must be forgettable stands here, outside the log: the key that unseals a
-- person's data in the log, and what proves who they are.
CREATE TABLE subject_keys (
    user_id TEXT PRIMARY KEY,
    wrapped BLOB NOT NULL      -- the person's key, under a key derived from the installation's secret
) STRICT;

CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY,
    hash    TEXT NOT NULL      -- argon2id, in the PHC string format
) STRICT;

CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY, -- SHA-256 of the cookie's token: a stolen copy of this table opens nothing
    user_id    TEXT    NOT NULL,
    expires_at INTEGER NOT NULL  -- Unix seconds
) STRICT;

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- +goose Down
DROP TABLE sessions;
DROP TABLE passwords;
DROP TABLE subject_keys;
