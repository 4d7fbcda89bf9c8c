-- +goose Up

-- Who leads, for each kind of work that one process at a time does. The leader renews
-- its row before it expires, by this server's clock. Whoever takes the row over counts
-- the epoch up, and what an earlier leader still writes as one is refused by it. It is
-- a row and no session's lock, because a session behind a connection pooler outlives
-- the process that used it.
CREATE TABLE leases (
    name    text        PRIMARY KEY,
    holder  text        NOT NULL, -- for people: machine, process, and a random word
    epoch   bigint      NOT NULL CHECK (epoch >= 1),
    expires timestamptz NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON leases TO kassa_app;

-- +goose Down
DROP TABLE leases;
