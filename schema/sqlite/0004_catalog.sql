-- +goose Up

-- Whether somebody brought the film in: a film that is shipped with the program
-- does not replace somebody's own version of it.
ALTER TABLE movies ADD COLUMN own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1));

-- One row: every change of the films or vectors counts it up, so that whoever
-- holds the films in memory sees that they are no longer those.
CREATE TABLE catalogue (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO catalogue (one, revision) VALUES (1, 0);

-- +goose Down
DROP TABLE catalogue;
ALTER TABLE movies DROP COLUMN own;
