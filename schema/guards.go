package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
)

// The guards of the log are the triggers, unique indexes and checks by which the
// database refuses to change it. They stop bugs and the service's own role; the owner
// of the database, or of the file, can remove them. These functions detect that, and
// change nothing.

// postgresTriggers are the triggers of the log's tables. Each also fires in sessions
// that apply replicated changes (ENABLE ALWAYS).
var postgresTriggers = map[string][]string{
	"events":      {"events_append_only", "events_only_next"},
	"event_index": {"event_index_append_only"},
	"head":        {"head_only_grows", "head_stays"},
	"signed_head": {"signed_head_only_grows", "signed_head_stays"},
	// of the archived part of the log
	"archives":          {"archives_append_only"},
	"archived_events":   {"archived_events_append_only"},
	"archived_accounts": {"archived_accounts_append_only"},
}

// partitionTrigger is on each partition of events.
const partitionTrigger = "append_only"

// postgresIndexes must be unique.
var postgresIndexes = []string{"events_pkey", "event_index_stream_version", "event_index_position", "event_index_command", "head_pkey", "signed_head_pkey",
	"archives_pkey", "archived_events_pkey", "archived_accounts_pkey"}

// postgresFunctions are called by the triggers.
var postgresFunctions = []string{"refuse_change", "only_next"}

// querier is a connection, or a pool of them.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// MissingGuardsPostgres names the guards that are missing, disabled or changed, and
// triggers on the log that are in no migration.
func MissingGuardsPostgres(ctx context.Context, db querier) ([]string, error) {
	triggers, err := db.Query(ctx, `SELECT t.tgrelid::regclass::text || ' ' || t.tgname, t.tgenabled::text FROM pg_trigger t
		WHERE NOT t.tgisinternal AND (t.tgrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) name)
			OR t.tgrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass))`, slices.Collect(maps.Keys(postgresTriggers)))
	enabled, err := pairs(triggers, err)
	if err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass`)
	if err != nil {
		return nil, err
	}
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	gone := missingTriggers(enabled, parts)
	rows, err = db.Query(ctx, `SELECT name FROM unnest($1::text[]) name
		WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(name) AND indisunique AND indisvalid)`, postgresIndexes)
	if err != nil {
		return nil, err
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range indexes {
		gone = append(gone, "the unique index "+name)
	}
	if err != nil {
		return nil, err
	}
	functions, err := changedFunctions(ctx, db)
	return append(gone, functions...), err
}

func missingTriggers(enabled map[string]string, partitions []string) (gone []string) {
	wanted := map[string]bool{}
	for table, names := range postgresTriggers {
		for _, name := range names {
			wanted[table+" "+name] = true
		}
	}
	for _, part := range partitions {
		wanted[part+" "+partitionTrigger] = true
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		switch state, there := enabled[name]; {
		case !there:
			gone = append(gone, "the trigger "+name)
		case state != "A":
			gone = append(gone, "the trigger "+name+" is disabled, or silent in sessions that replicate")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(enabled)) {
		if !wanted[name] {
			gone = append(gone, "the trigger "+name+" is none of ours")
		}
	}
	return gone
}

// changedFunctions compares the functions that triggers call with those of the
// migrations.
func changedFunctions(ctx context.Context, db querier) (changed []string, err error) {
	rows, err := db.Query(ctx, `SELECT p.proname, replace(p.prosrc, quote_ident(n.nspname) || '.', '@ours@.') FROM pg_proc p
		JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE p.proname = ANY($1) AND n.oid = (SELECT relnamespace FROM pg_class WHERE oid = 'events'::regclass)`, postgresFunctions)
	bodies, err := pairs(rows, err)
	if err != nil {
		return nil, err
	}
	for _, name := range postgresFunctions {
		body, err := functionBody(name)
		if err != nil {
			return nil, err
		}
		if bodies[name] != body {
			changed = append(changed, "the function "+name)
		}
	}
	return changed, nil
}

// functionBody returns the body of a function as the last migration defines it.
func functionBody(name string) (body string, err error) {
	begins := regexp.MustCompile(`(?s)CREATE (?:OR REPLACE )?FUNCTION (?:@ours@\.)?` + name + `\(.*?\bAS (\$\w*\$)`)
	all, err := migrations("postgres")
	if err != nil {
		return "", err
	}
	for _, m := range all {
		text, err := fs.ReadFile(files, "postgres/"+m.Name)
		if err != nil {
			return "", err
		}
		if at := begins.FindSubmatchIndex(text); at != nil {
			quote := string(text[at[2]:at[3]])
			body, _, _ = strings.Cut(string(text[at[1]:]), quote)
		}
	}
	if body == "" {
		return "", fmt.Errorf("no migration makes the function %s", name)
	}
	return body, nil
}

func pairs(rows pgx.Rows, err error) (map[string]string, error) {
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { found[name] = value; return nil })
	return found, err
}

// MissingGuardsSQLite is MissingGuardsPostgres for a file: it compares the tables of
// the log, their indexes and triggers with those of a new ledger of the same version.
func MissingGuardsSQLite(ctx context.Context, db *sql.DB) (gone []string, err error) {
	applied, err := appliedSQLite(ctx, db)
	if err != nil {
		return nil, err
	}
	fresh, err := freshSQLite(ctx, applied)
	if err != nil {
		return nil, fmt.Errorf("make a ledger to compare with: %w", err)
	}
	defer fresh.Close()
	want, err := objectsSQLite(ctx, fresh)
	if err != nil {
		return nil, err
	}
	have, err := objectsSQLite(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch made, there := have[name]; {
		case !there:
			gone = append(gone, "the "+name)
		case made != want[name]:
			gone = append(gone, "the "+name+" is not as it was made")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ours := want[name]; !ours {
			gone = append(gone, "the "+name+" is none of ours")
		}
	}
	return gone, nil
}

// freshSQLite is an empty ledger in memory, with these migrations applied.
func freshSQLite(ctx context.Context, applied []int64) (*sql.DB, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ours, err := fs.Sub(files, "sqlite")
	if err == nil {
		var provider *goose.Provider
		if provider, err = goose.NewProvider(goose.DialectSQLite3, db, ours, goose.WithAllowOutofOrder(true)); err == nil {
			for _, version := range applied {
				if _, err = provider.ApplyVersion(ctx, version, true); err != nil {
					break
				}
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// objectsSQLite returns the SQL of the log's tables, indexes and triggers.
func objectsSQLite(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE tbl_name IN ('events', 'head', 'signed_head')`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var name, made string
		if err := rows.Scan(&name, &made); err != nil {
			return nil, err
		}
		found[name] = made
	}
	return found, rows.Err()
}
