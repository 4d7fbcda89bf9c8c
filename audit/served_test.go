package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/app"
	"kassa/projections"
	"kassa/schema/schematest"
)

// fixture is a ledger in PostgreSQL with its served views.
type fixture struct {
	pool     *pgxpool.Pool
	store    *eventstore.Store
	workload *eventstoretest.Workload
	views    *projections.Runner
}

func newFixture(t testing.TB, appends int) fixture {
	t.Helper()
	h := fixture{pool: schematest.Pool(t, 16), workload: eventstoretest.NewWorkload(21, 8)}
	var err error
	h.store, err = eventstore.Postgres(t.Context(), h.pool)
	must(t, err)
	t.Cleanup(h.store.Close)
	views, err := projections.OpenPostgres(t.Context(), h.pool, h.store)
	must(t, err)
	t.Cleanup(views.Close)
	h.views = projections.NewRunner(views, h.store, slog.New(slog.NewTextHandler(t.Output(), nil)))
	h.run(t, appends)
	must(t, h.views.CatchUp(t.Context()))
	return h
}

func (h fixture) head(t testing.TB) eventstore.Position {
	t.Helper()
	head, err := h.store.Head(t.Context())
	must(t, err)
	return head.Size
}

func (h fixture) run(t testing.TB, appends int) {
	t.Helper()
	for range appends {
		_, err := h.workload.Step(t.Context(), h.store, 12)
		must(t, err)
	}
}

func (h fixture) verify(t testing.TB) (audit.Report, error) {
	t.Helper()
	tables := func(ctx context.Context, begin func(projections.TableAt) func(projections.Row)) error {
		return projections.ReadTables(ctx, h.pool, begin)
	}
	return audit.Ledger{Store: h.store, Tables: tables, Catalogue: (&app.Ledger{Pool: h.pool}).Record}.Verify(t.Context())
}

