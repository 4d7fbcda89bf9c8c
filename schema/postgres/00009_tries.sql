-- +goose Up

-- How often passwords were tried and accounts were opened, for all processes together.
-- Unlogged: a count that a crash takes costs a guesser's wait and no write of a log.
CREATE UNLOGGED TABLE tries (
    name    bytea PRIMARY KEY,     -- keyed hash of an address, an e-mail, or both
    full_at timestamptz NOT NULL   -- when as many are allowed at once as ever
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE, DELETE ON tries TO kassa_app;

-- +goose Down
DROP TABLE tries;
