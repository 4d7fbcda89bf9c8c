-- +goose Up

-- One row: the last signed head with the cosignatures of witnesses; see docs/decisions/0063.
-- It is collected again where it is lost, so nothing protects it.
CREATE TABLE cosigned_head (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    size      bigint  NOT NULL CHECK (size >= 1),
    note      bytea   NOT NULL,          -- as it is published: the signatures of the log and of witnesses
    witnesses int     NOT NULL CHECK (witnesses >= 1), -- that have cosigned it
    asked     int     NOT NULL CHECK (asked >= witnesses), -- all that the policy names
    quorum    boolean NOT NULL,          -- they are enough, by the policy
    at        bigint  NOT NULL           -- when the first of them did, in seconds since 1970
);

GRANT SELECT, INSERT, UPDATE ON cosigned_head TO kassa_app;
GRANT SELECT ON cosigned_head TO kassa_auditor;

-- +goose Down
DROP TABLE cosigned_head;
