package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

func (h env) rebuild(t testing.TB, name string, replace bool) projections.Rebuilt {
	t.Helper()
	done, err := projections.Rebuild{DB: h.pool, Events: h.store, Replace: replace}.Run(t.Context(), name)
	fatal(t, err)
	return done
}

func (h env) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	_, err := h.pool.Exec(t.Context(), statement, args...)
	fatal(t, err)
}

// asOwner does, in one transaction, what the service's role may not.
func (h env) asOwner(t testing.TB, statements ...string) {
	t.Helper()
	fatal(t, pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error {
		for _, statement := range append([]string{`SET LOCAL ROLE NONE`}, statements...) {
			if _, err := tx.Exec(t.Context(), statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}))
}

// count reads one number.
func (h env) count(t testing.TB, query string) (n int) {
	t.Helper()
	fatal(t, h.pool.QueryRow(t.Context(), query).Scan(&n))
	return n
}

// Every view in turn is rebuilt while people act, a runner writes and others read:
// no read fails or sees half a table, nothing differs, and nothing is lost.
func TestRebuildWhileEverybodyWorks(t *testing.T) {
	h := newEnv(t)
	h.live(t, eventstoretest.NewWorkload(3, 20), 20)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	var appends, reads atomic.Int64
	work.Go(func() {
		if err := h.runner(t, h.views, endless).Run(ctx); err != nil {
			t.Errorf("the runner ends: %v", err)
		}
	})
	work.Go(func() {
		for workload := eventstoretest.NewWorkload(4, 20); ctx.Err() == nil; appends.Add(1) {
			if _, err := workload.Step(t.Context(), h.store, 8); err != nil {
				t.Errorf("append: %v", err)
			}
		}
	})
	for range 2 {
		work.Go(func() {
			for least := 0; ctx.Err() == nil; reads.Add(1) {
				users, err := h.readEverything(ctx)
				if ctx.Err() == nil && (err != nil || users < least) {
					t.Errorf("a read gives %d people after %d, %v", users, least, err)
				}
				least = users
			}
		})
	}
	for round := range 2 {
		for _, name := range projections.ViewNames() {
			done := h.rebuild(t, name, false)
			if done.Differs() || !done.Switched || done.Against != done.Table || done.Position == 0 {
				t.Errorf("round %d: %+v", round, done)
			}
			was := [2]int64{appends.Load(), reads.Load()}
			eventstoretest.Eventually(t, "more appends and reads", func() bool {
				return t.Failed() || appends.Load() > was[0] && reads.Load() > was[1]
			})
		}
	}
	stop()
	work.Wait()
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	h.same(t, h.views, h.head(t))
	if n := h.count(t, `SELECT count(*) FROM pg_class WHERE relnamespace = 'kassa_views_next'::regnamespace AND relkind = 'r'`); n != 1 {
		t.Errorf("%d tables are left where views are built", n)
	}
}

// readEverything asks each view something that is never empty after a workload, and
// gives how many people there are.
func (h env) readEverything(ctx context.Context) (users int, err error) {
	trial, err := h.views.Trial(ctx, 0)
	if err != nil {
		return 0, err
	}
	if trial.Total() != 0 || trial.Users == 0 {
		return 0, fmt.Errorf("the trial balance is %+v", trial)
	}
	people, _, err := h.views.Users(ctx, projections.PageQuery{Limit: 100}, 0)
	if err != nil {
		return 0, err
	}
	oldest := people.Items[len(people.Items)-1].ID
	lines, _, err := h.views.Transactions(ctx, oldest, projections.TransactionQuery{PageQuery: projections.PageQuery{Limit: 100}}, 0)
	if err != nil || len(lines.Items) == 0 {
		return 0, fmt.Errorf("%d lines of %s: %w", len(lines.Items), oldest, err)
	}
	asked, _, err := h.views.Predictions(ctx, oldest, projections.PredictionQuery{PageQuery: projections.PageQuery{Limit: 100}}, 0)
	if err != nil || len(asked.Items) == 0 {
		return 0, fmt.Errorf("%d predictions of %s: %w", len(asked.Items), oldest, err)
	}
	if _, _, err := h.views.Balance(ctx, oldest, 0); err != nil {
		return 0, err
	}
	return trial.Users, nil
}

// A view that differs from the log is kept, and said to differ, until somebody
// decides otherwise; then it is whole again.
func TestRebuildFindsADifference(t *testing.T) {
	h := newEnv(t)
	h.live(t, eventstoretest.NewWorkload(5, 10), 40)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	for _, tt := range []struct {
		name, tamper     string
		onlyOld, onlyNew int
	}{
		{"balances", `UPDATE kassa_views.balances_v2 SET available = available + 1 WHERE user_id = (SELECT min(user_id) FROM kassa_views.balances_v2)`, 1, 1},
		{"transactions", `DELETE FROM kassa_views.transactions_v2 WHERE (user_id, position) = (SELECT min(user_id), min(position) FROM kassa_views.transactions_v2 GROUP BY user_id ORDER BY 1 LIMIT 1)`, 0, 1},
		{"predictions", `UPDATE kassa_views.predictions_v4 SET movies = '[]' WHERE id = (SELECT min(id) FROM kassa_views.predictions_v4 WHERE state = 'captured')`, 1, 1},
		{"users", `INSERT INTO kassa_views.users_v1 VALUES ('u_forged', NULL, true, now(), 1000000)`, 1, 0},
		{"trial", `UPDATE kassa_views.trial_v2 SET amount = amount - 1`, 8, 8},
		{"days", `UPDATE kassa_views.days_v1 SET amount = amount + 1 WHERE measure = 'sign_ups'`, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.exec(t, tt.tamper)
			kept := h.rebuild(t, tt.name, false)
			if kept.OnlyOld != tt.onlyOld || kept.OnlyNew != tt.onlyNew || kept.Switched {
				t.Fatalf("the rebuild says %+v", kept)
			}
			again := h.rebuild(t, tt.name, true)
			if again.OnlyOld != tt.onlyOld || again.OnlyNew != tt.onlyNew || !again.Switched {
				t.Fatalf("the replacement says %+v", again)
			}
			h.same(t, h.views, h.head(t))
		})
	}
}

