-- +goose Up

-- One-time links to set another password: of a person the newest alone is good.
CREATE TABLE resets (
    user_id    TEXT PRIMARY KEY,
    token_hash BLOB    NOT NULL UNIQUE, -- keyed, under a key derived from the installation's secret
    expires_at INTEGER NOT NULL         -- Unix seconds
) STRICT;

-- +goose Down
DROP TABLE resets;
