package projections_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// keep notes the tables as they are now. What it gives sets them back to that, in one
// transaction, as a crash of the database server does that loses the last commits.
func (h env) keep(t testing.TB) (crash func()) {
	t.Helper()
	tables := append([]string{"positions"}, projections.DeclaredTables...)
	for _, table := range tables {
		h.asOwner(t, fmt.Sprintf(`CREATE TABLE kassa_views_next.kept_%s AS TABLE kassa_views.%[1]s`, table),
			fmt.Sprintf(`GRANT SELECT ON kassa_views_next.kept_%s TO PUBLIC`, table))
	}
	return func() {
		t.Helper()
		fatal(t, pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error {
			for _, table := range tables {
				if _, err := tx.Exec(t.Context(), fmt.Sprintf(`DELETE FROM kassa_views.%s`, table)); err != nil {
					return err
				}
				if _, err := tx.Exec(t.Context(), fmt.Sprintf(`INSERT INTO kassa_views.%s TABLE kassa_views_next.kept_%[1]s`, table)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// A process that saw the views at a position does not answer a read with that position
// from older rows, after a crash has set them back: it waits until they are there again.
func TestReadsAfterTheViewsFellBack(t *testing.T) {
	h := newEnv(t)
	runner := h.runner(t, h.views, endless)
	ada, version := h.asks(t, "u_ada", 1)
	asked := ada.Holds[0].Prediction
	fatal(t, runner.CatchUp(t.Context()))
	crash := h.keep(t)
	h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Deposit(7, "till", "pay") })
	last := h.decide(t, ada, &version, func() ([]domain.Event, error) { return ada.Fail(asked, domain.FailedWorker) })
	fatal(t, runner.CatchUp(t.Context()))
	// Two API processes; one hears no news. Both have seen the position.
	for name, views := range map[string]*projections.Postgres{"listens": h.views, "looks": projections.OnlyPolling(t.Context(), h.pool, h.store)} {
		t.Cleanup(views.Close)
		fatal(t, views.Wait(t.Context(), last))
		t.Run(name, func(t *testing.T) {
			crash()
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if b, at, err := views.Balance(soon, "u_ada", last); !errors.Is(err, projections.ErrBehind) {
				t.Errorf("while the views are behind, the balance is %+v at %d, %v", b, at, err)
			}
			if b, at, err := views.Balance(t.Context(), "u_ada", 0); err != nil || at >= last || b.Available != 995 {
				t.Errorf("without a position, the balance is %+v at %d, %v", b, at, err)
			}
			type read struct {
				what string
				err  error
			}
			reads := make(chan read, 4)
			go func() {
				b, at, err := views.Balance(t.Context(), "u_ada", last)
				if err == nil && (at < last || b.Available != 1007) {
					err = fmt.Errorf("%+v at %d", b, at)
				}
				reads <- read{"balance", err}
			}()
			go func() {
				list, at, err := views.Transactions(t.Context(), "u_ada", projections.TransactionQuery{PageQuery: projections.PageQuery{Limit: 1}}, last)
				if err == nil && (at < last || list.Items[0].Position != last) {
					err = fmt.Errorf("%+v at %d", list, at)
				}
				reads <- read{"transactions", err}
			}()
			go func() {
				p, at, err := views.Prediction(t.Context(), "u_ada", asked, last)
				if err == nil && (at < last || p.State != domain.StateReleased) {
					err = fmt.Errorf("%+v at %d", p, at)
				}
				reads <- read{"prediction", err}
			}()
			go func() {
				trial, err := views.Trial(t.Context(), last)
				if err == nil && (trial.Position < last || trial.Available != 1007) {
					err = fmt.Errorf("%+v", trial)
				}
				reads <- read{"trial balance", err}
			}()
			fatal(t, runner.CatchUp(t.Context()))
			for range cap(reads) {
				if r := <-reads; r.err != nil {
					t.Errorf("%s: %v", r.what, r.err)
				}
			}
			h.same(t, views, eventstore.Position(last))
		})
	}
}
