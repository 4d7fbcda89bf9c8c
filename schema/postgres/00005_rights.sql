-- +goose Up

-- Functions that run with the rights of the tables' owner. They name the schema of
-- everything that they touch, and look up the rest (operators, types, functions of
-- the server) in pg_catalog alone. pg_temp is named last, because it comes first
-- where it is not named: a temporary view called like a table of ours would be read
-- with the owner's rights, and whatever that view calls would run with them.
-- +goose StatementBegin
DO $$
DECLARE
    ours    constant text := quote_ident(current_schema());
    vectors constant text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector');
BEGIN
    -- Adds the partitions for the next positions, from the one that the log has come
    -- to: an older one that was detached is not made again. How far ahead is bounded,
    -- so that the service cannot fill the server with tables.
    EXECUTE replace($ddl$
        CREATE OR REPLACE FUNCTION @ours@.extend_log(upto bigint) RETURNS int LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            width constant bigint := 5000000;
            most  constant bigint := 20000000;
            size bigint := (SELECT h.size FROM @ours@.head h);
            made int := 0;
            part bigint;
            name text;
        BEGIN
            IF upto > size + most THEN
                RAISE EXCEPTION 'partitions are made for % positions ahead at most', most USING ERRCODE = 'program_limit_exceeded';
            END IF;
            PERFORM pg_advisory_xact_lock(hashtext('kassa extend_log'));
            FOR part IN size / width .. upto / width LOOP
                name := 'events_p' || part;
                IF to_regclass('@ours@.' || name) IS NULL THEN
                    EXECUTE format('CREATE TABLE @ours@.%I PARTITION OF @ours@.events FOR VALUES FROM (%s) TO (%s)', name, part * width, (part + 1) * width);
                    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON @ours@.%I FOR EACH STATEMENT EXECUTE FUNCTION @ours@.refuse_change()', name);
                    EXECUTE format('ALTER TABLE @ours@.%I ENABLE ALWAYS TRIGGER append_only', name);
                    made := made + 1;
                END IF;
            END LOOP;
            RETURN made;
        END $body$ $ddl$, '@ours@', ours);

    -- Builds an index of nearest neighbours for each model that has that many vectors,
    -- and drops those of models that are gone: see 00004.
    EXECUTE replace(replace($ddl$
        CREATE OR REPLACE FUNCTION @ours@.tend_vector_indexes(from_count bigint) RETURNS int LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET max_parallel_maintenance_workers = 0 AS $body$
        DECLARE
            changed int := 0;
            model text;
            index_name text;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('kassa tend_vector_indexes'));
            PERFORM set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting('maintenance_work_mem')), 268435456) / 1024 || 'kB', true);
            FOREACH index_name IN ARRAY ARRAY(
                SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = '@ours@.vectors'::regclass AND starts_with(c.relname, 'vectors_near_')
                    AND c.relname NOT IN (SELECT DISTINCT 'vectors_near_' || md5(v.model_id) FROM @ours@.vectors v))
            LOOP
                EXECUTE format('DROP INDEX @ours@.%I', index_name);
                changed := changed + 1;
            END LOOP;
            FOREACH model IN ARRAY ARRAY(SELECT v.model_id FROM @ours@.vectors v GROUP BY v.model_id HAVING count(*) >= from_count) LOOP
                index_name := 'vectors_near_' || md5(model);
                IF to_regclass('@ours@.' || index_name) IS NULL THEN
                    EXECUTE format('CREATE INDEX %I ON @ours@.vectors USING hnsw ((vector::@vectors@.halfvec(384)) @vectors@.halfvec_ip_ops) WHERE model_id = %L', index_name, model);
                    changed := changed + 1;
                END IF;
            END LOOP;
            IF changed > 0 THEN
                ANALYZE @ours@.vectors;
            END IF;
            RETURN changed;
        END $body$ $ddl$, '@ours@', ours), '@vectors@', vectors);

    -- What PostgreSQL grants to everybody, and no part of Kassa needs: tables of a
    -- session's own, and, in servers that were upgraded from 14, tables in public.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('REVOKE CREATE ON SCHEMA %s FROM PUBLIC', ours);
END $$;
-- +goose StatementEnd

-- Entries follow each other: what is added ends where the head says, and begins behind
-- an entry that is there. The service's role may insert rows; this keeps it from
-- leaving a gap, and from adding an entry late. It costs 40 microseconds a batch. A
-- like check of versions costs 3 more for each row, a tenth of a busy append, and is
-- not made: unique constraints keep a version from being used twice, and verify finds
-- a gap.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE replace($ddl$
        CREATE FUNCTION @ours@.only_next() RETURNS trigger LANGUAGE plpgsql
            SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
        BEGIN
            -- event_index is asked and not events, whose partitions would all be locked; by
            -- its index, because the plan is kept and the table may have been empty then.
            IF NOT (SELECT x.n = 0 OR x.last - x.first + 1 = x.n AND x.last = (SELECT h.size FROM @ours@.head h)
                    AND (x.first = 1 OR EXISTS (SELECT FROM @ours@.event_index i WHERE i.position = x.first - 1))
                FROM (SELECT min(a.position) AS first, max(a.position) AS last, count(*) AS n FROM added a) x) THEN
                RAISE EXCEPTION 'only the entries that follow the log can be added' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NULL;
        END $body$;
        CREATE TRIGGER events_only_next AFTER INSERT ON @ours@.events REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION @ours@.only_next();
    $ddl$, '@ours@', quote_ident(current_schema()));
END $$;
-- +goose StatementEnd

CREATE TRIGGER head_only_grows BEFORE UPDATE ON head
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.size = OLD.size AND NEW.root <> OLD.root) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER head_stays BEFORE DELETE OR TRUNCATE ON head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One row, written at the first start and never changed: by what the installation's
-- secret is known, so that a foreign one is refused before anybody has signed up.
CREATE TABLE installation (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret_check bytea NOT NULL CHECK (octet_length(secret_check) = 32)
);
GRANT SELECT, INSERT ON installation TO kassa_app;

-- Also in sessions that apply what was replicated, in which triggers are silent
-- unless they say otherwise.
ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only, ENABLE ALWAYS TRIGGER events_only_next;
ALTER TABLE event_index ENABLE ALWAYS TRIGGER event_index_append_only;
ALTER TABLE head ENABLE ALWAYS TRIGGER head_only_grows, ENABLE ALWAYS TRIGGER head_stays;

-- +goose StatementBegin
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', part);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
SELECT 'rights are not given back';
