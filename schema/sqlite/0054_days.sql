-- +goose Up

-- What was counted by day: see docs/decisions/0093.
CREATE TABLE saved_days (
    day     INTEGER NOT NULL, -- since 1970-01-01, UTC
    measure TEXT    NOT NULL,
    item    TEXT    NOT NULL, -- of an answer's time its bound; else empty
    amount  INTEGER NOT NULL,
    PRIMARY KEY (day, measure, item)
) STRICT, WITHOUT ROWID;

CREATE INDEX saved_days_levels ON saved_days (measure, day) WHERE measure IN ('bought_change', 'given_change');

CREATE INDEX saved_predictions_refunded ON saved_predictions (refund_position) WHERE refund_position > 0;

-- +goose Down
DROP INDEX saved_predictions_refunded;
DROP TABLE saved_days;
