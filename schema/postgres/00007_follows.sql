-- +goose Up

-- Who follows the log notes not only how far it has come, but which entry that is: its
-- leaf hash, which the database fills in, also for older programs. A position that is
-- ahead of the log, or that stems from a log before a restore, is found by it, also when
-- the log has grown past it.
ALTER TABLE checkpoints ADD COLUMN leaf bytea;
ALTER TABLE kassa_views.positions ADD COLUMN leaf bytea,
    -- A view that is built again is not read before it has come here.
    ADD COLUMN serves_from bigint NOT NULL DEFAULT 0;
ALTER TABLE kassa_views_next.positions ADD COLUMN leaf bytea, ADD COLUMN serves_from bigint NOT NULL DEFAULT 0;

-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace($ddl$
        CREATE FUNCTION kassa_views.note_leaf() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            NEW.leaf := (SELECT substring(e.hashes FOR 32) FROM @ours@.events e WHERE e.position = NEW.position);
            RETURN NEW;
        END $body$;

        CREATE FUNCTION kassa_views.follows(at bigint, leaf bytea) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
            SELECT at = 0 OR EXISTS (SELECT FROM @ours@.events e WHERE e.position = at AND substring(e.hashes FOR 32) = leaf)
        $body$;
    $ddl$, '@ours@', quote_ident(current_schema()));
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION kassa_views.note_leaf(), kassa_views.follows(bigint, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kassa_views.follows(bigint, bytea) TO kassa_app;

CREATE TRIGGER note_leaf BEFORE INSERT OR UPDATE ON checkpoints FOR EACH ROW EXECUTE FUNCTION kassa_views.note_leaf();
CREATE TRIGGER note_leaf BEFORE INSERT OR UPDATE ON kassa_views.positions FOR EACH ROW EXECUTE FUNCTION kassa_views.note_leaf();
CREATE TRIGGER note_leaf BEFORE INSERT OR UPDATE ON kassa_views_next.positions FOR EACH ROW EXECUTE FUNCTION kassa_views.note_leaf();
UPDATE checkpoints SET position = position;
UPDATE kassa_views.positions SET position = position;

-- +goose Down
DROP TRIGGER note_leaf ON checkpoints;
DROP TRIGGER note_leaf ON kassa_views.positions;
DROP TRIGGER note_leaf ON kassa_views_next.positions;
DROP FUNCTION kassa_views.follows(bigint, bytea), kassa_views.note_leaf();
ALTER TABLE checkpoints DROP COLUMN leaf;
ALTER TABLE kassa_views.positions DROP COLUMN leaf, DROP COLUMN serves_from;
ALTER TABLE kassa_views_next.positions DROP COLUMN leaf, DROP COLUMN serves_from;
