-- +goose Up

-- The log. Its rows are written once; the triggers below keep even a careless
-- program from changing them. A careful forger can drop a trigger: that is what
-- the tree is for.
CREATE TABLE events (
    position INTEGER PRIMARY KEY CHECK (position >= 1),
    stream   TEXT    NOT NULL,
    version  INTEGER NOT NULL CHECK (version >= 1),
    command  TEXT,             -- idempotency: on the first event of a command's append
    hashes   BLOB    NOT NULL, -- nodes of the tree that this leaf completes, 32 bytes each, leaf first
    entry    BLOB    NOT NULL CHECK (length(entry) <= 32768)
) STRICT;

CREATE UNIQUE INDEX events_stream_version ON events (stream, version);
CREATE UNIQUE INDEX events_command ON events (command) WHERE command IS NOT NULL;

-- +goose StatementBegin
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
-- +goose StatementEnd

-- Only the next entry of the log and of its stream can be inserted. This also
-- stops REPLACE, which removes the row that is in its way without any trigger on
-- DELETE.
-- +goose StatementBegin
CREATE TRIGGER events_only_next BEFORE INSERT ON events
WHEN NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM events)
  OR NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM events WHERE stream = NEW.stream)
  OR EXISTS (SELECT 1 FROM events WHERE command = NEW.command)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
-- +goose StatementEnd

-- One row: how many entries there are, and the root over them. An append holds
-- this row's database lock, so positions are dense and in commit order.
CREATE TABLE head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB    NOT NULL CHECK (length(root) = 32)
) STRICT;

INSERT INTO head VALUES (1, 0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

-- Folded accounts, so that a long stream need not be read again. A cache: verify
-- compares it with a replay, and it can be emptied at any time.
CREATE TABLE snapshots (
    stream  TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    format  INTEGER NOT NULL,
    state   BLOB    NOT NULL
) STRICT;

-- How far each follower of the log has come.
CREATE TABLE checkpoints (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

-- +goose Down
SELECT 'the log is not taken down';
