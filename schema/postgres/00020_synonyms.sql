-- +goose Up

-- Films are found by their IMDb id when films of several sources are merged.
CREATE INDEX movies_imdb ON movies ((json::jsonb #>> '{ids,imdb}'));

-- An operator's own groups of words that mean the same, in both languages.
CREATE TABLE synonyms (
    id       text COLLATE "C" PRIMARY KEY, -- first digits of the SHA-256 of words
    words    text        NOT NULL,         -- separated by commas
    added_at timestamptz NOT NULL
);

-- The processes that hold the catalogue in memory, and the revision that each has: so an
-- import can wait until all of them answer with it. A process that was killed leaves its
-- row, which an import that waited for it deletes.
CREATE TABLE catalogue_readers (
    process  text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL
);

GRANT SELECT, INSERT, DELETE ON synonyms TO kassa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON catalogue_readers TO kassa_app;

-- +goose Down
DROP TABLE catalogue_readers;
DROP TABLE synonyms;
DROP INDEX movies_imdb;
