-- +goose Up

-- What of the log was archived, and what is kept of it: see docs/decisions/0022 and 0030.
-- `kassa archive` writes these tables as their owner, one partition of events after the
-- other; the service reads them.

-- One row for each archive. The manifest is that of the archive, byte by byte; its digest
-- is what an auditor keeps.
CREATE TABLE archives (
    upto      bigint NOT NULL PRIMARY KEY CHECK (upto >= 1), -- all entries up to here are archived
    partition text   NOT NULL,                               -- in which they were
    digest    bytea  NOT NULL CHECK (digest = sha256(manifest)),
    manifest  bytea  NOT NULL
);

-- Of each archived entry its nodes of the tree, as in events: every proof still works. The
-- entry itself is kept where the service needs it for ever: the claims of e-mails, by which
-- people sign in.
CREATE TABLE archived_events (
    position bigint NOT NULL PRIMARY KEY CHECK (position >= 1),
    hashes   bytea  STORAGE PLAIN NOT NULL,
    entry    bytea
);

-- Each account as it was at the end of an archive, where the archive changed it: a load
-- begins at the last one.
CREATE TABLE archived_accounts (
    stream  text   NOT NULL,
    upto    bigint NOT NULL,
    version bigint NOT NULL,
    format  int    NOT NULL,
    state   bytea  NOT NULL, -- as in snapshots
    asked   bytea  NOT NULL, -- JSON: at which position each open hold was asked for
    PRIMARY KEY (stream, upto)
);

CREATE TRIGGER archives_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON archives
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER archived_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON archived_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER archived_accounts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON archived_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE archives ENABLE ALWAYS TRIGGER archives_append_only;
ALTER TABLE archived_events ENABLE ALWAYS TRIGGER archived_events_append_only;
ALTER TABLE archived_accounts ENABLE ALWAYS TRIGGER archived_accounts_append_only;

GRANT SELECT ON archives, archived_events, archived_accounts TO kassa_app;

-- A follower may be at an archived entry: it is the same one.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace($ddl$
        CREATE OR REPLACE FUNCTION kassa_views.note_leaf() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            NEW.leaf := coalesce((SELECT substring(e.hashes FOR 32) FROM @ours@.events e WHERE e.position = NEW.position),
                (SELECT substring(a.hashes FOR 32) FROM @ours@.archived_events a WHERE a.position = NEW.position));
            RETURN NEW;
        END $body$;

        CREATE OR REPLACE FUNCTION kassa_views.follows(at bigint, leaf bytea) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
            SELECT at = 0 OR EXISTS (SELECT FROM @ours@.events e WHERE e.position = at AND substring(e.hashes FOR 32) = leaf)
                OR EXISTS (SELECT FROM @ours@.archived_events a WHERE a.position = at AND substring(a.hashes FOR 32) = leaf)
        $body$;
    $ddl$, '@ours@', quote_ident(current_schema()));
END $$;
-- +goose StatementEnd

-- +goose Down
SELECT 'what is archived stays so';
