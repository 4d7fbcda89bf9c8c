-- +goose Up

-- Films are found by their IMDb id when films of several sources are merged.
CREATE INDEX movies_imdb ON movies (json_extract(json, '$.ids.imdb'));

-- An operator's own groups of words that mean the same, in both languages.
CREATE TABLE synonyms (
    id       TEXT PRIMARY KEY, -- first digits of the SHA-256 of words
    words    TEXT NOT NULL,    -- separated by commas
    added_at TEXT NOT NULL     -- RFC 3339, UTC
) STRICT;

-- The processes that hold the catalogue in memory, and the revision that each has: so an
-- import can wait until all of them answer with it. A process that was killed leaves its
-- row, which an import that waited for it deletes.
CREATE TABLE catalogue_readers (
    process  TEXT PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE catalogue_readers;
DROP TABLE synonyms;
DROP INDEX movies_imdb;
