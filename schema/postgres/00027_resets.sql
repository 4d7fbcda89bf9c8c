-- +goose Up

-- One-time links to set another password: of a person the newest alone is good.
CREATE TABLE resets (
    user_id    text PRIMARY KEY,
    token_hash bytea       NOT NULL UNIQUE, -- keyed, under a key derived from the installation's secret
    expires_at timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON resets TO kassa_app;

-- +goose Down
DROP TABLE resets;
