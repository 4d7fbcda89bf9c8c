package catalog

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
	"kassa/schema/schematest"
)

// database is a catalogue's storage: a file, or a PostgreSQL database.
type database struct {
	file string // path
	url  string
}

func newFile(t testing.TB) database {
	return database{file: filepath.Join(t.TempDir(), "kassa.db")}
}

func newPostgres(t testing.TB) database { return database{url: schematest.Postgres(t)} }

// inEach runs a test on both kinds of storage.
func inEach(t *testing.T, test func(t *testing.T, db database)) {
	t.Run("file", func(t *testing.T) { test(t, newFile(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, newPostgres(t)) })
}

// open opens the catalogue as another process would.
func (d database) open(t testing.TB) *Catalogue {
	t.Helper()
	c, err := d.tryOpen(t)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (d database) tryOpen(t testing.TB) (*Catalogue, error) {
	t.Helper()
	if d.file == "" {
		pool, err := schema.OpenPostgres(context.Background(), d.url, 4)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return OpenPostgres(context.Background(), pool)
	}
	db, err := schema.OpenSQLite(context.Background(), d.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return Open(context.Background(), db)
}

// exec runs a statement as the owner of the tables.
func (d database) exec(t testing.TB, statement string) error {
	t.Helper()
	ctx := context.Background()
	if d.file == "" {
		conn, err := pgx.Connect(ctx, d.url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, statement)
		return err
	}
	db, err := schema.OpenSQLite(ctx, d.file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Write.Exec(strings.ReplaceAll(statement, `'\x`, `x'`))
	return err
}

func (d database) mustExec(t testing.TB, statement string) {
	t.Helper()
	if err := d.exec(t, statement); err != nil {
		t.Fatal(err)
	}
}

// count is the result of a query.
func (d database) count(t testing.TB, query string) (n int) {
	t.Helper()
	ctx := context.Background()
	var err error
	if d.file == "" {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(ctx, d.url); err == nil {
			defer conn.Close(ctx)
			err = conn.QueryRow(ctx, query).Scan(&n)
		}
	} else {
		var db *schema.SQLite
		if db, err = schema.OpenSQLite(ctx, d.file); err == nil {
			defer db.Close()
			err = db.Read.QueryRow(query).Scan(&n)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// filmsWith returns for each model which films have a vector of it, made from their
// current texts.
func filmsWith(v *view) map[string][]bool {
	all := make(map[string][]bool)
	for model, vectors := range v.vectors {
		has := make([]bool, len(v.movies))
		switch vectors := vectors.(type) {
		case *matrix:
			for i := range has {
				_, err := unit(vectors.row(i))
				has[i] = err == nil
			}
		case *postgresVectors:
			has = vectors.has
		}
		all[model] = has
	}
	return all
}
