-- +goose Up

-- One row: the last signed head of the log. A head is signed only if the log continues this
-- one; see docs/decisions/0059. At the same size only signatures may change.
CREATE TABLE signed_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL CHECK (size >= 1),
    root bytea  NOT NULL CHECK (octet_length(root) = 32),
    note bytea  NOT NULL -- as it is published
);

CREATE TRIGGER signed_head_only_grows BEFORE UPDATE ON signed_head
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.size = OLD.size AND NEW.root <> OLD.root) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER signed_head_stays BEFORE DELETE OR TRUNCATE ON signed_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE signed_head ENABLE ALWAYS TRIGGER signed_head_only_grows, ENABLE ALWAYS TRIGGER signed_head_stays;

GRANT SELECT, INSERT, UPDATE ON signed_head TO kassa_app;
GRANT SELECT ON signed_head TO kassa_auditor;

-- +goose Down
SELECT 'a signed head stays';
