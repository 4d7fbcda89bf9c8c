package eventstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// outcome is what became of an append.
type outcome struct {
	receipt eventstore.Receipt
	err     error
}

// sending sends an append; its outcome comes on the channel.
func sending(store *eventstore.Store, a eventstore.Append) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, err := store.Append(context.Background(), a)
		done <- outcome{r, err}
	}()
	return done
}

// hold stops what calls stop until release is called, or the test ends.
func hold(t *testing.T) (stop func() error, held <-chan struct{}, release func()) {
	there, gone := make(chan struct{}), make(chan struct{})
	return func() error {
		close(there)
		select {
		case <-gone:
		case <-t.Context().Done():
		}
		return nil
	}, there, func() { close(gone) }
}

// twoUnderWay sends two appends, each a batch, so that both are under way; then the
// first goes on with what then says.
func twoUnderWay(t *testing.T, store *eventstore.Store, faults *eventstore.Faults, first, second eventstore.Append, then func() error) (outcome, outcome) {
	t.Helper()
	stop, held, release := hold(t)
	faults.Once(eventstore.BeforeCommit, func() error { return errors.Join(stop(), then()) })
	a := sending(store, first)
	<-held
	b := sending(store, second)
	eventstoretest.Eventually(t, "the second batch is under way", func() bool { return faults.UnderWay() == 2 })
	release()
	return <-a, <-b
}

// alone makes the store append on condition: its second batch finds the log as it left it.
func alone(t *testing.T, store *eventstore.Store) {
	t.Helper()
	for i := range eventstore.Version(2) {
		_, err := store.Append(t.Context(), plain("before", i, 1))
		must(t, err)
	}
}

var errFull = &pgconn.PgError{Severity: "ERROR", Code: "53100"} // certainly not done

// Two batches are under way, and one of them fails: it did not happen and said so, it
// did not happen and nobody knows, or it happened and nobody knows; or another process
// appends before it. What is behind the one that failed is decided again, or is as
// unknown. The same commands again find out.
func TestOneOfTwoUnderWayFails(t *testing.T) {
	const independent, upon = eventstore.Stream("b"), eventstore.Stream("a")
	for _, tt := range []struct {
		name    string
		second  bool // the fault is that of the second batch
		step    eventstore.Step
		fault   error // nil: another process appends
		want    [2]error
		uponErr error   // of a second batch that builds upon the first
		done    [2]bool // in the log, though nobody was told
	}{
		{name: "the first is refused", step: eventstore.BeforeCommit, fault: errFull, want: [2]error{errFull, nil}, uponErr: eventstore.ErrConflict},
		{name: "the first is unknown and was not done", step: eventstore.BeforeCommit, fault: errFault, want: [2]error{eventstore.ErrUnknown, eventstore.ErrUnknown}, uponErr: eventstore.ErrUnknown},
		{name: "the first is unknown and was done", step: eventstore.AfterCommit, fault: errFault, want: [2]error{eventstore.ErrUnknown, eventstore.ErrUnknown}, uponErr: eventstore.ErrUnknown, done: [2]bool{true, true}},
		{name: "another process before the first", step: eventstore.BeforeCommit},
		{name: "the second is refused", second: true, step: eventstore.BeforeCommit, fault: errFull, want: [2]error{nil, errFull}, uponErr: errFull},
		{name: "the second is unknown and was not done", second: true, step: eventstore.BeforeCommit, fault: errFault, want: [2]error{nil, eventstore.ErrUnknown}, uponErr: eventstore.ErrUnknown},
		{name: "the second is unknown and was done", second: true, step: eventstore.AfterCommit, fault: errFault, want: [2]error{nil, eventstore.ErrUnknown}, uponErr: eventstore.ErrUnknown, done: [2]bool{false, true}},
		{name: "another process before the second", second: true, step: eventstore.BeforeCommit},
	} {
		for _, stream := range []eventstore.Stream{independent, upon} {
			t.Run(tt.name+", the second on stream "+string(stream), func(t *testing.T) {
				onEachEngine(t, func(t *testing.T, store *eventstore.Store, faults *eventstore.Faults, open eventstoretest.Open) {
					alone(t, store)
					first, second, want := commanded(plain("a", 0, 2), "1", "x"), commanded(plain(stream, 0, 1), "2", "x"), tt.want
					if stream == upon {
						second.Writes[0].Expected, want[1] = 2, tt.uponErr
					}
					fault := func() error {
						if tt.fault == nil {
							_, err := open().Append(t.Context(), plain("theirs", 0, 1))
							return err
						}
						return tt.fault
					}
					a, b := twoUnderWay(t, store, faults, first, second, func() error {
						switch {
						case tt.second && tt.step == eventstore.AfterCommit:
							faults.Once(tt.step, func() error { faults.Once(tt.step, fault); return nil })
						case tt.second || tt.step == eventstore.AfterCommit:
							faults.Once(tt.step, fault)
						default:
							return fault()
						}
						return nil
					})
					for i, got := range []outcome{a, b} {
						if !errors.Is(got.err, want[i]) || (want[i] == nil) != (len(got.receipt.Events) > 0) {
							t.Errorf("append %d gave %+v, %v; want %v", i+1, got.receipt, got.err, want[i])
						}
					}
					for i, again := range []eventstore.Append{first, second} {
						r, err := store.Append(t.Context(), again)
						must(t, err)
						if done := want[i] == nil || tt.done[i]; r.Replayed != done {
							t.Errorf("append %d again says replayed %t", i+1, r.Replayed)
						}
					}
					eventstoretest.CheckLog(t, open())
				})
			})
		}
	}
}

