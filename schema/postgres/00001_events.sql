-- +goose Up

-- The application's role. Whoever migrates owns the tables; the service works as
-- this role, which can add to the log and read it, and nothing else.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kassa_app') THEN
        CREATE ROLE kassa_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- roles belong to the whole server: another database's migration made it meanwhile
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'kassa_app', 'SET') THEN
        EXECUTE format('GRANT kassa_app TO %I WITH SET TRUE', current_user);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO kassa_app', current_schema());
END $$;
-- +goose StatementEnd

-- The log, in partitions by position, so that old ones can be detached and kept
-- elsewhere. Bytes are stored as they were hashed.
CREATE TABLE events (
    position bigint NOT NULL PRIMARY KEY CHECK (position >= 1),
    hashes   bytea  NOT NULL, -- nodes of the tree that this leaf completes, 32 bytes each, leaf first
    entry    bytea  NOT NULL CHECK (octet_length(entry) <= 32768)
) PARTITION BY RANGE (position);

-- Entries are small and hashed: compressing them costs time and saves nothing.
ALTER TABLE events ALTER COLUMN entry SET STORAGE EXTERNAL, ALTER COLUMN hashes SET STORAGE PLAIN;

-- Where each stream's versions stand. It is not partitioned, because a unique
-- constraint over all partitions is what keeps a version from being used twice.
CREATE TABLE event_index (
    stream   text   NOT NULL,
    version  bigint NOT NULL CHECK (version >= 1),
    position bigint NOT NULL,
    command  text,            -- idempotency: on the first event of a command's append
    CONSTRAINT event_index_stream_version PRIMARY KEY (stream, version) INCLUDE (position)
);

CREATE UNIQUE INDEX event_index_position ON event_index (position);
CREATE UNIQUE INDEX event_index_command ON event_index (command) INCLUDE (position) WHERE command IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_index_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_index
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Adds the partitions for the next positions. The service calls it, whose role
-- cannot make tables: it runs with the rights of its owner.
-- +goose StatementBegin
CREATE FUNCTION extend_log(upto bigint) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    width constant bigint := 5000000;
    made int := 0;
    part bigint;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('kassa extend_log'));
    FOR part IN 0 .. upto / width LOOP
        name := 'events_p' || part;
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%s) TO (%s)', name, part * width, (part + 1) * width);
            EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION extend_log(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION extend_log(bigint) TO kassa_app;
SELECT extend_log(9999999);

-- One row: how many entries there are, and the root over them. An append locks it,
-- so positions are dense and in commit order, whoever appends. Every batch writes
-- it anew: the free space keeps the new versions on the same page.
CREATE TABLE head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL CHECK (size >= 0),
    root bytea  NOT NULL CHECK (octet_length(root) = 32)
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

INSERT INTO head (size, root) VALUES (0, '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

-- Folded accounts: a cache, compared with a replay by verify.
CREATE TABLE snapshots (
    stream  text PRIMARY KEY,
    version bigint NOT NULL,
    format  int    NOT NULL,
    state   bytea  NOT NULL
);

-- How far each follower of the log has come.
CREATE TABLE checkpoints (
    name     text PRIMARY KEY,
    position bigint NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT, INSERT ON events, event_index TO kassa_app;
GRANT SELECT, UPDATE ON head TO kassa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON snapshots, checkpoints TO kassa_app;
GRANT SELECT ON goose_db_version TO kassa_app;

-- +goose Down
SELECT 'the log is not taken down';
