package eventstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// BenchmarkAppend is what a command costs the ledger: load the account from
// memory, decide a deposit, append it durably, each writer on a wallet of its
// own. Beside it stands the floor: the very rows that were written, by bare SQLite
// with the same driver, durability and file system, one INSERT and one COMMIT
// each, as a program without group commit would write them. The two take turns,
// so that a busy machine slows both.
func BenchmarkAppend(b *testing.B) {
	const turns = 8
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			store := inFile(b, newFile(b))()
			users := make([]domain.UserID, writers)
			for i := range users {
				users[i] = domain.UserID(fmt.Sprintf("u_%04d", i))
				fill(b, store, users[i], 2)
			}
			bare := newBareTable(b)
			var ours, floor stopwatch
			b.ResetTimer() // b.N grows with our time alone
			b.StopTimer()
			for turn := range turns {
				head, err := store.Head(b.Context())
				must(b, err)
				n := max(1, b.N/turns)
				b.StartTimer()
				ours.time(n, func() { deposits(b, store, users, turn, n) })
				b.StopTimer()
				rows := bare.take(b, store, head.Size)
				floor.time(len(rows), func() { bare.insert(b, rows) })
			}
			b.ReportMetric(ours.rate(), "appends/s")
			b.ReportMetric(floor.rate(), "bare/s")
			b.ReportMetric(ours.rate()/floor.rate(), "times-bare")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// stopwatch adds up what was done, and in how long.
type stopwatch struct {
	done int
	took time.Duration
}

func (s *stopwatch) time(n int, do func()) {
	start := time.Now()
	do()
	s.took += time.Since(start)
	s.done += n
}

func (s *stopwatch) rate() float64 { return float64(s.done) / s.took.Seconds() }

// deposits shares n deposits among writers, one for each wallet.
func deposits(b *testing.B, store *eventstore.Store, users []domain.UserID, turn, n int) {
	var next atomic.Int64
	var work sync.WaitGroup
	for _, u := range users {
		work.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := deposit(b.Context(), store, u, fmt.Sprintf("%d-%d", turn, i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

func deposit(ctx context.Context, store *eventstore.Store, u domain.UserID, key string) error {
	l, err := store.Account(ctx, u)
	if err != nil {
		return err
	}
	events, err := l.Account.Deposit(1, "sandbox", "payment")
	if err != nil {
		return err
	}
	_, err = store.Append(ctx, eventstore.Append{Time: time.Now(), Actor: "user:" + string(u),
		Cause:  eventstore.Command{ID: key, Content: "deposit"}.Cause(),
		Writes: []eventstore.Write{{Stream: eventstore.AccountStream(u), Expected: l.Version, Events: events}}})
	return err
}

// bareTable is the table of the log with its two indexes, and neither triggers
// nor a head.
type bareTable struct{ stmt *sql.Stmt }

func newBareTable(b *testing.B) bareTable {
	b.Helper()
	db := openFile(b, newFile(b)).Write
	for _, change := range []string{`DROP TRIGGER events_only_next`, `DROP TRIGGER events_no_update`, `DROP TRIGGER events_no_delete`} {
		_, err := db.ExecContext(b.Context(), change)
		must(b, err)
	}
	stmt, err := db.PrepareContext(b.Context(), `INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)`)
	must(b, err)
	b.Cleanup(func() { must(b, stmt.Close()) })
	return bareTable{stmt}
}

// take gives rows of the store behind the position as arguments, some hundreds.
func (bareTable) take(b *testing.B, store *eventstore.Store, behind eventstore.Position) (rows [][]any) {
	b.Helper()
	const most = 400
	must(b, store.Rows(b.Context(), behind, func(page []eventstore.Stored) error {
		for _, row := range page[:min(len(page), most-len(rows))] {
			var nodes []byte
			for _, node := range row.Nodes {
				nodes = append(nodes, node[:]...)
			}
			rows = append(rows, []any{row.Position, string(row.Stream), row.Version, row.Command, nodes, row.Recorded.Entry})
		}
		return nil
	}))
	return rows
}

func (t bareTable) insert(b *testing.B, rows [][]any) {
	for _, row := range rows {
		_, err := t.stmt.ExecContext(b.Context(), row...)
		must(b, err)
	}
}

// BenchmarkReplay reads, decodes and folds the whole log of a workload, beside a bare scan
// of the same rows that looks at nothing.
func BenchmarkReplay(b *testing.B) {
	const entries = 200_000
	ctx := b.Context()
	file := newFile(b)
	store := inFile(b, file)()
	workload := eventstoretest.NewWorkload(1, 5000)
	for n := 0; n < entries; {
		r, err := workload.Step(ctx, store, 200)
		must(b, err)
		n += len(r.Events)
	}
	head, err := store.Head(ctx)
	must(b, err)
	db := openFile(b, file)

	var ours, floor stopwatch
	for b.Loop() {
		ours.time(int(head.Size), func() { must(b, replayed(ctx, store)) })
		floor.time(int(head.Size), func() { must(b, eventstoretest.BareScan(ctx, db)) })
	}
	b.ReportMetric(ours.rate(), "events/s")
	b.ReportMetric(floor.rate(), "bare/s")
	b.ReportMetric(ours.rate()/floor.rate(), "times-bare")
	b.ReportMetric(0, "ns/op")
}

func replayed(ctx context.Context, store *eventstore.Store) error {
	accounts := map[domain.UserID]*domain.Account{}
	return store.Scan(ctx, 0, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			u, ok := rec.Stream.User()
			if !ok {
				continue
			}
			if accounts[u] == nil {
				accounts[u] = &domain.Account{}
			}
			if err := accounts[u].Apply(rec.Event, rec.Time); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkDecision is a whole decision (load, decide, append) on a wallet of ten
// events and on one of a million: in memory, and by a process that has just
// started and reads the wallet from its snapshot.
func BenchmarkDecision(b *testing.B) {
	file := newFile(b)
	filling := inFile(b, file)()
	wallets := []struct {
		user   domain.UserID
		events eventstore.Version
	}{{"u_short", 10}, {"u_long", 1_000_000}}
	for _, w := range wallets {
		fill(b, filling, w.user, w.events)
	}
	eventstoretest.Eventually(b, "the last snapshot", func() bool {
		missing := eventstore.Version(math.MaxInt64)
		must(b, filling.Snapshots(b.Context(), func(s eventstore.Snapshot) error {
			missing = min(missing, wallets[1].events-s.Version)
			return nil
		}))
		return missing < 1000
	})
	filling.Close()

	var key int
	decide := func(b *testing.B, store *eventstore.Store, u domain.UserID) {
		key++
		must(b, deposit(b.Context(), store, u, fmt.Sprint("decision-", key)))
	}
	report := func(b *testing.B, took [2]stopwatch) {
		short, long := 1e6/took[0].rate(), 1e6/took[1].rate()
		b.ReportMetric(short, "µs/10-events")
		b.ReportMetric(long, "µs/1000000-events")
		b.ReportMetric(long/short, "times-short")
		b.ReportMetric(0, "ns/op")
	}
	// The two wallets take turns, so that a busy machine slows both.
	b.Run("memory", func(b *testing.B) {
		store := inFile(b, file)()
		for _, w := range wallets {
			decide(b, store, w.user)
		}
		var took [2]stopwatch
		for b.Loop() {
			for i, w := range wallets {
				took[i].time(1, func() { decide(b, store, w.user) })
			}
		}
		report(b, took)
	})
	b.Run("started", func(b *testing.B) {
		db := openFile(b, file)
		var took [2]stopwatch
		for b.Loop() {
			for i, w := range wallets {
				store, err := eventstore.SQLite(b.Context(), db)
				must(b, err)
				took[i].time(1, func() { decide(b, store, w.user) })
				store.Close()
			}
		}
		report(b, took)
	})
}