// What a batch under way decides, those behind it see, and are answered after it.
func TestBehindABatchUnderWay(t *testing.T) {
	onEachEngine(t, func(t *testing.T, store *eventstore.Store, faults *eventstore.Faults, open eventstoretest.Open) {
		alone(t, store)
		for _, tt := range []struct {
			name     string
			behind   func(first eventstore.Append) eventstore.Append
			err      error
			replayed bool
		}{
			{"the same command", func(a eventstore.Append) eventstore.Append { return a }, nil, true},
			{"its id for other facts", func(a eventstore.Append) eventstore.Append { return commanded(a, string(a.Writes[0].Stream), "y") }, eventstore.ErrKeyReused, false},
			{"a stream that moves on", func(a eventstore.Append) eventstore.Append { return commanded(a, "other", "x") }, eventstore.ErrConflict, false},
		} {
			faults.Locked()
			stream := eventstore.Stream(tt.name)
			first := commanded(plain(stream, 0, 2), tt.name, "x")
			stop, begun, begin := hold(t)
			faults.Once(eventstore.AtBegin, stop)
			beforeThem := sending(store, plain(stream+" before", 0, 1))
			<-begun
			ahead, filler := sending(store, first), sending(store, plain(stream+" beside", 0, 1))
			eventstoretest.Eventually(t, "two appends in the queue", func() bool { return eventstore.Queued(store) == 2 })
			stop, held, release := hold(t)
			faults.Once(eventstore.AfterCommit, func() error { faults.Once(eventstore.AfterCommit, stop); return nil })
			begin()
			<-held
			behind, marker := sending(store, tt.behind(first)), sending(store, plain(stream+" behind", 0, 1))
			eventstoretest.Eventually(t, "the next batch is under way", func() bool { return faults.UnderWay() == 2 })
			early := len(behind) > 0
			release()
			for _, other := range []<-chan outcome{beforeThem, filler, marker} {
				must(t, (<-other).err)
			}
			a, b := <-ahead, <-behind
			must(t, a.err)
			if early || !errors.Is(b.err, tt.err) || b.receipt.Replayed != tt.replayed {
				t.Errorf("%s: %+v, %v, early %t", tt.name, b.receipt, b.err, early)
			}
			if locks := faults.Locked(); locks != 0 {
				t.Errorf("%s: %d batches took the lock", tt.name, locks)
			}
		}
		eventstoretest.CheckLog(t, open())
	})
}

// Two appends are on their way to PostgreSQL, where the first waits for a lock.
func TestTwoUnderWayInPostgres(t *testing.T) {
	for name, tt := range map[string]struct {
		during string // what the owner does meanwhile; $1 is the session
		want   [2]schema.Fault
		known  bool
	}{
		"the owner cancels the statement": {`SELECT pg_cancel_backend($1)`, [2]schema.Fault{schema.Busy, schema.Mistake}, true},
		"the server ends the session":     {`SELECT pg_terminate_backend($1)`, [2]schema.Fault{schema.Away, schema.Away}, false},
	} {
		t.Run(name, func(t *testing.T) {
			url := schematest.Postgres(t)
			pool, err := schema.OpenPostgres(t.Context(), url, 4)
			must(t, err)
			t.Cleanup(pool.Close)
			store, faults, err := eventstore.OpenFaultsPostgres(t.Context(), pool)
			must(t, err)
			t.Cleanup(store.Close)
			alone(t, store)
			owner, watcher := connect(t, url), connect(t, url)
			_, err = owner.Exec(t.Context(), `BEGIN; SELECT * FROM head FOR UPDATE`)
			must(t, err)
			first, second := commanded(plain("a", 0, 1), "1", "x"), commanded(plain("b", 0, 1), "2", "x")
			a := sending(store, first)
			session := waitsForALock(t, watcher)
			b := sending(store, second)
			eventstoretest.Eventually(t, "both are under way", func() bool { return faults.UnderWay() == 2 })
			_, err = watcher.Exec(t.Context(), tt.during, session)
			must(t, err)
			gotA := <-a
			_, err = owner.Exec(t.Context(), `ROLLBACK`)
			must(t, err)
			gotB := <-b
			if schema.FaultOf(gotA.err) != tt.want[0] || errors.Is(gotA.err, eventstore.ErrUnknown) == tt.known {
				t.Errorf("the first gave %v", gotA.err)
			}
			if schema.FaultOf(gotB.err) != tt.want[1] || (gotB.err == nil) != tt.known || errors.Is(gotB.err, eventstore.ErrUnknown) == tt.known {
				t.Errorf("the second gave %v", gotB.err)
			}
			for i, again := range []eventstore.Append{first, second} {
				r, err := store.Append(t.Context(), again)
				must(t, err)
				if want := tt.known && i == 1; r.Replayed != want {
					t.Errorf("append %d again says replayed %t", i+1, r.Replayed)
				}
			}
			eventstoretest.CheckLog(t, store)
		})
	}
}
