-- +goose Up

-- Changes of the catalogue by admins, on pages and by the API, with what each film was
-- before and is after, so that the last can be undone: see docs/decisions/0100.
CREATE TABLE editions (
    number  INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL,
    made_by TEXT NOT NULL, -- the admin's user id
    made_at TEXT NOT NULL, -- RFC 3339, UTC
    films   INTEGER NOT NULL
) STRICT;

-- Kept for the newest editions. Null: the film was not there.
CREATE TABLE edition_films (
    number     INTEGER NOT NULL REFERENCES editions (number),
    movie_id   TEXT NOT NULL,
    before     TEXT,
    before_own INTEGER NOT NULL CHECK (before_own IN (0, 1)),
    after      TEXT,
    after_own  INTEGER NOT NULL CHECK (after_own IN (0, 1)),
    PRIMARY KEY (number, movie_id)
) STRICT;

-- The file that an admin has sent and not yet taken over, at most one for each.
CREATE TABLE uploads (
    id      TEXT PRIMARY KEY,
    sent_by TEXT NOT NULL UNIQUE,
    sent_at TEXT NOT NULL, -- RFC 3339, UTC
    content TEXT NOT NULL  -- JSON: its films, and what was left out
) STRICT;

-- +goose Down
DROP TABLE uploads;
DROP TABLE edition_films;
DROP TABLE editions;
