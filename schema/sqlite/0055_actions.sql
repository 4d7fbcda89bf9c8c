-- +goose Up

-- What admins and the operator did: see docs/decisions/0094.
CREATE TABLE saved_actions (
    position  INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL, -- microseconds since 1970, UTC
    type      TEXT    NOT NULL,
    admin     TEXT    NOT NULL, -- empty: the operator
    operator  TEXT    NOT NULL,
    user_id   TEXT    NOT NULL, -- empty: the house
    amount    INTEGER NOT NULL,
    role      TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    reference TEXT    NOT NULL,
    said      TEXT    NOT NULL -- reason, reference and operator, in small letters
) STRICT;

-- +goose Down
DROP TABLE saved_actions;