// A view that does not follow the log can be compared with nothing: a rebuild empties it
// and fills it from the log, also while a runner does the same.
func TestRebuildOfAViewThatDiverged(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, h env, i int, table string){
		"it is ahead of the log": func(t *testing.T, h env, _ int, table string) {
			h.exec(t, `UPDATE kassa_views.positions SET position = position + 1000 WHERE view = $1`, table)
		},
		"it was ahead, and the log has grown past it": func(t *testing.T, h env, i int, table string) {
			h.exec(t, `UPDATE kassa_views.positions SET position = position + 5 WHERE view = $1`, table)
			h.live(t, eventstoretest.NewWorkload(uint64(20+i), 10), 10)
		},
		"its table is missing": func(t *testing.T, h env, _ int, table string) { h.asOwner(t, `DROP TABLE kassa_views.`+table) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t)
			h.live(t, eventstoretest.NewWorkload(8, 10), 20)
			runner := h.runner(t, h.views, endless)
			fatal(t, runner.CatchUp(t.Context()))
			for i, table := range projections.DeclaredTables {
				lose(t, h, i, table)
				caughtUp := make(chan error, 1)
				caughtUp <- nil
				if i == 0 { // beside a runner
					<-caughtUp
					go func() { caughtUp <- runner.CatchUp(t.Context()) }()
				}
				done := h.rebuild(t, projections.ViewNames()[i], false)
				fatal(t, <-caughtUp)
				if done.Table != table || i > 0 && (!done.Diverged || done.Position != h.head(t)) {
					t.Errorf("the rebuild says %+v", done)
				}
				fatal(t, runner.CatchUp(t.Context()))
			}
			h.same(t, h.views, h.head(t))
		})
	}
}

// A long read does not let a rebuild hold up the short ones: it gives way, and comes
// again when the long one is over.
func TestRebuildGivesWayToReads(t *testing.T) {
	h := newEnv(t)
	h.live(t, eventstoretest.NewWorkload(6, 10), 10)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	long, err := h.pool.Begin(t.Context())
	fatal(t, err)
	defer long.Rollback(context.WithoutCancel(t.Context()))
	_, err = long.Exec(t.Context(), `SELECT FROM kassa_views.balances_v2 LIMIT 1`)
	fatal(t, err)
	drops := &watch{part: "kassa_views.switch"}
	rebuilt := make(chan error, 1)
	go func() {
		done, err := projections.Rebuild{DB: h.watched(t, drops), Events: h.store}.Run(t.Context(), "balances")
		if err == nil && !done.Switched {
			err = errors.New("it was not switched")
		}
		rebuilt <- err
	}()
	eventstoretest.Eventually(t, "a second try", func() bool { return drops.seen.Load() >= 2 })
	people, _, err := h.views.Users(t.Context(), projections.PageQuery{Limit: 5}, 0)
	fatal(t, err)
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, _, err = h.views.Balance(short, people.Items[0].ID, 0)
	fatal(t, err)
	fatal(t, long.Commit(t.Context()))
	fatal(t, <-rebuilt)
	h.same(t, h.views, h.head(t))
}

