-- +goose Up

-- The models whose vectors are here. Questions are compared with a model's vectors once
-- all films have had one.
CREATE TABLE models (
    model_id TEXT PRIMARY KEY CHECK (model_id <> ''),
    dims     INTEGER NOT NULL CHECK (dims > 0),
    complete INTEGER NOT NULL DEFAULT 0 CHECK (complete IN (0, 1))
) STRICT;

INSERT INTO models (model_id, dims, complete) SELECT model_id, max(length(vector)) / 4, 1 FROM vectors GROUP BY model_id;

-- The model that questions are asked of, where there are several; null: the first of
-- the process.
ALTER TABLE catalogue ADD COLUMN model TEXT;

-- +goose Down
ALTER TABLE catalogue DROP COLUMN model;
DROP TABLE models;
