-- +goose Up

-- What admins and the operator did: see docs/decisions/0094.
ALTER FUNCTION kassa_views.definition(text) RENAME TO definition_before_actions;

-- +goose StatementBegin
CREATE FUNCTION kassa_views.definition(view text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE view
    WHEN 'actions_v1' THEN '
        CREATE TABLE %1$I.actions_v1 (
            position  bigint PRIMARY KEY,
            at        timestamptz NOT NULL,
            type      text COLLATE "C" NOT NULL,
            admin     text COLLATE "C" NOT NULL, -- empty: the operator
            operator  text   NOT NULL,
            user_id   text COLLATE "C" NOT NULL, -- empty: the house
            amount    bigint NOT NULL,
            role      text   NOT NULL,
            reason    text   NOT NULL,
            reference text   NOT NULL,
            said      text COLLATE "C" NOT NULL -- reason, reference and operator, in small letters
        )'
    ELSE kassa_views.definition_before_actions(view)
    END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.definition(text) FROM PUBLIC;

SELECT kassa_views.make('kassa_views', 'actions_v1');

-- +goose Down
SELECT 'what admins did stays';