func TestOneRebuildAtATime(t *testing.T) {
	h := newEnv(t)
	h.live(t, eventstoretest.NewWorkload(6, 10), 5)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	met := false
	_, err := projections.Rebuild{DB: h.pool, Events: h.store, Progress: func(_, _ eventstore.Position) {
		met = true
		if _, err := (projections.Rebuild{DB: h.pool, Events: h.store}).Run(t.Context(), "balances"); !errors.Is(err, projections.ErrRebuilding) {
			t.Errorf("a second rebuild gives %v", err)
		}
		if _, err := (projections.Rebuild{DB: h.pool, Events: h.store}).Run(t.Context(), "users"); err != nil {
			t.Errorf("a rebuild of another view gives %v", err)
		}
	}}.Run(t.Context(), "balances")
	if err != nil || !met {
		t.Fatalf("the first gives %v", err)
	}
	if done := h.rebuild(t, "balances", false); !done.Switched {
		t.Errorf("the lock stays: %+v", done)
	}
	h.same(t, h.views, h.head(t))
	if _, err := (projections.Rebuild{DB: h.pool, Events: h.store}).Run(t.Context(), "weather"); err == nil {
		t.Error("a view that nobody knows was rebuilt")
	}
}

// A rebuild that dies at any step leaves the old table or the new one in its place,
// and the next goes through.
func TestRebuildStoppedAtEachStep(t *testing.T) {
	h := newEnv(t)
	workload := eventstoretest.NewWorkload(8, 10)
	h.live(t, workload, 5)
	for _, part := range []string{"kassa_views.make", "UPDATE positions", "VACUUM", "EXCEPT", "LOCK TABLE", "kassa_views.switch", "commit"} {
		for skip := range int64(2) {
			for name, when := range map[string]moment{"before": before, "after": answered, "lost": lost} {
				if when == lost && part != "commit" {
					continue
				}
				t.Run(fmt.Sprintf("%s %s, %d passed", name, part, skip), func(t *testing.T) {
					h.live(t, workload, 1)
					runner := h.runner(t, h.views, endless)
					fatal(t, runner.CatchUp(t.Context()))
					w := &watch{part: part, when: when}
					w.left.Store(skip)
					_, err := projections.Rebuild{DB: h.watched(t, w), Events: h.store}.Run(t.Context(), "balances")
					if w.seen.Load() == 0 || err == nil && when != answered && w.left.Load() < 0 {
						t.Fatalf("it was not stopped: %d such statements, %v", w.seen.Load(), err)
					}
					h.same(t, h.views, h.head(t))
					h.live(t, workload, 1)
					fatal(t, runner.CatchUp(t.Context()))
					if done := h.rebuild(t, "balances", false); done.Differs() || !done.Switched {
						t.Fatalf("the next rebuild says %+v", done)
					}
					h.same(t, h.views, h.head(t))
				})
			}
		}
	}
}

// A new version of a view is built beside the old one, which stays until it is
// dropped by name.
func TestAnotherVersion(t *testing.T) {
	h := newEnv(t)
	h.live(t, eventstoretest.NewWorkload(9, 10), 20)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	h.asOlderVersion(t, "balances_v2", "balances_v1")
	h.asOwner(t, `ALTER TABLE kassa_views.balances_v1 DROP COLUMN given, DROP COLUMN given_held`) // which it did not have
	if _, err := h.views.Position(t.Context()); err == nil {
		t.Error("views that lack one say how far they have come")
	}

	done := h.rebuild(t, "balances", false)
	if !done.Switched || done.Against != "balances_v1" || done.Differs() || len(done.Columns) != 4 || done.Position != h.head(t) {
		t.Fatalf("the rebuild says %+v", done)
	}
	h.same(t, h.views, h.head(t))
	list, err := projections.ListViews(t.Context(), h.pool)
	fatal(t, err)
	if len(list) != 8 || list[0].Table != "actions_v1" || list[1] != (projections.ViewTable{Name: "balances", Table: "balances_v1", Position: h.head(t)}) ||
		list[2] != (projections.ViewTable{Name: "balances", Table: "balances_v2", Position: h.head(t), Used: true}) {
		t.Errorf("the views are %+v", list)
	}
	if err := projections.DropView(t.Context(), h.pool, "balances_v2"); err == nil {
		t.Error("a view in use was dropped")
	}
	fatal(t, projections.DropView(t.Context(), h.pool, "balances_v1"))
	if err := projections.DropView(t.Context(), h.pool, "balances_v1"); err == nil {
		t.Error("it was dropped twice")
	}
	h.same(t, h.views, h.head(t))

	// Without any table there is nothing to compare with, and all of the log to build from.
	h.asOwner(t, `DROP TABLE kassa_views.users_v1`)
	h.exec(t, `DELETE FROM kassa_views.positions WHERE view = 'users_v1'`)
	if first := h.rebuild(t, "users", false); !first.Switched || first.Against != "" || first.Position != h.head(t) {
		t.Errorf("the first build says %+v", first)
	}
	h.same(t, h.views, h.head(t))
}

func (h env) asOlderVersion(t testing.TB, table, older string) {
	t.Helper()
	h.asOwner(t,
		`ALTER TABLE kassa_views.`+table+` RENAME TO `+older,
		`ALTER INDEX kassa_views.`+table+`_pkey RENAME TO `+older+`_pkey`,
		`UPDATE kassa_views.positions SET view = '`+older+`' WHERE view = '`+table+`'`)
}
