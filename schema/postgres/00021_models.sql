-- +goose Up

-- The models whose vectors are here. All vectors of one have the same number of
-- dimensions, at most as many as an index of 16-bit numbers takes. Questions are
-- compared with a model's vectors once all films have had one.
CREATE TABLE models (
    model_id text COLLATE "C" PRIMARY KEY CHECK (model_id <> ''),
    dims     int     NOT NULL CHECK (dims BETWEEN 1 AND 4000),
    complete boolean NOT NULL DEFAULT false,
    UNIQUE (model_id, dims)
);

INSERT INTO models (model_id, dims, complete) SELECT DISTINCT model_id, 384, true FROM vectors;

-- Any number of dimensions. Neither change rewrites the table; rows of before have 384,
-- as have those of a process of before.
ALTER TABLE vectors ALTER COLUMN vector TYPE vector;
ALTER TABLE vectors ADD COLUMN dims int NOT NULL DEFAULT 384;
ALTER TABLE vectors ADD CONSTRAINT vectors_dims CHECK (vector_dims(vector) = dims);
ALTER TABLE vectors ADD CONSTRAINT vectors_model FOREIGN KEY (model_id, dims) REFERENCES models (model_id, dims);

-- The model that questions are asked of, where the workers have several; null: the
-- first of each worker.
ALTER TABLE catalogue ADD COLUMN model text COLLATE "C" REFERENCES models (model_id);

-- As before, but for the number of dimensions: see 00004 and 00005.
-- +goose StatementBegin
DO $$
DECLARE
    ours    constant text := quote_ident(current_schema());
    vectors constant text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector');
BEGIN
    EXECUTE replace(replace($ddl$
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
                IF to_regclass('@ours@.' || index_name) IS NULL THEN
                    dims := (SELECT m.dims FROM @ours@.models m WHERE m.model_id = model);
                    EXECUTE format('CREATE INDEX %I ON @ours@.vectors USING hnsw ((vector::@vectors@.halfvec(%s)) @vectors@.halfvec_ip_ops) WHERE model_id = %L', index_name, dims, model);
                    changed := changed + 1;
                END IF;
            END LOOP;
            IF changed > 0 THEN
                ANALYZE @ours@.vectors;
            END IF;
            RETURN changed;
        END $body$ $ddl$, '@ours@', ours), '@vectors@', vectors);
END $$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE, DELETE ON models TO kassa_app;

-- +goose Down
ALTER TABLE catalogue DROP COLUMN model;
DELETE FROM vectors WHERE dims <> 384;
ALTER TABLE vectors DROP CONSTRAINT vectors_model, DROP COLUMN dims;
ALTER TABLE vectors ALTER COLUMN vector TYPE vector(384);
DROP TABLE models;
