-- +goose Up

-- In the database already where whoever set it up has put it there (it takes a
-- superuser); nothing happens then.
CREATE EXTENSION IF NOT EXISTS vector;

-- The films. The JSON is what the content hash is over, so that a film that did
-- not change is known without comparing its fields. Ids are in the order of their
-- bytes, as the program has them.
CREATE TABLE movies (
    id          text COLLATE "C" PRIMARY KEY,
    hash        bytea       NOT NULL, -- SHA-256 of json
    json        text        NOT NULL,
    own         boolean     NOT NULL, -- brought in by somebody, not shipped with the program
    imported_at timestamptz NOT NULL,
    CONSTRAINT movies_hash CHECK (hash = sha256(convert_to(json, 'UTF8')))
);

-- One unit vector for each film and model: vectors of two models are never
-- compared. A vector whose hash is not that of its film's texts was made from
-- older ones, and counts as not there.
CREATE TABLE vectors (
    model_id text COLLATE "C" NOT NULL CHECK (model_id <> ''),
    movie_id text COLLATE "C" NOT NULL REFERENCES movies (id) ON DELETE CASCADE,
    hash     bytea            NOT NULL CHECK (octet_length(hash) = 32), -- SHA-256 of the texts embedded
    vector   vector(384)      NOT NULL,
    PRIMARY KEY (model_id, movie_id),
    CONSTRAINT vectors_unit CHECK (abs(vector_norm(vector) - 1) < 0.001)
);

CREATE INDEX vectors_movie ON vectors (movie_id);

-- One row: every change of the films or vectors counts it up, first of all, so
-- that changes happen one after the other, and whoever holds the films in memory
-- sees that they are no longer those.
CREATE TABLE catalogue (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    revision bigint NOT NULL
);

INSERT INTO catalogue (revision) VALUES (0);

-- Builds an index of nearest neighbours for each model that has that many vectors,
-- and drops those of models that are gone. Each model has its own, so that none is
-- looked for among another's. The service calls it, whose role cannot make
-- indexes: it runs with the rights of its owner. Searches go on meanwhile.
-- One worker builds: the others would need shared memory, of which containers have
-- little.
-- +goose StatementBegin
CREATE FUNCTION tend_vector_indexes(from_count bigint) RETURNS int LANGUAGE plpgsql
    SECURITY DEFINER SET search_path FROM CURRENT SET max_parallel_maintenance_workers = 0 AS $$
DECLARE
    changed int := 0;
    model text;
    index_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('kassa tend_vector_indexes'));
    PERFORM set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting('maintenance_work_mem')), 268435456) / 1024 || 'kB', true);
    FOREACH index_name IN ARRAY ARRAY(
        SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'vectors'::regclass AND starts_with(c.relname, 'vectors_near_')
            AND c.relname NOT IN (SELECT DISTINCT 'vectors_near_' || md5(model_id) FROM vectors))
    LOOP
        EXECUTE format('DROP INDEX %I', index_name);
        changed := changed + 1;
    END LOOP;
    FOREACH model IN ARRAY ARRAY(SELECT model_id FROM vectors GROUP BY model_id HAVING count(*) >= from_count) LOOP
        index_name := 'vectors_near_' || md5(model);
        IF to_regclass(index_name) IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON vectors USING hnsw ((vector::halfvec(384)) halfvec_ip_ops) WHERE model_id = %L', index_name, model);
            changed := changed + 1;
        END IF;
    END LOOP;
    IF changed > 0 THEN
        ANALYZE vectors;
    END IF;
    RETURN changed;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION tend_vector_indexes(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tend_vector_indexes(bigint) TO kassa_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON movies, vectors TO kassa_app;
GRANT SELECT, UPDATE ON catalogue TO kassa_app;

-- +goose Down
DROP FUNCTION tend_vector_indexes(bigint);
DROP TABLE catalogue;
DROP TABLE vectors;
DROP TABLE movies;
