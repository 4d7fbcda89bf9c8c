package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/projections"
	"kassa/schema"
)

// newSavedLedger is a ledger in one file that is long enough for its views to be saved.
func newSavedLedger(t *testing.T) ledger {
	t.Helper()
	l := newLedger(t, 31, 120)
	db, err := schema.OpenSQLite(t.Context(), l.file)
	must(t, err)
	defer db.Close()
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	defer store.Close()
	_, err = projections.OpenSaved(t.Context(), db, store, func(err error) { must(t, err) })
	must(t, err)
	return l
}

// verifySaved audits the file with its saved views.
func (l ledger) verifySaved(t testing.TB) (audit.Report, error) {
	t.Helper()
	db, err := schema.OpenSQLiteReadOnly(t.Context(), l.file)
	must(t, err)
	defer db.Close()
	store, err := eventstore.ReadSQLite(db)
	must(t, err)
	defer store.Close()
	tables := func(ctx context.Context, begin func(projections.TableAt) func(projections.Row)) error {
		return projections.ReadSaved(ctx, db, begin)
	}
	return audit.Ledger{Store: store, Tables: tables}.Verify(t.Context())
}

// In every column of the saved views one value is changed, and rows are removed and added:
// verify names the table, what is stored and what the log gives.
func TestTamperedSavedViews(t *testing.T) {
	l := newSavedLedger(t)
	report, err := l.verifySaved(t)
	must(t, err)
	tables := map[string]string{}
	for _, v := range report.Views {
		if v.Rows == 0 || v.Position != report.Head.Size {
			t.Errorf("%+v was compared, the head is at %d", v, report.Head.Size)
		}
		tables[v.Table] = ""
	}
	if len(tables) != 6 {
		t.Fatalf("the saved tables are %v", tables)
	}
	changes := map[string]string{
		"saved_sums: a row is gone":                     `DELETE FROM saved_sums WHERE account = (SELECT min(account) FROM saved_sums)`,
		"saved_days: a row is gone":                     `DELETE FROM saved_days WHERE measure = 'questions'`,
		"saved_lines: a row is gone":                    `DELETE FROM saved_lines WHERE position = (SELECT max(position) FROM saved_lines)`,
		"saved_lines: a row is added":                   `INSERT INTO saved_lines SELECT account, type, position + 1000000 FROM saved_lines LIMIT 1`,
		"saved_predictions: a refund that was none":     `UPDATE saved_predictions SET refund_position = 1 WHERE position = (SELECT min(position) FROM saved_predictions WHERE state = 'captured')`,
		"saved_predictions: a refund without its state": `UPDATE saved_predictions SET state = 'captured' WHERE position = (SELECT min(position) FROM saved_predictions WHERE state = 'refunded')`,
		"saved_accounts: an admin is made":              `UPDATE saved_accounts SET admin = 1 - admin WHERE position = (SELECT min(position) FROM saved_accounts)`,
		"saved_accounts: the table is gone":             `DROP TABLE saved_accounts`,
	}
	for table := range tables {
		for column, kind := range columnsOf(t, l, table) {
			if column == "admin" {
				continue // it is one of two, see above
			}
			change := column + " + 1000000"
			switch kind {
			case "TEXT":
				change = column + " || 'x'"
			case "BLOB":
				change = "CAST(" + column + " || 'x' AS BLOB)"
			}
			changes[table+": "+column] = fmt.Sprintf(`UPDATE %[1]s SET %[2]s = %[3]s WHERE %[2]s = (SELECT max(%[2]s) FROM %[1]s)`, table, column, change)
		}
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			_, err := l.tampered(t, func(conn *sql.Conn) { exec(t, conn, change) }).verifySaved(t)
			table, _, _ := strings.Cut(name, ":")
			var found *audit.Faults
			if !errors.As(err, &found) || found.List[0].View != table {
				t.Errorf("%s gave %v", change, err)
			}
		})
	}
	_, err = l.tampered(t, func(conn *sql.Conn) { exec(t, conn, `UPDATE saved_views SET position = position + 1`) }).verifySaved(t)
	var found *audit.Faults
	if !errors.As(err, &found) || found.List[0].Code != audit.ViewAhead {
		t.Errorf("views that are ahead gave %v", err)
	}
}

// columnsOf are the columns of a table, with their types.
func columnsOf(t testing.TB, l ledger, table string) map[string]string {
	t.Helper()
	columns := map[string]string{}
	l.tampered(t, func(conn *sql.Conn) {
		rows, err := conn.QueryContext(t.Context(), `SELECT name, type FROM pragma_table_info(?)`, table)
		must(t, err)
		defer rows.Close()
		for rows.Next() {
			var name, kind string
			must(t, rows.Scan(&name, &kind))
			columns[name] = kind
		}
	})
	return columns
}
