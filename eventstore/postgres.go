package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// Postgres opens the log in a database that schema.OpenPostgres opened. Several
// processes may append at once; the head row's lock puts their batches in order.
func Postgres(ctx context.Context, pool *pgxpool.Pool) (*Store, error) {
	e := newPostgres(pool)
	if err := e.takesWrites(ctx); err != nil {
		return nil, err
	}
	head, err := e.head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the head of the log: %w", err)
	}
	if err := e.extend(ctx, head.Size); err != nil {
		return nil, err
	}
	return open(ctx, e)
}

// takesWrites refuses a replica: it may be behind, and a refusal that rests on it would
// be of the past. A database that became one after a failover, or was made to take no
// writes, is left by all connections: the next ones may find the new primary.
func (e *postgres) takesWrites(ctx context.Context) error {
	var readOnly bool
	err := e.pool.QueryRow(ctx, `SELECT current_setting('transaction_read_only')::bool`).Scan(&readOnly)
	switch {
	case errors.Is(err, pgconn.ErrReadOnlyConnection), err == nil && readOnly:
		e.pool.Reset()
		return fmt.Errorf("%w: the database is a replica, or takes no writes: give the address of the primary", ErrReadOnly)
	case err != nil:
		return fmt.Errorf("ask whether the database takes writes: %w", err)
	}
	return nil
}

// ReadPostgres opens the log for an audit; see ReadSQLite.
func ReadPostgres(pool *pgxpool.Pool) (*Store, error) {
	s, err := newStore(newPostgres(pool))
	if err != nil {
		return nil, err
	}
	s.readOnly = true
	return s, nil
}

// postgres is the engine of the production shape. A batch takes one round trip where
// this process appends alone, and two where others do, whatever its size.
type postgres struct {
	pool     *pgxpool.Pool
	pipeline *pipeline
	extended atomic.Int64 // positions up to here have their partitions
}

func newPostgres(pool *pgxpool.Pool) *postgres {
	return &postgres{pool: pool, pipeline: newPipeline(pool)}
}

// partitionsAhead is how many positions have their partition before they come.
const partitionsAhead = 10_000_000

// extend makes partitions when half of those that were made ahead are used up.
func (e *postgres) extend(ctx context.Context, size Position) error {
	if int64(size)+partitionsAhead/2 < e.extended.Load() {
		return nil
	}
	upto := int64(size) + partitionsAhead
	if _, err := e.pool.Exec(ctx, `SELECT extend_log($1)`, upto); err != nil {
		return fmt.Errorf("make the log's partitions up to position %d: %w", upto, err)
	}
	e.extended.Store(upto)
	return nil
}

type postgresTransaction struct {
	engine *postgres
	conn   *pgxpool.Conn
	was    logState
}

// lockHead takes the head row. A process that is frozen or cut off while it holds
// the row would stall all others: the server ends its session, and with it the
// transaction, when the second round trip does not come in two seconds.
const lockHead = `SELECT size, root FROM head WHERE set_config('idle_in_transaction_session_timeout', '2s', true) <> '' FOR UPDATE`

// nowhere is behind every entry.
const nowhere = Position(math.MaxInt64)

// begin is the first round trip: BEGIN, the head FOR UPDATE, versions, commands, and what
// other processes appended a moment ago.
// Under READ COMMITTED each statement sees what was committed when it began, so
// those behind the lock see all of the batch before.
func (e *postgres) begin(ctx context.Context, at Position, streams []Stream, commands []string) (transaction, error) {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	b := &postgresTransaction{engine: e, conn: conn, was: logState{versions: map[Stream]Version{}, commands: map[string]Position{}}}
	batch := &pgx.Batch{}
	batch.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	batch.Queue(lockHead).QueryRow(func(row pgx.Row) (err error) {
		b.was.head, err = scanHead(row)
		return err
	})
	batch.Queue(`SELECT s, (SELECT max(version) FROM event_index WHERE stream = s) FROM unnest($1::text[]) s`, streams).
		Query(func(rows pgx.Rows) error {
			return eachPair(rows, func(stream string, version int64) { b.was.versions[Stream(stream)] = Version(version) })
		})
	if len(commands) > 0 {
		batch.Queue(`SELECT c, (SELECT position FROM event_index WHERE command = c) FROM unnest($1::text[]) c`, commands).
			Query(func(rows pgx.Rows) error {
				return eachPair(rows, func(id string, at int64) { b.was.commands[id] = Position(at) })
			})
	}
	if at != nowhere {
		batch.Queue(selectEntries, int64(at), recentGap).Query(func(rows pgx.Rows) (err error) {
			b.was.behind, err = pgx.CollectRows(rows, positionAndEntry)
			return err
		})
	}
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		b.rollback()
		return nil, err
	}
	return b, nil
}

