-- +goose Up

-- The view of predictions that shows conversations: see docs/decisions/0081. The one of
-- before stays as it is, for processes of the program before, until it is dropped by name.
ALTER FUNCTION kassa_views.definition(text) RENAME TO definition_before_follow_ups;

-- +goose StatementBegin
CREATE FUNCTION kassa_views.definition(view text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE view
    WHEN 'predictions_v4' THEN '
        CREATE TABLE %1$I.predictions_v4 (
            id               text COLLATE "C" PRIMARY KEY,
            user_id          text COLLATE "C" NOT NULL,
            state            text COLLATE "C" NOT NULL, -- in which it ended, before a refund
            text             bytea STORAGE EXTERNAL,
            price            bigint      NOT NULL,
            wanted           int         NOT NULL,
            requested_at     timestamptz NOT NULL,
            expires_at       timestamptz NOT NULL,
            position         bigint      NOT NULL,
            ended_at         timestamptz,
            end_position     bigint      NOT NULL,
            movies           text, -- JSON, as the answer had it
            model            text        NOT NULL,
            catalogue        text        NOT NULL,
            processing_time  float8      NOT NULL,
            confidence       int         NOT NULL, -- per mille; 0: not known
            failure          text        NOT NULL,
            refunded_at      timestamptz,
            refund_position  bigint      NOT NULL,
            follow_up_of     text COLLATE "C" NOT NULL, -- the paid prediction; empty where it is none
            excluded         text, -- JSON, films that were not to be found
            confirmed        text, -- the film that was meant
            confirmed_at     timestamptz,
            confirm_position bigint      NOT NULL,
            CHECK ((price = 0) = (follow_up_of <> '''')),
            CHECK ((state = ''held'') = (ended_at IS NULL) AND (state = ''held'') = (end_position = 0)),
            CHECK ((refunded_at IS NULL) = (refund_position = 0) AND (confirmed_at IS NULL) = (confirm_position = 0) AND (confirmed IS NULL) = (confirm_position = 0)),
            CHECK (state = ''captured'' AND (refund_position = 0 OR confirm_position = 0) OR refund_position = 0 AND confirm_position = 0)
        );
        CREATE UNIQUE INDEX predictions_v4_user ON %1$I.predictions_v4 (user_id, position) WHERE follow_up_of = '''';
        CREATE INDEX predictions_v4_state ON %1$I.predictions_v4 (user_id, state, position) WHERE follow_up_of = '''';
        CREATE INDEX predictions_v4_open ON %1$I.predictions_v4 (expires_at, position) WHERE state = ''held'';
        CREATE INDEX predictions_v4_refunded ON %1$I.predictions_v4 (user_id, position) WHERE refund_position > 0;
        CREATE INDEX predictions_v4_follow_ups ON %1$I.predictions_v4 (follow_up_of, position) WHERE follow_up_of <> '''''
    ELSE kassa_views.definition_before_follow_ups(view)
    END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.definition(text) FROM PUBLIC;

SELECT kassa_views.make('kassa_views', 'predictions_v4');

-- Where nothing was appended yet, nobody reads the one of before.
SELECT kassa_views.drop('kassa_views', p.view) FROM kassa_views.positions p, head h
    WHERE p.view = 'predictions_v3' AND p.position = 0 AND h.size = 0;

-- +goose Down
SELECT 'follow-ups stay';
