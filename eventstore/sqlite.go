package eventstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kassa/schema"
)

// sqlite is the engine of the embedded default. Its transactions begin
// IMMEDIATE, so begin waits for the write lock of the whole file: that is the
// lock on the head row, against other processes too.
type sqlite struct {
	db     *schema.SQLite
	writes map[string]*sql.Stmt // what every batch runs, parsed once; empty in a store that only reads
}

func newSQLite(ctx context.Context, db *schema.SQLite) (sqlite, error) {
	e := sqlite{db, map[string]*sql.Stmt{}}
	for _, query := range []string{selectHead, selectVersions, selectCommands, insertRows(1), insertRows(rowsAStatement), updateHead} {
		stmt, err := db.Write.PrepareContext(ctx, query)
		if err != nil {
			e.close()
			return sqlite{}, fmt.Errorf("prepare the statements of the log: %w", err)
		}
		e.writes[query] = stmt
	}
	return e, nil
}

func (e sqlite) close() {
	for _, stmt := range e.writes {
		_ = stmt.Close() // the connection outlives it
	}
}

type sqliteTransaction struct {
	engine sqlite
	tx     *sql.Tx
	was    logState
}

// run gives a statement of writes as one of the batch's transaction.
func (b *sqliteTransaction) run(ctx context.Context, query string) *sql.Stmt {
	return b.tx.StmtContext(ctx, b.engine.writes[query])
}

func (e sqlite) begin(ctx context.Context, _ Position, streams []Stream, commands []string) (transaction, error) {
	tx, err := e.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	b := &sqliteTransaction{engine: e, tx: tx, was: logState{versions: map[Stream]Version{}, commands: map[string]Position{}}}
	if err := b.read(ctx, streams, commands); err != nil {
		b.rollback()
		return nil, err
	}
	return b, nil
}

func (b *sqliteTransaction) read(ctx context.Context, streams []Stream, commands []string) (err error) {
	if b.was.head, err = scanHead(b.run(ctx, selectHead).QueryRowContext(ctx)); err != nil {
		return err
	}
	err = eachIn(ctx, b.run(ctx, selectVersions), streams,
		func(stream Stream, version int64) { b.was.versions[stream] = Version(version) })
	if err != nil {
		return err
	}
	return eachIn(ctx, b.run(ctx, selectCommands), commands,
		func(id string, at int64) { b.was.commands[id] = Position(at) })
}

// eachIn runs one query over many names, and gives found those that have a number.
func eachIn[N ~string](ctx context.Context, query *sql.Stmt, names []N, found func(N, int64)) error {
	if len(names) == 0 {
		return nil
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	rows, err := query.QueryContext(ctx, string(list))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name N
		var number sql.NullInt64
		if err := rows.Scan(&name, &number); err != nil {
			return err
		}
		if number.Valid {
			found(name, number.Int64)
		}
	}
	return rows.Err()
}

func (b *sqliteTransaction) state() logState { return b.was }

func (b *sqliteTransaction) rollback() { _ = b.tx.Rollback() } // nothing to lose: the database rolls back by itself

// rowsAStatement keeps one INSERT under SQLite's limit of parameters, and gives
// the driver few different statements.
const rowsAStatement = 64

func (b *sqliteTransaction) commit(ctx context.Context, rows []row, head Head) error {
	if err := b.insert(ctx, rows, head); err != nil {
		b.rollback()
		return err
	}
	return atCommit(b.tx.Commit()) // where SQLite refuses, the driver rolls back
}

// One batch at a time: SQLite works in this process, so nothing is gained by sending the
// next one early.
func (sqlite) pipelined() int { return 1 }

func (e sqlite) appendIf(ctx context.Context, was Head, streams []condition, rows []row, head Head) <-chan error {
	return answered(e.appendNow(ctx, was, streams, rows, head))
}

func (e sqlite) appendNow(ctx context.Context, was Head, streams []condition, rows []row, head Head) error {
	tx, err := e.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	b := &sqliteTransaction{engine: e, tx: tx}
	if err := b.holds(ctx, was, streams, rows); err != nil {
		b.rollback()
		return err
	}
	if err := b.insert(ctx, rows, head); err != nil {
		b.rollback()
		if schema.IsSQLiteConstraint(err) {
			return fmt.Errorf("%w: %w", errRaced, err)
		}
		return err
	}
	return atCommit(tx.Commit())
}