// eachPair gives found the pairs that have a number.
func eachPair(rows pgx.Rows, found func(name string, number int64)) error {
	var name string
	var number *int64
	_, err := pgx.ForEachRow(rows, []any{&name, &number}, func() error {
		if number != nil {
			found(name, *number)
		}
		return nil
	})
	return err
}

func (b *postgresTransaction) state() logState { return b.was }

// rollback gives the connection back, without a transaction on it: where that
// cannot be had, the pool closes it, and the server rolls back by itself.
func (b *postgresTransaction) rollback() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _ = b.conn.Exec(ctx, `ROLLBACK`)
	b.conn.Release()
}

// logMoved is the channel that carries the log's size after each batch. It is a hint: a
// process that misses it polls.
const logMoved = "kassa_log"

// appendRows is the whole of an append: it moves the head, if that is as it was, adds
// the rows, and notifies the listeners. One statement, so that it is one round trip
// and one transaction by itself. It returns a row where it did so.
const appendRows = `WITH moved AS (UPDATE head SET size = $1, root = $2 WHERE size = $3 AND root = $4` + addRows

// appendUnused is appendRows that does nothing where a stream is not at the version that
// the batch was numbered upon, or a command is used: a lost race is no error, and leaves
// nothing in the server's log. Where the head is as it was, the statement sees all that
// was appended. Each stream and command is looked up by its index, whatever the planner
// believes of the tables' sizes: a join could become a scan of the whole index, and the
// plan is kept.
const appendUnused = `WITH moved AS (UPDATE head SET size = $1, root = $2 WHERE size = $3 AND root = $4
		AND NOT EXISTS (SELECT FROM unnest($12::text[], $13::bigint[]) was (stream, version)
			WHERE coalesce((SELECT max(i.version) FROM event_index i WHERE i.stream = was.stream), 0) <> was.version)
		AND NOT EXISTS (SELECT FROM unnest($10::text[]) c
			WHERE (SELECT i.position FROM event_index i WHERE i.command = c) IS NOT NULL)` + addRows

const addRows = ` RETURNING size),
	added AS (INSERT INTO events (position, hashes, entry)
		SELECT r.* FROM moved, unnest($5::bigint[], $6::bytea[], $7::bytea[]) r),
	indexed AS (INSERT INTO event_index (position, stream, version, command)
		SELECT r.* FROM moved, unnest($5::bigint[], $8::text[], $9::bigint[], $10::text[]) r)
	SELECT pg_notify($11, size::text) FROM moved`

// appendTypes are those of the arguments of appendUnused.
var appendTypes = []uint32{pgtype.Int8OID, pgtype.ByteaOID, pgtype.Int8OID, pgtype.ByteaOID,
	pgtype.Int8ArrayOID, pgtype.ByteaArrayOID, pgtype.ByteaArrayOID, pgtype.TextArrayOID, pgtype.Int8ArrayOID, pgtype.TextArrayOID,
	pgtype.TextOID, pgtype.TextArrayOID, pgtype.Int8ArrayOID}

func appendArguments(was Head, rows []row, head Head) []any {
	n := len(rows)
	positions, versions := make([]int64, n), make([]int64, n)
	streams, commands := make([]string, n), make([]*string, n)
	nodes, entries := make([][]byte, n), make([][]byte, n)
	for i, r := range rows {
		positions[i], versions[i], streams[i] = int64(r.position), int64(r.version), string(r.stream)
		nodes[i], entries[i] = r.nodes, r.entry
		if r.command != "" {
			commands[i] = &rows[i].command
		}
	}
	return []any{int64(head.Size), head.Root[:], int64(was.Size), was.Root[:], positions, nodes, entries, streams, versions, commands, logMoved}
}

// moved turns the result of appendRows into errRaced where it wrote nothing.
func moved(done pgconn.CommandTag) error {
	if done.RowsAffected() != 1 {
		return fmt.Errorf("%w: the head has moved", errRaced)
	}
	return nil
}