// exec runs a statement as the owner of the tables.
func (h fixture) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	var done pgconn.CommandTag
	must(t, pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SET LOCAL ROLE NONE`)
		if err == nil {
			done, err = tx.Exec(t.Context(), query, args...)
		}
		return err
	}))
	if strings.HasPrefix(query, "UPDATE") && done.RowsAffected() == 0 {
		t.Fatalf("no row was there for %s", query)
	}
}

// differs checks that verify finds differences in this table only, and returns them.
func (h fixture) differs(t testing.TB, code audit.Code, table string) []*audit.Fault {
	t.Helper()
	_, err := h.verify(t)
	var found *audit.Faults
	if !errors.As(err, &found) {
		t.Fatalf("%s: no difference was found: %v", table, err)
	}
	for _, f := range found.List {
		if f.Code != code || f.View != table {
			t.Fatalf("%s: found was %v", table, f)
		}
	}
	return found.List
}

// noDifferences checks that no row differs, and that every table was compared.
func (h fixture) noDifferences(t testing.TB) audit.Report {
	t.Helper()
	report, err := h.verify(t)
	must(t, err)
	if len(report.Views) != 7 {
		t.Fatalf("compared were %v", report.Views)
	}
	return report
}

var tables = []string{"balances_v2", "transactions_v2", "predictions_v4", "users_v1", "trial_v2", "days_v1", "actions_v1"}

// tamper is another value of a column.
func tamper(column, kind string) string {
	switch kind {
	case "text":
		return column + ` || 'x'`
	case "boolean":
		return `NOT ` + column
	case "bytea":
		return column + ` || '\x00'`
	case "timestamp with time zone":
		return column + ` + interval '1 microsecond'`
	case "double precision":
		return column + ` + 0.001`
	}
	return column + ` + 1000000`
}

// In every column of every served table one value is changed, with the owner's rights.
// Verify names the view, the row, the stored and the expected value.
func TestEveryColumnOfEveryTable(t *testing.T) {
	h := newFixture(t, 120)
	h.workload.FollowUps = true
	h.run(t, 60)
	must(t, h.views.CatchUp(t.Context()))
	report := h.noDifferences(t)
	for _, view := range report.Views {
		if view.Position != report.Head.Size || view.Rows == 0 {
			t.Errorf("%+v was compared, the head is at %d", view, report.Head.Size)
		}
	}
	for _, table := range tables {
		served := "kassa_views." + table
		h.exec(t, `DO $$ DECLARE c text; BEGIN
			FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = '`+served+`'::regclass AND contype = 'c' LOOP
				EXECUTE 'ALTER TABLE `+served+` DROP CONSTRAINT ' || c;
			END LOOP; END $$`)
		rows, err := h.pool.Query(t.Context(), `SELECT attname::text, format_type(atttypid, NULL), (SELECT attnum = ANY(conkey) FROM pg_constraint
			WHERE conrelid = attrelid AND contype = 'p'), attnotnull FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped`, served)
		must(t, err)
		type column struct {
			name, kind    string
			key, required bool
		}
		columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
			return c, row.Scan(&c.name, &c.kind, &c.key, &c.required)
		})
		must(t, err)
		for _, c := range columns {
			changes := []string{tamper(c.name, c.kind)}
			if !c.required {
				changes = append(changes, "NULL")
			}
			if c.kind == "double precision" {
				changes = append(changes, "'NaN'")
			}
			for _, change := range changes {
				t.Run(fmt.Sprintf("%s.%s is %s", table, c.name, change), func(t *testing.T) {
					h.exec(t, `DROP TABLE IF EXISTS kassa_views.before`)
					h.exec(t, `CREATE TABLE kassa_views.before AS TABLE `+served)
					h.exec(t, `UPDATE `+served+` SET `+c.name+` = `+change+` WHERE ctid = (SELECT ctid FROM `+served+` WHERE `+c.name+` IS NOT NULL LIMIT 1)`)
					found := h.differs(t, audit.ViewDiffers, table)
					// A changed key gives two faults: one row is missing, another is
					// unexpected. A refund is compared as a row of its own.
					if c.key && len(found) != 2 && len(found) != 4 || !c.key && len(found) != 1 {
						t.Errorf("%d differences were found: %v", len(found), found)
					}
					for _, f := range found {
						if f.Key == "" || f.Expected == f.Found || !strings.Contains(f.Key+f.Expected+f.Found, c.name+"=") {
							t.Errorf("the difference is %+v", f)
						}
					}
					h.exec(t, `TRUNCATE `+served)
					h.exec(t, `INSERT INTO `+served+` TABLE kassa_views.before`)
				})
			}
		}
	}
	h.noDifferences(t)
}

// rebuild drops the served tables, and fills them from the log again.
func (h fixture) rebuild(t testing.TB) {
	t.Helper()
	h.exec(t, `DROP TABLE IF EXISTS kassa_views.hidden CASCADE`) // and a view of the same name
	h.exec(t, `DROP TABLE IF EXISTS kassa_views.`+strings.Join(tables, `, kassa_views.`))
	h.exec(t, `DELETE FROM kassa_views.positions`)
	views, err := projections.OpenPostgres(t.Context(), h.pool, h.store)
	must(t, err)
	defer views.Close()
	must(t, projections.NewRunner(views, h.store, slog.New(slog.NewTextHandler(t.Output(), nil))).CatchUp(t.Context()))
}

// Missing, unexpected and duplicated rows, and tables that are not ours.
func TestRowsOfServedTables(t *testing.T) {
	h := newFixture(t, 120)
	for _, tt := range []struct {
		name, table string
		statements  []string
		code        audit.Code
		found       int
		text        string
	}{
		{"a balance of a million", "balances_v2", []string{
			`UPDATE kassa_views.balances_v2 SET available = 1000110 WHERE user_id = 'u_21_1'`}, audit.ViewDiffers, 1, "available=1000110"},
		{"a row gone", "transactions_v2", []string{
			`DELETE FROM kassa_views.transactions_v2 WHERE position = (SELECT max(position) FROM kassa_views.transactions_v2)`}, audit.ViewDiffers, 1, "found no such row"},
		{"a row of an unknown user", "users_v1", []string{
			`INSERT INTO kassa_views.users_v1 VALUES ('u_forged', NULL, true, now(), 1000000)`}, audit.ViewDiffers, 1, "expected no such row"},
		{"a row twice", "trial_v2", []string{
			`ALTER TABLE kassa_views.trial_v2 DROP CONSTRAINT trial_v2_pkey`,
			`INSERT INTO kassa_views.trial_v2 SELECT * FROM kassa_views.trial_v2 WHERE account = 'house:cash'`}, audit.ViewDiffers, 1, "and again"},
		{"what one row lost another has", "predictions_v4", []string{
			`UPDATE kassa_views.predictions_v4 SET price = price + 1 WHERE id = (SELECT min(id) FROM kassa_views.predictions_v4)`,
			`UPDATE kassa_views.predictions_v4 SET price = price - 1 WHERE id = (SELECT max(id) FROM kassa_views.predictions_v4)`}, audit.ViewDiffers, 2, "price=4"},
		{"all rows", "transactions_v2", []string{
			`UPDATE kassa_views.transactions_v2 SET balance_after = balance_after + 1`}, audit.ViewDiffers, 22, "more differ"},
		{"no rows", "balances_v2", []string{`TRUNCATE kassa_views.balances_v2`}, audit.ViewDiffers, 8, "found no such row"},
		{"a view at too low a position", "transactions_v2", []string{
			`UPDATE kassa_views.positions SET position = 3 WHERE view = 'transactions_v2'`}, audit.ViewDiffers, 22, "more differ"},
		{"a view at too high a position", "users_v1", []string{
			`DELETE FROM kassa_views.users_v1 WHERE position = (SELECT max(position) FROM kassa_views.users_v1)`}, audit.ViewDiffers, 1, "found no such row"},
		{"a table that is not there", "users_v1", []string{
			`DROP TABLE kassa_views.users_v1`}, audit.ViewMissing, 1, "it is not there"},
		{"a table with another in its place", "balances_v2", []string{
			`ALTER TABLE kassa_views.balances_v2 RENAME TO hidden`,
			`CREATE VIEW kassa_views.balances_v2 AS TABLE kassa_views.hidden`}, audit.ViewMissing, 1, "no plain table"},
		{"a table that shows not all to all", "trial_v2", []string{
			`ALTER TABLE kassa_views.trial_v2 ENABLE ROW LEVEL SECURITY`}, audit.ViewMissing, 1, "no plain table"},
		{"a view without a position", "users_v1", []string{
			`DELETE FROM kassa_views.positions WHERE view = 'users_v1'`}, audit.ViewMissing, 1, "no position"},
		{"a view ahead of the log", "users_v1", []string{
			`UPDATE kassa_views.positions SET position = position + 1 WHERE view = 'users_v1'`}, audit.ViewAhead, 1, "ahead"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, statement := range tt.statements {
				h.exec(t, statement)
			}
			found := h.differs(t, tt.code, tt.table)
			if len(found) != tt.found || !strings.Contains(found[len(found)-1].Error(), tt.text) {
				t.Errorf("%d differences were found, want %d, the last with the text %q: %v", len(found), tt.found, tt.text, found)
			}
			h.rebuild(t)
		})
	}
	h.noDifferences(t)
	h.exec(t, `DROP TABLE kassa_views.`+strings.Join(tables, `, kassa_views.`))
	_, err := h.verify(t)
	at := h.head(t)
	finds(t, err, slices.Repeat([]want{{audit.ViewMissing, at}}, len(tables))...)
}

// During concurrent work, and while the views lag and are rebuilt, nothing differs:
// each table is compared at its own position.
func TestServedTablesWhileTheServiceRuns(t *testing.T) {
	h := newFixture(t, 30)
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			if _, err := h.workload.Step(t.Context(), h.store, 4); err != nil {
				t.Error(err)
			}
		}
	})
	work.Go(func() {
		if err := h.views.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	work.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			names := projections.ViewNames()
			if _, err := (projections.Rebuild{DB: h.pool, Events: h.store}).Run(t.Context(), names[i%len(names)]); err != nil {
				t.Error(err)
			}
		}
	})
	for range 25 {
		h.noDifferences(t)
	}
	stop()
	work.Wait()
	must(t, h.views.CatchUp(t.Context()))
	h.noDifferences(t)
}
