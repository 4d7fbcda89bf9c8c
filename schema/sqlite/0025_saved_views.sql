-- +goose Up

-- What the embedded default has folded of the log, so that a start replays a moment and a
-- history need not be in memory: accounts as they are at a position, and where in the log
-- the entries of each history are. Derived: it can be emptied at any time, and is built
-- from the log again.
CREATE TABLE saved_views (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    format   INTEGER NOT NULL, -- of all these tables; others are thrown away
    position INTEGER NOT NULL, -- up to which they hold the log
    leaf     BLOB    NOT NULL  -- of the entry there; empty for position 0
) STRICT;

INSERT INTO saved_views VALUES (1, 1, 0, x'');

-- An account is named by the position of its sign-up.
CREATE TABLE saved_accounts (
    position     INTEGER PRIMARY KEY,
    user_id      TEXT    NOT NULL,
    email        BLOB    NOT NULL, -- sealed
    admin        INTEGER NOT NULL,
    signed_up_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    available    INTEGER NOT NULL,
    held         INTEGER NOT NULL,
    given        INTEGER NOT NULL,
    given_held   INTEGER NOT NULL,
    moved_at     INTEGER NOT NULL  -- position of the last event that moved it
) STRICT;

-- The lines of wallets: the entry at the position says the rest.
CREATE TABLE saved_lines (
    account  INTEGER NOT NULL,
    type     TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (account, type, position)
) STRICT, WITHOUT ROWID;

-- Questions, named by the position of their request: the entries say the rest.
CREATE TABLE saved_predictions (
    position        INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    account         INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    end_position    INTEGER NOT NULL, -- 0 while held
    refund_position INTEGER NOT NULL  -- 0 where it was not refunded
) STRICT;

CREATE INDEX saved_predictions_of_account ON saved_predictions (account, state);
CREATE INDEX saved_predictions_open ON saved_predictions (position) WHERE state = 'held';

CREATE TABLE saved_sums (
    account TEXT    PRIMARY KEY, -- of the house
    amount  INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE saved_sums;
DROP TABLE saved_predictions;
DROP TABLE saved_lines;
DROP TABLE saved_accounts;
DROP TABLE saved_views;