func (*postgres) pipelined() int { return batchesUnderWay }

func (e *postgres) appendIf(ctx context.Context, was Head, streams []condition, rows []row, head Head) <-chan error {
	names, versions := make([]string, len(streams)), make([]int64, len(streams))
	for i, s := range streams {
		names[i], versions[i] = string(s.stream), int64(s.version)
	}
	return e.pipeline.send(ctx, append(appendArguments(was, rows, head), names, versions))
}

// commit is the second round trip.
func (b *postgresTransaction) commit(ctx context.Context, rows []row, head Head) error {
	batch := &pgx.Batch{}
	batch.Queue(appendRows, appendArguments(b.was.head, rows, head)...).Exec(moved)
	batch.Queue(`COMMIT`)
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		b.rollback()
		return atCommit(conflictByName(err))
	}
	b.conn.Release()
	return nil
}

// probe appends one entry in a transaction that it rolls back.
func (e *postgres) probe(ctx context.Context) error {
	begun, err := e.begin(ctx, nowhere, nil, nil)
	if err != nil {
		return err
	}
	b := begun.(*postgresTransaction)
	defer b.rollback()
	was, next := b.was.head, row{position: b.was.head.Size + 1, stream: "probe", version: 1, nodes: make([]byte, len(Hash{})), entry: filler()}
	_, err = b.conn.Exec(ctx, appendRows, appendArguments(was, []row{next}, Head{Size: next.position, Root: was.Root})...)
	return err
}

func isUniqueViolation(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505"
}

// conflictByName gives ErrConflict for a version that is used already. Under the
// head's lock only a writer that bypasses this store can cause it.
func conflictByName(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && isUniqueViolation(err) && pgErr.ConstraintName == "event_index_stream_version" {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

func (e *postgres) head(ctx context.Context) (Head, error) {
	return scanHead(e.pool.QueryRow(ctx, `SELECT size, root FROM head`))
}

func (e *postgres) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	rows, err := e.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(found pgx.CollectableRow) (r row, err error) {
		err = found.Scan(&r.position, &r.stream, &r.version, &r.command, &r.nodes, &r.entry, &r.archived)
		return r, err
	})
}

const selectEntries = `SELECT position, entry FROM events WHERE position > $1 ORDER BY position LIMIT $2`

func (e *postgres) entries(ctx context.Context, at Position, limit int) ([]row, error) {
	rows, _ := e.pool.Query(ctx, selectEntries, int64(at), limit)
	return pgx.CollectRows(rows, positionAndEntry)
}

func (e *postgres) at(ctx context.Context, at []Position) ([]row, error) {
	rows, _ := e.pool.Query(ctx, `SELECT position, entry FROM events WHERE position = ANY($1)`, at)
	return pgx.CollectRows(rows, positionAndEntry)
}

func positionAndEntry(found pgx.CollectableRow) (r row, err error) {
	err = found.Scan(&r.position, &r.entry)
	return r, err
}

// after joins the tables outwards, so that verify sees a row that one of them lacks.
func (e *postgres) after(ctx context.Context, at Position, limit int) ([]row, error) {
	return e.rows(ctx, `SELECT position, coalesce(stream, ''), coalesce(version, 0), coalesce(command, ''),
			coalesce(hashes, ''), coalesce(entry, ''), coalesce(archived, false)
		FROM ((SELECT position, hashes, entry, false AS archived FROM events WHERE position > $1 ORDER BY position LIMIT $2)
			UNION ALL (SELECT position, hashes, entry, true FROM archived_events WHERE position > $1 ORDER BY position LIMIT $2)) e
		FULL JOIN (SELECT * FROM event_index WHERE position > $1 ORDER BY position LIMIT $2) i USING (position)
		ORDER BY position LIMIT $2`, int64(at), limit)
}

// stream looks for what is archived only where events does not have it.
func (e *postgres) stream(ctx context.Context, s Stream, after Version, limit int) ([]row, error) {
	return e.rows(ctx, `SELECT i.position, i.stream, i.version, coalesce(i.command, ''), coalesce(e.hashes, ''),
			coalesce(e.entry, CASE WHEN e.position IS NULL THEN (SELECT a.entry FROM archived_events a WHERE a.position = i.position) END, ''),
			CASE WHEN e.position IS NULL THEN EXISTS (SELECT FROM archived_events a WHERE a.position = i.position) ELSE false END
		FROM event_index i LEFT JOIN events e USING (position)
		WHERE i.stream = $1 AND i.version > $2 ORDER BY i.version LIMIT $3`, string(s), int64(after), limit)
}

