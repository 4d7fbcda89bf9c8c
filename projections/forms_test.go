package projections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/projections/projectionstest"
	"kassa/schema/schematest"
)

// inMemory is the replayed form, with the log that it reads what it misses from.
type inMemory struct {
	*projections.Memory
	log projections.LiveEvents
}

func (m inMemory) CatchUp(ctx context.Context) error { return m.Replay(ctx, m.log) }

func (m inMemory) Run(ctx context.Context) error {
	return m.Follow(ctx, m.log, slog.New(slog.DiscardHandler))
}

func TestMemory(t *testing.T) {
	projectionstest.Suite(t, func(_ *testing.T, log *projectionstest.Log) projectionstest.Form {
		return inMemory{projections.NewMemory(), log}
	})
}

// TestSaved: however often the views are saved, they show the same. The tests share a file:
// what one has saved does not fit the log of the next, unless they begin alike.
func TestSaved(t *testing.T) {
	for _, every := range []eventstore.Position{1, 20} {
		t.Run(fmt.Sprintf("every %d entries", every), func(t *testing.T) {
			db := openFile(t)
			projectionstest.Suite(t, func(t *testing.T, log *projectionstest.Log) projectionstest.Form {
				return inMemory{openSaved(t, db, log, every), log}
			})
		})
	}
}

// asTables is the form of tables in PostgreSQL, with the runner that keeps them.
type asTables struct {
	*projections.Postgres
	*projections.Runner
}

func TestPostgres(t *testing.T) {
	projectionstest.Suite(t, func(t *testing.T, log *projectionstest.Log) projectionstest.Form {
		pool := schematest.Pool(t, 16)
		// The suite's log is not in the database; that views follow the one that is there has
		// tests of its own.
		env{pool: pool}.asOwner(t, `CREATE OR REPLACE FUNCTION kassa_views.follows(at bigint, leaf bytea) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true'`)
		views := openViews(t, pool, log)
		return asTables{views, projections.NewRunner(views, log, slog.New(slog.NewTextHandler(t.Output(), nil)))}
	})
}

// A broken fact changes nothing of the replayed form, and all before it stands.
func TestABrokenFactChangesNothingInMemory(t *testing.T) {
	views := projections.NewMemory()
	opened := entry(t, 1, "account-u_ada", domain.SignedUp{User: "u_ada"})
	asked := entry(t, 2, "account-u_ada", domain.PredictionRequested{User: "u_ada", Prediction: "p_1", Price: 5, Limit: 1,
		Movement: domain.Movement{Held: 5, Postings: []domain.Posting{{Account: domain.AvailableOf("u_ada"), Amount: -5}, {Account: domain.HeldOf("u_ada"), Amount: 5}}}})
	fatal(t, views.Apply([]eventstore.Recorded{opened, asked}))
	before := shown(t, views)
	back := domain.Movement{Available: 5, Postings: []domain.Posting{{Account: domain.HeldOf("u_ada"), Amount: -5}, {Account: domain.AvailableOf("u_ada"), Amount: 5}}}
	for name, rec := range map[string]eventstore.Recorded{
		"an end of nothing":         entry(t, 3, "account-u_ada", domain.PredictionFailed{User: "u_ada", Prediction: "p_2", Price: 5, Movement: back}),
		"a question asked again":    entry(t, 3, "account-u_ada", asked.Event),
		"in another's stream":       entry(t, 3, "account-u_bob", domain.Deposited{User: "u_ada", Amount: 5, Movement: back}),
		"in a stream of no account": entry(t, 3, "email-x", domain.AdminGranted{User: "u_ada"}),
		"a sign-up in another's":    entry(t, 3, "account-u_ada", domain.SignedUp{User: "u_bob"}),
	} {
		err := views.Apply([]eventstore.Recorded{rec})
		if !errors.Is(err, domain.ErrBroken) {
			t.Errorf("%s: got %v", name, err)
		}
		if now := shown(t, views); now != before {
			t.Errorf("%s: the views show\n%s\nand showed\n%s", name, now, before)
		}
	}
}

// Who waits is woken by what stands before a gap or a broken fact, too.
func TestMemoryWakesBeforeAGap(t *testing.T) {
	views := projections.NewMemory()
	woken := make(chan error, 1)
	go func() { woken <- views.Wait(t.Context(), 1) }()
	err := views.Apply([]eventstore.Recorded{
		entry(t, 1, "account-u_ada", domain.SignedUp{User: "u_ada"}), entry(t, 3, "account-u_bob", domain.SignedUp{User: "u_bob"})})
	if !errors.Is(err, projections.ErrGap) {
		t.Fatalf("a batch with a gap gave %v", err)
	}
	fatal(t, <-woken)
}

// Oldest is where the first open question was asked.
func TestOldest(t *testing.T) {
	views, workload := projections.NewMemory(), eventstoretest.NewWorkload(5, 4)
	open := map[domain.PredictionID]eventstore.Position{}
	var at eventstore.Position
	for range 60 {
		for _, w := range workload.Append(6).Writes {
			for _, e := range w.Events {
				at++
				rec := entry(t, at, w.Stream, e)
				fatal(t, views.Apply([]eventstore.Recorded{rec}))
				workload.Record([]eventstore.Recorded{rec})
				switch e := e.(type) {
				case domain.PredictionRequested:
					open[e.Prediction] = at
				case domain.PredictionCompleted:
					delete(open, e.Prediction)
				case domain.PredictionFailed:
					delete(open, e.Prediction)
				case domain.PredictionExpired:
					delete(open, e.Prediction)
				}
				want := slices.Sorted(maps.Values(open))
				got, ok := views.Oldest()
				if ok != (len(want) > 0) || ok && got != want[0] {
					t.Fatalf("at position %d the oldest is %d (%t), want the first of %v", at, got, ok, want)
				}
			}
		}
	}
}

func entry(t testing.TB, at eventstore.Position, stream eventstore.Stream, e domain.Event) eventstore.Recorded {
	t.Helper()
	payload, err := domain.Encode(e)
	fatal(t, err)
	rec, err := eventstore.Decode(eventstore.EncodeEntry(eventstore.Envelope{Position: at, Stream: stream, Version: 1, Type: e.Type(),
		Schema: 1, Time: eventstore.Earliest}, payload))
	fatal(t, err)
	return rec
}

// shown is all that the views say of ada.
func shown(t testing.TB, views *projections.Memory) string {
	t.Helper()
	position, err := views.Position(t.Context())
	fatal(t, err)
	trial, err := views.Trial(t.Context(), 0)
	fatal(t, err)
	users, _, err := views.Users(t.Context(), projections.PageQuery{Limit: 9}, 0)
	fatal(t, err)
	lines, _, err := views.Transactions(t.Context(), "u_ada", projections.TransactionQuery{PageQuery: projections.PageQuery{Limit: 9}}, 0)
	fatal(t, err)
	asked, _, err := views.Predictions(t.Context(), "u_ada", projections.PredictionQuery{PageQuery: projections.PageQuery{Limit: 9}}, 0)
	fatal(t, err)
	return fmt.Sprintf("%d\n%+v\n%+v\n%+v\n%+v", position, trial, users, lines, asked)
}
