package projections_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// spent is what the database did since another moment.
type spent struct {
	cpu               time.Duration // of the sessions in this database; 0 where the server runs elsewhere
	wal               int64         // bytes
	trips, statements int64
}

// spending gives what the database has done so far.
func (h env) spending(t testing.TB, w *watch) (s spent) {
	t.Helper()
	var database string
	fatal(t, h.pool.QueryRow(t.Context(), `SELECT current_database(), pg_current_wal_insert_lsn() - '0/0'`).Scan(&database, &s.wal))
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	fatal(t, err)
	for _, path := range commands {
		command, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(command, []byte("postgres: ")) || !bytes.Contains(command, []byte(" "+database+" ")) {
			continue
		}
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "schedstat"))
		first, _, _ := bytes.Cut(stat, []byte(" "))
		ran, _ := strconv.ParseInt(string(first), 10, 64)
		s.cpu += time.Duration(ran)
	}
	s.trips, s.statements = w.trips.Load(), w.seen.Load()
	return s
}

func (s *spent) add(before, after spent) {
	s.cpu += after.cpu - before.cpu
	s.wal += after.wal - before.wal
	s.trips += after.trips - before.trips
	s.statements += after.statements - before.statements
}

// questioning is people who ask, and the views that follow.
type questioning struct {
	env
	people []*questioner
	runner *projections.Runner
	watch  *watch
	total  spent // by the views
	asked  int
}

type questioner struct {
	account *domain.Account
	version eventstore.Version
}

func newQuestioning(t testing.TB, people int) *questioning {
	q := &questioning{env: newEnv(t), watch: &watch{}}
	for n := range people {
		a, version := q.asks(t, domain.UserID(fmt.Sprintf("u_%026d", n)), 0)
		q.people = append(q.people, &questioner{a, version})
	}
	q.runner = projections.NewRunner(projections.On(q.watched(t, q.watch)), q.store, nil)
	fatal(t, q.runner.CatchUp(t.Context()))
	return q
}

// round takes questions into the views as the service does: their requests, and later
// their answers.
func (q *questioning) round(t testing.TB, together int) {
	each := func(decide func(p *questioner, id domain.PredictionID) ([]domain.Event, error)) {
		for n := range together {
			p, id := q.people[(q.asked+n)%len(q.people)], domain.PredictionID(fmt.Sprintf("p_%026d", q.asked+n))
			q.decide(t, p.account, &p.version, func() ([]domain.Event, error) { return decide(p, id) })
		}
		before := q.spending(t, q.watch)
		fatal(t, q.runner.CatchUp(t.Context()))
		q.total.add(before, q.spending(t, q.watch))
	}
	each(func(p *questioner, id domain.PredictionID) ([]domain.Event, error) {
		return p.account.RequestPrediction(domain.Question{Prediction: id,
			Text: make(domain.Sealed, 80), Price: 1, Limit: 5, ExpiresAt: eventstore.Earliest.AddDate(10, 0, 0)})
	})
	each(func(p *questioner, id domain.PredictionID) ([]domain.Event, error) {
		films := make([]domain.Match, 5)
		for i := range films {
			films[i] = domain.Match{MovieID: fmt.Sprintf("a-film-of-%d", 1950+i), Score: 0.7 - float64(i)/10}
		}
		return p.account.Complete(id, domain.Answer{Movies: films, Model: "kassa-1", Catalogue: "0123456789abcdef", ProcessingTime: 0.001})
	})
	q.asked += together
}

// A question costs the views two batches, of a few round trips and statements, and 32 that
// come together cost as many as one.
func TestStatementsOfAQuestionInViews(t *testing.T) {
	const tripsMost, statementsMost = 8 + 2, 22 + 2 // two more: the tables are looked at as a whole once a second
	q := newQuestioning(t, 40)
	for _, together := range []int{1, 32} {
		q.total = spent{}
		q.round(t, together)
		if q.total.trips > tripsMost || q.total.statements > statementsMost || q.total.trips == 0 {
			t.Errorf("%d questions took %d round trips and %d statements, at most %d and %d are due", together, q.total.trips, q.total.statements, tripsMost, statementsMost)
		}
	}
	q.same(t, q.views, q.head(t))
}

// The statements that write the views, and that reads balances, keep their plans: to plan
// one of them takes longer than to run it.
func TestPlansAreKept(t *testing.T) {
	const rounds, reads, each = 3, 200, 5 // PostgreSQL plans a statement five times in each session at least
	q := newQuestioning(t, 4)
	q.runner = projections.NewRunner(q.views, q.store, nil)
	for range rounds {
		q.round(t, 1)
	}
	for range reads {
		_, _, err := q.views.Balance(t.Context(), q.people[0].account.User, 0)
		fatal(t, err)
	}
	for _, tt := range []struct {
		what, statement    string
		least, mostPlanned int64
	}{
		{"writing balances", "%UPDATE balances_v2%", rounds, 0},
		{"moving positions", "UPDATE positions%", rounds, 0},
		{"reading balances", "SELECT user_id, available%", reads - 16*each, each},
	} {
		var kept int64
		for _, conn := range q.pool.AcquireAllIdle(t.Context()) {
			var generic, planned int64
			fatal(t, conn.QueryRow(t.Context(), `SELECT coalesce(sum(generic_plans), 0)::bigint, coalesce(sum(custom_plans), 0)::bigint
				FROM pg_prepared_statements WHERE statement LIKE $1`, tt.statement).Scan(&generic, &planned))
			conn.Release()
			kept += generic
			if planned > tt.mostPlanned {
				t.Errorf("%s was planned %d times in a session", tt.what, planned)
			}
		}
		if kept < tt.least {
			t.Errorf("%s ran %d times by a kept plan, want at least %d", tt.what, kept, tt.least)
		}
	}
}

// BenchmarkQuestionInViews reports what the database does to take a question into the
// views, so many at a time; the appends are not counted.
func BenchmarkQuestionInViews(b *testing.B) {
	for _, together := range []int{1, 32} {
		b.Run(fmt.Sprintf("together=%d", together), func(b *testing.B) {
			q := newQuestioning(b, 200)
			for b.Loop() {
				q.round(b, together)
			}
			q.same(b, q.views, q.head(b))
			each := func(n int64) float64 { return float64(n) / float64(q.asked) }
			b.ReportMetric(each(q.total.cpu.Nanoseconds())/1000, "pg-µs/question")
			b.ReportMetric(each(q.total.wal), "wal-B/question")
			b.ReportMetric(each(q.total.trips), "trips/question")
			b.ReportMetric(each(q.total.statements), "statements/question")
		})
	}
}
