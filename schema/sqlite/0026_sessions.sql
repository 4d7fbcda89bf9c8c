-- +goose Up

-- What a person is shown of their sessions, to recognise each.
ALTER TABLE sessions ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0; -- Unix seconds
ALTER TABLE sessions ADD COLUMN seen_at    INTEGER NOT NULL DEFAULT 0; -- the same, to within minutes
ALTER TABLE sessions ADD COLUMN device     TEXT    NOT NULL DEFAULT ''; -- browser and system, in words
ALTER TABLE sessions ADD COLUMN network    TEXT    NOT NULL DEFAULT ''; -- of the address: /24, or /48 of IPv6

-- Each of the sessions that are there has begun thirty days before its end.
UPDATE sessions SET created_at = expires_at - 2592000, seen_at = unixepoch();

-- +goose Down
ALTER TABLE sessions DROP COLUMN created_at;
ALTER TABLE sessions DROP COLUMN seen_at;
ALTER TABLE sessions DROP COLUMN device;
ALTER TABLE sessions DROP COLUMN network;