func (e *postgres) command(ctx context.Context, id string) (Position, error) {
	return scanPosition(e.pool.QueryRow(ctx, `SELECT position FROM event_index WHERE command = $1`, id))
}

func (e *postgres) nodes(ctx context.Context, at []Position) (map[Position][]byte, error) {
	found := make(map[Position][]byte, len(at))
	rows, err := e.pool.Query(ctx, `SELECT position, hashes FROM events WHERE position = ANY($1)
		UNION ALL SELECT position, hashes FROM archived_events WHERE position = ANY($1)`, at)
	if err != nil {
		return nil, err
	}
	var p Position
	var nodes []byte
	_, err = pgx.ForEachRow(rows, []any{&p, &nodes}, func() error {
		found[p] = append([]byte(nil), nodes...)
		return nil
	})
	return found, err
}

func (e *postgres) snapshot(ctx context.Context, s Stream) (snapshot, error) {
	return scanSnapshot(e.pool.QueryRow(ctx, `SELECT stream, version, format, state FROM (
			SELECT stream, version, format, state FROM snapshots WHERE stream = $1
			UNION ALL SELECT stream, version, format, state FROM archived_accounts WHERE stream = $1) s
		WHERE format BETWEEN $2 AND $3 ORDER BY version DESC LIMIT 1`, string(s), oldestFormat, newestFormat))
}

func (e *postgres) saveSnapshots(ctx context.Context, list []snapshot) error {
	batch := &pgx.Batch{}
	for _, s := range list {
		batch.Queue(`INSERT INTO snapshots AS old (stream, version, format, state) VALUES ($1,$2,$3,$4)
			ON CONFLICT (stream) DO UPDATE SET version = excluded.version, format = excluded.format, state = excluded.state
			WHERE excluded.version > old.version OR excluded.format > old.format`,
			string(s.stream), int64(s.version), s.format, s.state)
	}
	return e.pool.SendBatch(ctx, batch).Close()
}

func (e *postgres) snapshots(ctx context.Context, after Stream, limit int) ([]snapshot, error) {
	rows, err := e.pool.Query(ctx, `SELECT stream, version, format, state FROM snapshots WHERE stream > $1 ORDER BY stream LIMIT $2`, string(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(found pgx.CollectableRow) (snapshot, error) { return scanSnapshot(found) })
}

func (e *postgres) checkpoint(ctx context.Context, name string) (Position, bool, error) {
	return scanCheckpoint(e.pool.QueryRow(ctx, `SELECT position, kassa_views.follows(position, leaf) FROM checkpoints WHERE name = $1`, name))
}

func (e *postgres) checkpoints(ctx context.Context) (map[string]Position, error) {
	rows, err := e.pool.Query(ctx, `SELECT name, position FROM checkpoints`)
	if err != nil {
		return nil, err
	}
	all := map[string]Position{}
	var name string
	var at Position
	_, err = pgx.ForEachRow(rows, []any{&name, &at}, func() error { all[name] = at; return nil })
	return all, err
}

func (e *postgres) missingGuards(ctx context.Context) ([]string, error) {
	return schema.MissingGuardsPostgres(ctx, e.pool)
}

// setCheckpoint holds the lease's row while it writes, so that no other process
// takes the lease in between.
func (e *postgres) setCheckpoint(ctx context.Context, name string, at Position, by lease) error {
	const set = ` ON CONFLICT (name) DO UPDATE SET position = excluded.position`
	if by == (lease{}) {
		_, err := e.pool.Exec(ctx, `INSERT INTO checkpoints (name, position) VALUES ($1,$2)`+set, name, int64(at))
		return err
	}
	done, err := e.pool.Exec(ctx, `WITH led AS (SELECT FROM leases WHERE name = $3 AND epoch = $4 FOR SHARE)
		INSERT INTO checkpoints (name, position) SELECT $1, $2 FROM led`+set, name, int64(at), by.name, by.epoch)
	return held(done, err)
}
