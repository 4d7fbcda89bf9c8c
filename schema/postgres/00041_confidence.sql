-- +goose Up

-- The view of predictions that has the confidence of an answer: see docs/decisions/0072. The one of before
-- stays as it is, for processes of the program before, until it is dropped by name.
ALTER FUNCTION kassa_views.definition(text) RENAME TO definition_before_confidence;

-- +goose StatementBegin
CREATE FUNCTION kassa_views.definition(view text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE view
    WHEN 'predictions_v3' THEN '
        CREATE TABLE %1$I.predictions_v3 (
            id              text COLLATE "C" PRIMARY KEY,
            user_id         text COLLATE "C" NOT NULL,
            state           text COLLATE "C" NOT NULL, -- in which it ended, before a refund
            text            bytea STORAGE EXTERNAL,
            price           bigint      NOT NULL,
            wanted          int         NOT NULL,
            requested_at    timestamptz NOT NULL,
            expires_at      timestamptz NOT NULL,
            position        bigint      NOT NULL,
            ended_at        timestamptz,
            end_position    bigint      NOT NULL,
            movies          text, -- JSON, as the answer had it
            model           text        NOT NULL,
            catalogue       text        NOT NULL,
            processing_time float8      NOT NULL,
            confidence      int         NOT NULL, -- per mille; 0: not known
            failure         text        NOT NULL,
            refunded_at     timestamptz,
            refund_position bigint      NOT NULL,
            CHECK ((state = ''held'') = (ended_at IS NULL) AND (state = ''held'') = (end_position = 0)),
            CHECK ((refunded_at IS NULL) = (refund_position = 0) AND (state = ''captured'' OR refund_position = 0))
        );
        CREATE UNIQUE INDEX predictions_v3_user ON %1$I.predictions_v3 (user_id, position);
        CREATE INDEX predictions_v3_state ON %1$I.predictions_v3 (user_id, state, position);
        CREATE INDEX predictions_v3_open ON %1$I.predictions_v3 (expires_at, position) WHERE state = ''held'';
        CREATE INDEX predictions_v3_refunded ON %1$I.predictions_v3 (user_id, position) WHERE refund_position > 0'
    ELSE kassa_views.definition_before_confidence(view)
    END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.definition(text) FROM PUBLIC;

SELECT kassa_views.make('kassa_views', 'predictions_v3');

-- Where nothing was appended yet, nobody reads the one of before.
SELECT kassa_views.drop('kassa_views', p.view) FROM kassa_views.positions p, head h
    WHERE p.view = 'predictions_v2' AND p.position = 0 AND h.size = 0;

-- +goose Down
SELECT 'the confidence stays';
