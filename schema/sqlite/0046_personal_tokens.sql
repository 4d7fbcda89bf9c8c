-- +goose Up

-- Personal tokens of API clients.
CREATE TABLE personal_tokens (
    token_hash   BLOB PRIMARY KEY,  -- keyed, under a key derived from the installation's secret
    user_id      TEXT    NOT NULL,
    name         BLOB    NOT NULL,  -- sealed under the person's key
    scopes       TEXT    NOT NULL,  -- words with spaces between them
    created_at   INTEGER NOT NULL,  -- Unix seconds
    expires_at   INTEGER NOT NULL,  -- the same
    last_used_at INTEGER            -- the same, to within minutes
) STRICT;

CREATE INDEX personal_tokens_user ON personal_tokens (user_id);

-- +goose Down
DROP TABLE personal_tokens;
