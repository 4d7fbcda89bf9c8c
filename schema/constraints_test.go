package schema_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
	"kassa/schema/schematest"
)

var constraintName = regexp.MustCompile("`((?:events|event_index|head|append)_[a-z_]+)`")

// Each constraint, index and trigger that docs/invariants.md names for a database
// exists in it.
func TestDocumentedConstraintsAreThere(t *testing.T) {
	there := map[string][]string{"SQLite": namesInSQLite(t), "PostgreSQL": namesInPostgres(t)}
	text, err := os.ReadFile("../docs/invariants.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "| rule | SQLite | PostgreSQL |\n")
	section, _, _ = strings.Cut(section, "\n\n")
	named := map[string]int{}
	for _, line := range strings.Split(section, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i, database := range []string{"SQLite", "PostgreSQL"} {
			for _, name := range constraintName.FindAllStringSubmatch(cells[i+1], -1) {
				named[database]++
				if !slices.Contains(there[database], name[1]) {
					t.Errorf("%s has no %s", database, name[1])
				}
			}
		}
	}
	if named["SQLite"] < 5 || named["PostgreSQL"] < 9 {
		t.Errorf("the table names %v: is it still read?", named)
	}
	rest := strings.Replace(string(text), section, "", 1)
	if name := constraintName.FindString(rest); name != "" {
		t.Errorf("%s is named outside the table that assigns it to a database", name)
	}
}

func namesInSQLite(t *testing.T) (names []string) {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Read.QueryContext(t.Context(), `SELECT name FROM sqlite_master WHERE type IN ('index', 'trigger')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

func namesInPostgres(t *testing.T) []string {
	t.Helper()
	rows, _ := connect(t, schematest.Postgres(t)).Query(t.Context(), `SELECT tgname::text FROM pg_trigger WHERE tgenabled = 'A'
		UNION SELECT conname::text FROM pg_constraint UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indisunique`)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}
