-- +goose Up

-- As 00022 does for views: two processes may make the same partition or index at once, and
-- the second has to see what the first has made after its wait for an advisory lock. The
-- functions are as before but for that: see 00005, 00011 and 00021.
-- +goose StatementBegin
DO $$
DECLARE
    ours    constant text := quote_ident(current_schema());
    vectors constant text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector');
BEGIN
    EXECUTE replace(replace($ddl$
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
                IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = @schema@ AND c.relname = name) THEN
                    EXECUTE format('CREATE TABLE @ours@.%I PARTITION OF @ours@.events FOR VALUES FROM (%s) TO (%s)', name, part * width, (part + 1) * width);
                    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON @ours@.%I FOR EACH STATEMENT EXECUTE FUNCTION @ours@.refuse_change()', name);
                    EXECUTE format('ALTER TABLE @ours@.%I ENABLE ALWAYS TRIGGER append_only', name);
                    made := made + 1;
                END IF;
            END LOOP;
            RETURN made;
        END $body$ $ddl$, '@ours@', ours), '@schema@', quote_literal(current_schema()));

    EXECUTE replace(replace(replace($ddl$
        CREATE OR REPLACE FUNCTION @ours@.tend_vector_indexes(from_count bigint) RETURNS int LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET max_parallel_maintenance_workers = 0 AS $body$
        DECLARE
            changed int := 0;
            model text;
            dims int;
            index_name text;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('kassa tend_vector_indexes'));
            PERFORM set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting('maintenance_work_mem')), 268435456) / 1024 || 'kB', true);
            FOREACH index_name IN ARRAY ARRAY(
                SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = '@ours@.vectors'::regclass AND starts_with(c.relname, 'vectors_near_')
                    AND c.relname NOT IN (SELECT 'vectors_near_' || md5(v.model_id) FROM @ours@.models v))
            LOOP
                EXECUTE format('DROP INDEX @ours@.%I', index_name);
                changed := changed + 1;
            END LOOP;
            FOREACH model IN ARRAY ARRAY(SELECT v.model_id FROM @ours@.vectors v GROUP BY v.model_id HAVING count(*) >= from_count) LOOP
                index_name := 'vectors_near_' || md5(model);
                IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = @schema@ AND c.relname = index_name) THEN
                    dims := (SELECT m.dims FROM @ours@.models m WHERE m.model_id = model);
                    EXECUTE format('CREATE INDEX %I ON @ours@.vectors USING hnsw ((vector::@vectors@.halfvec(%s)) @vectors@.halfvec_ip_ops) WHERE model_id = %L', index_name, dims, model);
                    changed := changed + 1;
                END IF;
            END LOOP;
            IF changed > 0 THEN
                ANALYZE @ours@.vectors;
            END IF;
            RETURN changed;
        END $body$ $ddl$, '@ours@', ours), '@vectors@', vectors), '@schema@', quote_literal(current_schema()));
END $$;
-- +goose StatementEnd

-- +goose Down
SELECT 'the functions stay as they are';
