-- +goose Up

-- The views that tell given credits from bought ones: see docs/decisions/0024. Those of
-- before stay as they are, for processes of the program before, until they are dropped by
-- name.
ALTER FUNCTION kassa_views.definition(text) RENAME TO definition_before_two_books;

-- +goose StatementBegin
CREATE FUNCTION kassa_views.definition(view text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE view
    WHEN 'balances_v2' THEN '
        CREATE TABLE %1$I.balances_v2 (
            user_id    text COLLATE "C" PRIMARY KEY,
            available  bigint NOT NULL,
            held       bigint NOT NULL,
            given      bigint NOT NULL CHECK (given BETWEEN 0 AND available),
            given_held bigint NOT NULL CHECK (given_held BETWEEN 0 AND held),
            position   bigint NOT NULL
        ) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05)'
    WHEN 'transactions_v2' THEN '
        CREATE TABLE %1$I.transactions_v2 (
            user_id       text COLLATE "C" NOT NULL,
            position      bigint      NOT NULL,
            type          text COLLATE "C" NOT NULL,
            status        text        NOT NULL,
            amount        bigint      NOT NULL,
            given         bigint      NOT NULL,
            balance_after bigint      NOT NULL,
            at            timestamptz NOT NULL,
            prediction    text COLLATE "C" NOT NULL,
            admin         text        NOT NULL,
            reason        text        NOT NULL,
            reference     text        NOT NULL,
            PRIMARY KEY (user_id, position)
        );
        CREATE INDEX transactions_v2_type ON %1$I.transactions_v2 (user_id, type, position)'
    WHEN 'trial_v2' THEN '
        CREATE TABLE %1$I.trial_v2 (
            account text COLLATE "C" PRIMARY KEY,
            amount  bigint NOT NULL
        ) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0)'
    ELSE kassa_views.definition_before_two_books(view)
    END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.definition(text) FROM PUBLIC;

SELECT kassa_views.make('kassa_views', v) FROM unnest(ARRAY['balances_v2', 'transactions_v2', 'trial_v2']) v;

-- Where nothing was appended yet, nobody reads the ones of before.
SELECT kassa_views.drop('kassa_views', p.view) FROM kassa_views.positions p, head h
    WHERE p.view IN ('balances_v1', 'transactions_v1', 'trial_v1') AND p.position = 0 AND h.size = 0;

-- +goose Down
SELECT 'given credits stay told apart';
