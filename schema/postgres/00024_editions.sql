-- +goose Up

-- Changes of the catalogue by admins, on pages and by the API, with what each film was
-- before and is after, so that the last can be undone: see docs/decisions/0100.
CREATE TABLE editions (
    number  bigint PRIMARY KEY,
    kind    text        NOT NULL,
    made_by text        NOT NULL, -- the admin's user id
    made_at timestamptz NOT NULL,
    films   int         NOT NULL
);

-- Kept for the newest editions. Null: the film was not there.
CREATE TABLE edition_films (
    number     bigint NOT NULL REFERENCES editions (number),
    movie_id   text COLLATE "C" NOT NULL,
    before     text,
    before_own boolean NOT NULL,
    after      text,
    after_own  boolean NOT NULL,
    PRIMARY KEY (number, movie_id)
);

-- The file that an admin has sent and not yet taken over, at most one for each.
CREATE TABLE uploads (
    id      text COLLATE "C" PRIMARY KEY,
    sent_by text        NOT NULL UNIQUE,
    sent_at timestamptz NOT NULL,
    content text        NOT NULL -- JSON: its films, and what was left out
);

GRANT SELECT, INSERT ON editions TO kassa_app;
GRANT SELECT, INSERT, DELETE ON edition_films, uploads TO kassa_app;

-- +goose Down
DROP TABLE uploads;
DROP TABLE edition_films;
DROP TABLE editions;
