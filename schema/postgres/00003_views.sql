-- +goose Up

-- What people look at. The service makes these tables itself, each in the version
-- that its binary knows, and can drop any and build it from the log again.
CREATE SCHEMA kassa_views;

-- Where a view is built anew, under the same names, until it takes its place.
CREATE SCHEMA kassa_views_next;

GRANT USAGE, CREATE ON SCHEMA kassa_views, kassa_views_next TO kassa_app;

-- How far each view has come. A row moves in the same transaction as the rows of
-- its view, and its lock puts those who write the view in order. Every batch
-- writes all rows anew: the free space keeps the new versions on the same page.
CREATE TABLE kassa_views.positions (
    view     text   PRIMARY KEY, -- its table, such as balances_v1
    position bigint NOT NULL CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE kassa_views_next.positions (LIKE kassa_views.positions INCLUDING ALL);

GRANT SELECT, INSERT, UPDATE, DELETE ON kassa_views.positions, kassa_views_next.positions TO kassa_app;

-- +goose Down
DROP SCHEMA kassa_views_next CASCADE;
DROP SCHEMA kassa_views CASCADE;