// holds gives errRaced where the log is not as the append expects it. A trigger refuses
// rows that do not follow their streams, so only streams without rows are looked up.
func (b *sqliteTransaction) holds(ctx context.Context, was Head, streams []condition, rows []row) error {
	switch now, err := scanHead(b.run(ctx, selectHead).QueryRowContext(ctx)); {
	case err != nil:
		return err
	case now != was:
		return fmt.Errorf("%w: the head is at %d", errRaced, now.Size)
	}
	expected := map[Stream]Version{}
	for _, s := range streams {
		expected[s.stream] = s.version
	}
	for _, r := range rows {
		delete(expected, r.stream)
	}
	at := map[Stream]Version{}
	err := eachIn(ctx, b.run(ctx, selectVersions), slices.Collect(maps.Keys(expected)), func(s Stream, version int64) { at[s] = Version(version) })
	for s, version := range expected {
		if err == nil && at[s] != version {
			err = fmt.Errorf("%w: %s is at version %d", errRaced, s, at[s])
		}
	}
	return err
}

func (b *sqliteTransaction) insert(ctx context.Context, rows []row, head Head) error {
	for len(rows) > 0 {
		n := min(len(rows), rowsAStatement)
		if n < rowsAStatement {
			n = 1
		}
		if err := b.insertRows(ctx, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	_, err := b.run(ctx, updateHead).ExecContext(ctx, head.Size, head.Root[:])
	return err
}

func (b *sqliteTransaction) insertRows(ctx context.Context, rows []row) error {
	args := make([]any, 0, 6*len(rows))
	for _, r := range rows {
		command := sql.NullString{String: r.command, Valid: r.command != ""}
		args = append(args, r.position, string(r.stream), r.version, command, r.nodes, r.entry)
	}
	_, err := b.run(ctx, insertRows(len(rows))).ExecContext(ctx, args...)
	return err
}

// The statements of a batch. Each handles many rows, so that their number does not grow
// with the batch.
const (
	selectHead     = `SELECT size, root FROM head WHERE one = 1`
	updateHead     = `UPDATE head SET size = ?, root = ?`
	selectVersions = `SELECT value, (SELECT max(version) FROM events WHERE stream = value) FROM json_each(?)`
	selectCommands = `SELECT value, (SELECT position FROM events WHERE command = value) FROM json_each(?)`
)

func insertRows(n int) string {
	return `INSERT INTO events (position, stream, version, command, hashes, entry) VALUES (?,?,?,?,?,?)` +
		strings.Repeat(`,(?,?,?,?,?,?)`, n-1)
}

func (e sqlite) head(ctx context.Context) (Head, error) {
	return scanHead(e.db.Read.QueryRowContext(ctx, selectHead))
}

const selectRows = `SELECT position, stream, version, coalesce(command, ''), hashes, entry FROM events `

// rows reads whole rows.
func (e sqlite) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return e.scan(ctx, func(found scanner, r *row) error {
		return found.Scan(&r.position, &r.stream, &r.version, &r.command, &r.nodes, &r.entry)
	}, selectRows+query, args...)
}

func (e sqlite) entries(ctx context.Context, at Position, limit int) ([]row, error) {
	return e.scan(ctx, func(found scanner, r *row) error { return found.Scan(&r.position, &r.entry) },
		`SELECT position, entry FROM events WHERE position > ? ORDER BY position LIMIT ?`, at, limit)
}

func (e sqlite) at(ctx context.Context, at []Position) ([]row, error) {
	list, err := json.Marshal(at)
	if err != nil {
		return nil, err
	}
	return e.scan(ctx, func(found scanner, r *row) error { return found.Scan(&r.position, &r.entry) },
		`SELECT position, entry FROM events WHERE position IN (SELECT value FROM json_each(?))`, string(list))
}

func (e sqlite) scan(ctx context.Context, read func(scanner, *row) error, query string, args ...any) ([]row, error) {
	rows, err := e.db.Read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		var r row
		if err := read(rows, &r); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func (e sqlite) after(ctx context.Context, at Position, limit int) ([]row, error) {
	return e.rows(ctx, `WHERE position > ? ORDER BY position LIMIT ?`, at, limit)
}

func (e sqlite) stream(ctx context.Context, s Stream, after Version, limit int) ([]row, error) {
	return e.rows(ctx, `WHERE stream = ? AND version > ? ORDER BY version LIMIT ?`, string(s), after, limit)
}

func (e sqlite) command(ctx context.Context, id string) (Position, error) {
	return scanPosition(e.db.Read.QueryRowContext(ctx, `SELECT position FROM events WHERE command = ?`, id))
}

func (e sqlite) nodes(ctx context.Context, at []Position) (map[Position][]byte, error) {
	list, err := json.Marshal(at)
	if err != nil || len(at) == 0 {
		return nil, err
	}
	rows, err := e.db.Read.QueryContext(ctx, `SELECT position, hashes FROM events WHERE position IN (SELECT value FROM json_each(?))`, string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[Position][]byte, len(at))
	for rows.Next() {
		var p Position
		var nodes []byte
		if err := rows.Scan(&p, &nodes); err != nil {
			return nil, err
		}
		found[p] = nodes
	}
	return found, rows.Err()
}

func (e sqlite) snapshot(ctx context.Context, s Stream) (snapshot, error) {
	return scanSnapshot(e.db.Read.QueryRowContext(ctx, `SELECT stream, version, format, state FROM snapshots WHERE stream = ? AND format BETWEEN ? AND ?`, string(s), oldestFormat, newestFormat))
}

func (e sqlite) saveSnapshots(ctx context.Context, list []snapshot) error {
	tx, err := e.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, s := range list {
		_, err := tx.ExecContext(ctx, `INSERT INTO snapshots (stream, version, format, state) VALUES (?,?,?,?)
			ON CONFLICT (stream) DO UPDATE SET version = excluded.version, format = excluded.format, state = excluded.state
			WHERE excluded.version > snapshots.version OR excluded.format > snapshots.format`,
			string(s.stream), s.version, s.format, s.state)
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (e sqlite) snapshots(ctx context.Context, after Stream, limit int) ([]snapshot, error) {
	rows, err := e.db.Read.QueryContext(ctx, `SELECT stream, version, format, state FROM snapshots WHERE stream > ? ORDER BY stream LIMIT ?`, string(after), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []snapshot
	for rows.Next() {
		s, err := scanSnapshot(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

func (e sqlite) checkpoint(ctx context.Context, name string) (Position, bool, error) {
	return scanCheckpoint(e.db.Read.QueryRowContext(ctx, `SELECT position, position <= (SELECT size FROM head) FROM checkpoints WHERE name = ?`, name))
}

func (e sqlite) checkpoints(ctx context.Context) (map[string]Position, error) {
	rows, err := e.db.Read.QueryContext(ctx, `SELECT name, position FROM checkpoints`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]Position{}
	for rows.Next() {
		var name string
		var at Position
		if err := rows.Scan(&name, &at); err != nil {
			return nil, err
		}
		all[name] = at
	}
	return all, rows.Err()
}

func (e sqlite) missingGuards(ctx context.Context) ([]string, error) {
	return schema.MissingGuardsSQLite(ctx, e.db.Read)
}

func (e sqlite) setCheckpoint(ctx context.Context, name string, at Position, _ lease) error {
	_, err := e.db.Write.ExecContext(ctx, `INSERT INTO checkpoints (name, position) VALUES (?,?)
		ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, at)
	return err
}

func (e sqlite) takesWrites(ctx context.Context) error {
	_, err := e.head(ctx)
	return err
}

func (e sqlite) probe(context.Context) error { return e.db.Space() }

func (sqlite) extend(context.Context, Position) error { return nil }

// One file is not archived in parts.
func (sqlite) archived(context.Context) (Position, error)  { return 0, nil }
func (sqlite) archives(context.Context) ([]Archive, error) { return nil, nil }
func (sqlite) archivedAccounts(context.Context, Position, Stream, int) ([]ArchivedAccount, error) {
	return nil, nil
}

// Every process on a file leads: each has a bus of its own, to which it alone can
// carry the log.
func (sqlite) takeLease(context.Context, lease, time.Duration) (int64, error) { return 1, nil }
func (sqlite) renewLease(context.Context, lease, time.Duration) error         { return nil }
func (sqlite) endLease(context.Context, lease) error                          { return nil }

// unheard is false: each process on a file has a bus of its own, which brings no hints of others.
func (sqlite) unheard() bool { return false }

// listen does nothing: another process on the file is found by polling.
func (sqlite) listen(context.Context, func(Position), func(error)) {}
