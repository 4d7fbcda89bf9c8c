package projections_test

import (
	"testing"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// benchEvents is the length of the log that the views catch up with.
const benchEvents = 200_000

// BenchmarkCatchUp takes all views from nothing to the end of a log, beside the
// mere reading of it.
func BenchmarkCatchUp(b *testing.B) {
	h := newEnv(b)
	workload := eventstoretest.NewWorkload(1, 2000)
	for h.head(b) < benchEvents {
		_, err := workload.Step(b.Context(), h.store, 200)
		fatal(b, err)
	}
	events := float64(h.head(b))
	b.Run("scan only", func(b *testing.B) {
		for b.Loop() {
			n := 0
			fatal(b, h.store.Scan(b.Context(), 0, func(page []eventstore.Recorded) error { n += len(page); return nil }))
			if n != int(events) {
				b.Fatalf("read %d entries of %.0f", n, events)
			}
		}
		b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("all views", func(b *testing.B) {
		var total spent
		for b.Loop() {
			b.StopTimer()
			h.empty(b)
			before := h.spending(b, &watch{})
			b.StartTimer()
			fatal(b, h.runner(b, h.views, endless).CatchUp(b.Context()))
			b.StopTimer()
			total.add(before, h.spending(b, &watch{}))
			b.StartTimer()
		}
		b.ReportMetric(float64(total.cpu.Nanoseconds())/1000/events/float64(b.N), "pg-µs/event")
		b.ReportMetric(float64(total.wal)/events/float64(b.N), "wal-B/event")
		b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	for _, table := range projections.DeclaredTables {
		b.Run(table, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h.empty(b)
				b.StartTimer()
				fatal(b, projections.CatchUpOne(b.Context(), h.pool, h.store, table))
			}
			b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// empty takes the views back to before the log.
func (h env) empty(t testing.TB) {
	t.Helper()
	for _, table := range projections.DeclaredTables {
		_, err := h.pool.Exec(t.Context(), `TRUNCATE kassa_views.`+table)
		fatal(t, err)
	}
	_, err := h.pool.Exec(t.Context(), `UPDATE kassa_views.positions SET position = 0`)
	fatal(t, err)
}

// statesAccounts is how many accounts are attested.
const statesAccounts = 1_000_000

// BenchmarkStates reads the states of the balances and of the persons, a row of each for every
// account, as an attestation does.
func BenchmarkStates(b *testing.B) {
	h := newEnv(b)
	for _, statement := range []string{
		`INSERT INTO kassa_views.balances_v2 (user_id, available, held, given, given_held, position) SELECT 'u_' || md5(n::text), n + 3, 5, 3, 2, n FROM generate_series(1, $1::int) n`,
		`INSERT INTO kassa_views.users_v1 (id, email, admin, signed_up_at, position) SELECT 'u_' || md5(n::text), sha512(n::text::bytea), false, now(), n FROM generate_series(1, $1::int) n`,
	} {
		_, err := h.pool.Exec(b.Context(), statement, statesAccounts)
		fatal(b, err)
	}
	_, err := h.pool.Exec(b.Context(), `UPDATE kassa_views.positions SET position = $1`, statesAccounts)
	fatal(b, err)
	for b.Loop() {
		views, err := projections.ReadStates(b.Context(), h.pool)
		fatal(b, err)
		if len(views) != 7 {
			b.Fatalf("read were %v", views)
		}
	}
	b.ReportMetric(2*statesAccounts*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
