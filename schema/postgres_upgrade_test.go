package schema_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// In a database whose view tables were created by the service, they are taken over with
// their rows. From then on the service writes to them and creates nothing.
func TestUpgradeTakesTheViewsOver(t *testing.T) {
	url := schematest.Empty(t)
	if _, err := schema.MigratePostgresTo(t.Context(), url, 4); err != nil {
		t.Fatal(err)
	}
	owner := connect(t, url)
	exec(t, owner, `SET ROLE kassa_app;
		CREATE TABLE kassa_views.balances_v1 (user_id text PRIMARY KEY, available bigint NOT NULL, held bigint NOT NULL, position bigint NOT NULL);
		INSERT INTO kassa_views.balances_v1 VALUES ('u_ada', 7, 0, 3);
		INSERT INTO kassa_views.positions VALUES ('balances_v1', 3);
		CREATE TABLE kassa_views_next.balances_v1 (LIKE kassa_views.balances_v1);
		INSERT INTO kassa_views_next.positions VALUES ('balances_v1', 2);
		RESET ROLE`)
	if _, err := schema.MigratePostgres(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	service := connect(t, schematest.Service(t, url))
	var available, position, left, foreign int
	var made bool
	err := service.QueryRow(t.Context(), `SELECT available, (SELECT position FROM kassa_views.positions WHERE view = 'balances_v1'), (SELECT count(*) FROM kassa_views_next.positions),
		(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ^@ 'kassa_views' AND relowner <> nspowner),
		kassa_views.make('kassa_views', 'balances_v1') FROM kassa_views.balances_v1`).Scan(&available, &position, &left, &foreign, &made)
	if err != nil || available != 7 || position != 3 || left != 0 || foreign != 0 || made {
		t.Errorf("a balance of %d at %d, %d half built, %d of another owner, made again: %t, %v", available, position, left, foreign, made, err)
	}
	exec(t, service, `UPDATE kassa_views.balances_v1 SET available = 8`)
	for _, place := range []string{"kassa_views", "kassa_views_next", "public", "pg_temp"} {
		if _, err := service.Exec(t.Context(), `CREATE TABLE `+place+`.own (n int)`); err == nil {
			t.Errorf("the service makes a table in %s", place)
		}
	}
}

// A position does not outlive its table: a dropped table is created again, empty and at
// position 0.
func TestADroppedViewBeginsAgain(t *testing.T) {
	url := schematest.Postgres(t)
	owner, service := connect(t, url), connect(t, schematest.Service(t, url))
	exec(t, service, `SELECT kassa_views.make('kassa_views', 'users_v1'); UPDATE kassa_views.positions SET position = 9`)
	exec(t, owner, `DROP TABLE kassa_views.users_v1`)
	exec(t, service, `SELECT kassa_views.make('kassa_views', 'users_v1')`)
	var at int
	if err := service.QueryRow(t.Context(), `SELECT position FROM kassa_views.positions WHERE view = 'users_v1'`).Scan(&at); err != nil || at != 0 {
		t.Errorf("the new table is at position %d, %v", at, err)
	}
}

// If another process creates a missing table, partition or index at the same moment, it is
// found, also by a session that has cached that it does not exist.
func TestOneObjectIsMadeByTwo(t *testing.T) {
	for _, tt := range []struct{ name, lock, object, prepare, makes string }{
		{"table of a view", "kassa views", "kassa_views.balances_v2", `DROP TABLE kassa_views.balances_v2`, `SELECT kassa_views.make('kassa_views', 'balances_v2')::int`},
		{"partition", "kassa extend_log", "events_p3", `DROP TABLE events_p3`, `SELECT extend_log(19999999)`},
		{"index of vectors", "kassa tend_vector_indexes", "vectors_near_0cc175b9c0f1b6a831c399e269772661", `
			INSERT INTO movies VALUES ('m', sha256('{}'), '{}', true, now());
			INSERT INTO models VALUES ('a', 1);
			INSERT INTO vectors VALUES ('a', 'm', sha256(''), '[1]', 1)`, `SELECT tend_vector_indexes(1)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := schematest.Postgres(t)
			owner, service := connect(t, url), connect(t, schematest.Service(t, url))
			exec(t, service, tt.makes) // so that its session has cached the function's plans
			exec(t, owner, tt.prepare)
			exec(t, service, `SELECT to_regclass('`+tt.object+`')`) // so that it has cached that the object does not exist
			exec(t, owner, `SELECT pg_advisory_lock(hashtext('`+tt.lock+`'))`)
			result := make(chan error, 1)
			go func() {
				var made int
				err := service.QueryRow(t.Context(), tt.makes).Scan(&made)
				if err == nil && made != 0 {
					err = errors.New("it was made twice")
				}
				result <- err
			}()
			eventstoretest.Eventually(t, "the service waits for the lock", func() bool {
				var waits bool
				must(t, owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = $1)`, service.PgConn().PID()).Scan(&waits))
				return waits
			})
			var made int
			must(t, owner.QueryRow(t.Context(), tt.makes).Scan(&made))
			exec(t, owner, `SELECT pg_advisory_unlock(hashtext('`+tt.lock+`'))`)
			if err := <-result; err != nil || made == 0 {
				t.Errorf("the owner made %d, the service: %v", made, err)
			}
		})
	}
}

