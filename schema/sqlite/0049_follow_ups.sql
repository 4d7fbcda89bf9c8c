-- +goose Up

-- Questions that follow a paid one, and which film was the one: see docs/decisions/0081.
ALTER TABLE saved_predictions ADD COLUMN follow_up_of TEXT NOT NULL DEFAULT '';         -- the paid one; empty where it is none
ALTER TABLE saved_predictions ADD COLUMN confirm_position INTEGER NOT NULL DEFAULT 0; -- 0 where no film was confirmed

CREATE INDEX saved_predictions_follow_ups ON saved_predictions (follow_up_of) WHERE follow_up_of <> '';

-- +goose Down
DROP INDEX saved_predictions_follow_ups;
ALTER TABLE saved_predictions DROP COLUMN confirm_position;
ALTER TABLE saved_predictions DROP COLUMN follow_up_of;
