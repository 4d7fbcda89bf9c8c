-- +goose Up

-- One row: the last signed head with the cosignatures of witnesses; see docs/decisions/0063.
-- It is collected again where it is lost, so nothing protects it.
CREATE TABLE cosigned_head (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    size      INTEGER NOT NULL CHECK (size >= 1),
    note      BLOB    NOT NULL,          -- as it is published: the signatures of the log and of witnesses
    witnesses INTEGER NOT NULL CHECK (witnesses >= 1), -- that have cosigned it
    asked     INTEGER NOT NULL CHECK (asked >= witnesses), -- all that the policy names
    quorum    INTEGER NOT NULL,          -- they are enough, by the policy
    at        INTEGER NOT NULL           -- when the first of them did, in seconds since 1970
) STRICT;

-- +goose Down
DROP TABLE cosigned_head;
