-- +goose Up

-- What the cosine of a model's vectors counts beside words; null: as that of the built-in
-- model.
ALTER TABLE models ADD COLUMN weight REAL CHECK (weight BETWEEN 0 AND 10);

-- +goose Down
ALTER TABLE models DROP COLUMN weight;