// Each table has an entry in rights, so that doctor checks it.
func TestEveryTableHasItsRights(t *testing.T) {
	conn := connect(t, schematest.Postgres(t))
	rows, _ := conn.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace = 'public'::regnamespace
		AND oid NOT IN (SELECT inhrelid FROM pg_inherits) AND relname <> 'goose_lock'`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if _, known := schema.Rights[table]; !known {
			t.Errorf("%s has no line in schema/rights.go", table)
		}
	}
	if len(tables) != len(schema.Rights) {
		t.Errorf("there are %d tables, and rights on %d", len(tables), len(schema.Rights))
	}
	for name, look := range map[string]schema.Faults{"owners": schema.WrongOwners, "rights": schema.WrongRights, "functions": schema.WrongFunctions, "guards": schema.WrongGuards} {
		if list, err := look(t.Context(), conn); err != nil || len(list) > 0 {
			t.Errorf("of a new database the %s are %q, %v", name, list, err)
		}
	}
}

// A database in use keeps the views of before given credits and refunds, for processes
// that still run, beside the new ones; a new database has the new ones only.
func TestUpgradeOfViews(t *testing.T) {
	for _, used := range []bool{false, true} {
		url := schematest.Empty(t)
		if _, err := schema.MigratePostgresTo(t.Context(), url, 11); err != nil {
			t.Fatal(err)
		}
		if used {
			exec(t, connect(t, url), `INSERT INTO kassa_views.balances_v1 VALUES ('u_ada', 7, 0, 3); UPDATE kassa_views.positions SET position = 3`)
		}
		if _, err := schema.MigratePostgres(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		service := connect(t, schematest.Service(t, url))
		var before, now int
		err := service.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE view ^@ 'balances_v1' OR view ^@ 'transactions_v1' OR view ^@ 'trial_v1' OR view ^@ 'predictions_v1'),
			count(*) FILTER (WHERE view IN ('balances_v2', 'transactions_v2', 'trial_v2', 'predictions_v4', 'days_v1', 'actions_v1') AND position = 0 AND to_regclass('kassa_views.' || view) IS NOT NULL)
			FROM kassa_views.positions`).Scan(&before, &now)
		if want := map[bool]int{false: 0, true: 4}[used]; err != nil || before != want || now != 6 {
			t.Errorf("used %t: %d views of before, %d of now, %v", used, before, now, err)
		}
		var again bool
		if err := service.QueryRow(t.Context(), `SELECT kassa_views.make('kassa_views', 'balances_v1')`).Scan(&again); err != nil || again == used {
			t.Errorf("used %t: a program of before makes its table: %t, %v", used, again, err)
		}
	}
}
