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
	"kassa/schema"
)

// BenchmarkAppend is what a command costs the ledger: load the account from
// memory, decide a deposit, append it durably, each writer on a wallet of its
// own. Beside it stands the floor: the very rows that were written, by bare SQLite
// with the same driver, durability and file system, one INSERT and one COMMIT
// each, as a program without group commit would write them.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			store := inFile(b, newFile(b))()
			users := make([]domain.UserID, writers)
			for i := range users {
				users[i] = domain.UserID(fmt.Sprintf("u_%04d", i))
				fill(b, store, users[i], 2)
			}
			head, err := store.Head(b.Context())
			must(b, err)

			b.ResetTimer()
			start := time.Now()
			var next atomic.Int64
			var work sync.WaitGroup
			for _, u := range users {
				work.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if err := deposit(b.Context(), store, u, fmt.Sprintf("%s-%d", u, n)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			work.Wait()
			b.StopTimer()
			rate := float64(b.N) / time.Since(start).Seconds()
			floor := bareInserts(b, store, head.Size)
			b.ReportMetric(rate, "appends/s")
			b.ReportMetric(floor, "bare/s")
			b.ReportMetric(rate/floor, "times-bare")
			b.ReportMetric(0, "ns/op")
		})
	}
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

// bareInserts gives the rows a second at which SQLite alone takes rows of the
// store behind the position, up to some thousand of them.
func bareInserts(b *testing.B, store *eventstore.Store, behind eventstore.Position) float64 {
	b.Helper()
	const most = 3000
	ctx := b.Context()
	db := bareTable(b)
	insert, err := db.PrepareContext(ctx, `INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)`)
	must(b, err)
	defer insert.Close()
	rows := []eventstore.Stored{}
	must(b, store.Rows(ctx, behind, func(page []eventstore.Stored) error { rows = append(rows, page...); return nil }))
	rows = rows[:min(len(rows), most)]
	nodes := make([][]byte, len(rows))
	for i, row := range rows {
		for _, node := range row.Nodes {
			nodes[i] = append(nodes[i], node[:]...)
		}
	}
	start := time.Now()
	for i, row := range rows {
		_, err := insert.ExecContext(ctx, row.Position, string(row.Stream), row.Version, row.Command, nodes[i], row.Recorded.Entry)
		must(b, err)
	}
	return float64(len(rows)) / time.Since(start).Seconds()
}

// bareTable is the table of the log and its two indexes, without triggers and head.
func bareTable(b *testing.B) *sql.DB {
	b.Helper()
	db := openFile(b, newFile(b)).Write
	for _, change := range []string{`DROP TRIGGER events_only_next`, `DROP TRIGGER events_no_update`, `DROP TRIGGER events_no_delete`} {
		_, err := db.ExecContext(b.Context(), change)
		must(b, err)
	}
	return db
}

// BenchmarkReplay reads, decodes and folds a town's whole log, beside a bare scan
// of the same rows that looks at nothing.
func BenchmarkReplay(b *testing.B) {
	const entries = 200_000
	ctx := b.Context()
	file := newFile(b)
	store := inFile(b, file)()
	town := eventstoretest.NewTown(1, 5000)
	for n := 0; n < entries; {
		r, err := store.Append(ctx, town.Append(64, 8))
		must(b, err)
		n += len(r.Events)
	}
	head, err := store.Head(ctx)
	must(b, err)
	size := float64(head.Size)
	db := openFile(b, file)

	var replaying, scanning time.Duration
	for b.Loop() {
		start := time.Now()
		must(b, replayed(ctx, store))
		replaying += time.Since(start)
		start = time.Now()
		must(b, bareScan(ctx, db))
		scanning += time.Since(start)
	}
	n := float64(b.N)
	b.ReportMetric(size*n/replaying.Seconds(), "events/s")
	b.ReportMetric(size*n/scanning.Seconds(), "bare/s")
	b.ReportMetric(scanning.Seconds()/replaying.Seconds(), "times-bare")
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
			if err := accounts[u].Apply(rec.Event); err != nil {
				return err
			}
		}
		return nil
	})
}

func bareScan(ctx context.Context, db *schema.SQLite) error {
	rows, err := db.Read.QueryContext(ctx, `SELECT position, stream, version, coalesce(command, ''), hashes, entry FROM events ORDER BY position`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var position, version int64
	var stream, command string
	var hashes, entry []byte
	for rows.Next() {
		if err := rows.Scan(&position, &stream, &version, &command, &hashes, &entry); err != nil {
			return err
		}
	}
	return rows.Err()
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

	var key atomic.Int64
	decide := func(b *testing.B, store *eventstore.Store, u domain.UserID) {
		must(b, deposit(b.Context(), store, u, fmt.Sprint("decision-", key.Add(1))))
	}
	for _, w := range wallets {
		b.Run(fmt.Sprintf("events=%d/memory", w.events), func(b *testing.B) {
			store := inFile(b, file)()
			decide(b, store, w.user)
			for b.Loop() {
				decide(b, store, w.user)
			}
		})
		b.Run(fmt.Sprintf("events=%d/started", w.events), func(b *testing.B) {
			db := openFile(b, file)
			for b.Loop() {
				b.StopTimer()
				store, err := eventstore.SQLite(b.Context(), db)
				must(b, err)
				b.StartTimer()
				decide(b, store, w.user)
				b.StopTimer()
				store.Close()
				b.StartTimer()
			}
		})
	}
}
