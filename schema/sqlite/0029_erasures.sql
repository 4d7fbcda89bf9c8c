-- +goose Up

-- Reminders of the erasures that were requested: the log decides, and the service looks
-- here for whom. A row is written before the request, and goes with the person's key, so
-- no crash leaves an erasure that nobody finishes.
CREATE TABLE erasures (
    user_id TEXT PRIMARY KEY,
    due_at  INTEGER NOT NULL  -- Unix seconds
) STRICT;

CREATE INDEX erasures_due ON erasures (due_at);

-- +goose Down
DROP TABLE erasures;
