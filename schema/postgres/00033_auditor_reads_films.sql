-- +goose Up

-- The auditor compares the films and vectors with those that the log recorded: see
-- docs/decisions/0098. Films are shown to everybody; there is nothing personal in them.
GRANT SELECT ON movies, vectors, catalogue, synonyms TO kassa_auditor;

-- +goose Down
SELECT 'rights are not given back';
