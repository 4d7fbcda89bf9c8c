-- +goose Up

-- What was counted by day, for those who run the service: see docs/decisions/0093.
ALTER FUNCTION kassa_views.definition(text) RENAME TO definition_before_days;

-- +goose StatementBegin
CREATE FUNCTION kassa_views.definition(view text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE view
    WHEN 'days_v1' THEN '
        CREATE TABLE %1$I.days_v1 (
            day     date   NOT NULL, -- in UTC
            measure text COLLATE "C" NOT NULL,
            item    text COLLATE "C" NOT NULL, -- of an answer''s time its bound, of a question its id; else empty
            amount  bigint NOT NULL,
            PRIMARY KEY (day, measure, item)
        ) WITH (fillfactor = 60, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.05);
        CREATE UNIQUE INDEX days_v1_questions ON %1$I.days_v1 (item) WHERE measure IN (''open'', ''follow_up'');
        CREATE INDEX days_v1_levels ON %1$I.days_v1 (measure, day) WHERE measure IN (''bought_change'', ''given_change'')'
    WHEN 'predictions_v4' THEN kassa_views.definition_before_days(view) || ';
        CREATE INDEX predictions_v4_refunds ON %1$I.predictions_v4 (refund_position) WHERE refund_position >= 1'
    ELSE kassa_views.definition_before_days(view)
    END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.definition(text) FROM PUBLIC;

SELECT kassa_views.make('kassa_views', 'days_v1');

CREATE INDEX predictions_v4_refunds ON kassa_views.predictions_v4 (refund_position) WHERE refund_position >= 1;

-- +goose Down
SELECT 'the figures of days stay';
