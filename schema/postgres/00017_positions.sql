-- +goose Up

-- All views move in one transaction: see docs/decisions/0036. The program gives the leaf of
-- the entry that it has applied; for programs of before, which give the position alone, the
-- trigger still fills it in.
DROP TRIGGER note_leaf ON kassa_views.positions;
DROP TRIGGER note_leaf ON kassa_views_next.positions;
CREATE TRIGGER note_leaf BEFORE INSERT ON kassa_views.positions FOR EACH ROW EXECUTE FUNCTION kassa_views.note_leaf();
CREATE TRIGGER note_leaf BEFORE INSERT ON kassa_views_next.positions FOR EACH ROW EXECUTE FUNCTION kassa_views.note_leaf();
CREATE TRIGGER note_moved_leaf BEFORE UPDATE ON kassa_views.positions FOR EACH ROW
    WHEN (NEW.leaf IS NOT DISTINCT FROM OLD.leaf) EXECUTE FUNCTION kassa_views.note_leaf();
CREATE TRIGGER note_moved_leaf BEFORE UPDATE ON kassa_views_next.positions FOR EACH ROW
    WHEN (NEW.leaf IS NOT DISTINCT FROM OLD.leaf) EXECUTE FUNCTION kassa_views.note_leaf();

-- Fails the transaction of a batch that does not find the rows that it changes, before the
-- commit that is sent with it.
-- +goose StatementBegin
CREATE FUNCTION kassa_views.expect(missing text, wanted bigint, there bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF there <> wanted THEN
        RAISE EXCEPTION '%: % of % rows are there', missing, there, wanted USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.expect(text, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kassa_views.expect(text, bigint, bigint) TO kassa_app;

-- +goose Down
SELECT 'the leaf is given by the program';
