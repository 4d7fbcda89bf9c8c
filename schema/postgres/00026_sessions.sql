-- +goose Up

-- What a person is shown of their sessions, to recognise each: with the default an older
-- process goes on to add rows.
ALTER TABLE sessions
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN seen_at    timestamptz NOT NULL DEFAULT now(), -- to within minutes
    ADD COLUMN device     text        NOT NULL DEFAULT '',    -- browser and system, in words
    ADD COLUMN network    text        NOT NULL DEFAULT '';    -- of the address: /24, or /48 of IPv6

-- Each of the sessions that are there has begun thirty days before its end.
UPDATE sessions SET created_at = expires_at - interval '30 days';

-- +goose Down
ALTER TABLE sessions DROP COLUMN created_at, DROP COLUMN seen_at, DROP COLUMN device, DROP COLUMN network;
