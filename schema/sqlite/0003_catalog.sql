-- +goose Up

-- The films. The JSON is what the content hash is over, so that a film that did
-- not change is known without comparing its fields.
CREATE TABLE movies (
    id          TEXT PRIMARY KEY,
    hash        BLOB NOT NULL CHECK (length(hash) = 32), -- SHA-256 of json
    json        TEXT NOT NULL,
    imported_at TEXT NOT NULL                            -- RFC 3339, UTC
) STRICT;

-- One vector for each film and model: vectors of two models are never compared.
-- A vector whose hash is not that of its film's texts was made from older ones,
-- and counts as not there.
CREATE TABLE vectors (
    movie_id TEXT NOT NULL REFERENCES movies (id) ON DELETE CASCADE,
    model_id TEXT NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the texts embedded
    vector   BLOB NOT NULL CHECK (length(vector) > 0 AND length(vector) % 4 = 0), -- float32, little endian
    PRIMARY KEY (movie_id, model_id)
) STRICT;

-- +goose Down
DROP TABLE vectors;
DROP TABLE movies;
