-- +goose Up

-- One row, written at the first start and never changed: by what the installation's
-- secret is known, so that a foreign one is refused before anybody has signed up.
CREATE TABLE installation (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    secret_check BLOB NOT NULL CHECK (length(secret_check) = 32)
) STRICT;

-- +goose Down
DROP TABLE installation;
