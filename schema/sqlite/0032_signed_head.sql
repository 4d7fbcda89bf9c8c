-- +goose Up

-- One row: the last signed head of the log. A head is signed only if the log continues this
-- one; see docs/decisions/0059. At the same size only signatures may change.
CREATE TABLE signed_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL CHECK (size >= 1),
    root BLOB    NOT NULL CHECK (length(root) = 32),
    note BLOB    NOT NULL -- as it is published
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER signed_head_only_grows BEFORE UPDATE ON signed_head
WHEN NEW.size < OLD.size OR NEW.size = OLD.size AND NEW.root <> OLD.root
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER signed_head_stays BEFORE DELETE ON signed_head
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
-- +goose StatementEnd

-- +goose Down
SELECT 'a signed head stays';
