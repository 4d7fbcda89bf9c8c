package audit_test

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/audit"
	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

func TestVerifyReportsTotals(t *testing.T) {
	l := newLedger(t, 1, 70)
	var n int
	var sums = map[domain.LedgerAccount]domain.Credits{}
	report, err := l.verify(t, func(rec eventstore.Recorded) error {
		n++
		if m, ok := rec.Event.(domain.MoneyEvent); ok {
			for _, p := range m.Money().Postings {
				sums[p.Account] += p.Amount
			}
		}
		return nil
	})
	must(t, err)
	if report.Head != l.head || n != int(l.head.Size) {
		t.Errorf("verified %+v and gave %d entries to the check, the head was %+v", report.Head, n, l.head)
	}
	var events int
	for _, count := range report.Events {
		events += count
	}
	if events != n || report.Accounts != report.Events[domain.TypeSignedUp] || report.Accounts < 2 {
		t.Errorf("%d events are counted by type, %d accounts, in %d entries", events, report.Accounts, n)
	}
	house := map[domain.LedgerAccount]domain.Credits{}
	for a, sum := range sums {
		if strings.HasPrefix(string(a), "house:") {
			house[a] = sum
			delete(sums, a)
		}
	}
	if !maps.Equal(house, report.House) {
		t.Errorf("the house has %v, its postings sum to %v", report.House, house)
	}
	var people domain.Account
	for a, sum := range sums {
		switch part := string(a[strings.LastIndexByte(string(a), ':')+1:]); part {
		case "given":
			people.Given += sum
			people.Available += sum
		case "given_held":
			people.GivenHeld += sum
			people.Held += sum
		case "available":
			people.Available += sum
		case "held":
			people.Held += sum
		}
	}
	if report.Available != people.Available || report.Held != people.Held || report.Given != people.Given || report.GivenHeld != people.GivenHeld ||
		people.Given+people.GivenHeld <= 0 || people.Withdrawable() <= 0 {
		t.Errorf("people have %d (%d given) available and %d (%d) held, their postings sum to %+v", report.Available, report.Given, report.Held, report.GivenHeld, people)
	}
	if report.Duration <= 0 {
		t.Error("the verification took no time")
	}
}

func TestVerifyOfAnEmptyLog(t *testing.T) {
	store, shut := open(t, filepath.Join(t.TempDir(), "kassa.db"))
	defer shut()
	if report := audittest.CheckLedger(t, store); report.Head.Size != 0 || report.Accounts != 0 {
		t.Errorf("an empty log came to %+v", report)
	}
}

// A fault found by a caller's check has the position of the entry.
func TestVerifyReportsFaultsOfChecks(t *testing.T) {
	_, err := newLedger(t, 2, 70).verify(t, func(rec eventstore.Recorded) error {
		if rec.Position == 17 {
			return errors.New("a view differs")
		}
		return nil
	})
	faultAt(t, err, 17)
}

// The log may grow during a verification.
func TestVerifyBesideAppends(t *testing.T) {
	ctx := t.Context()
	store, shut := open(t, filepath.Join(t.TempDir(), "kassa.db"))
	defer shut()

	verified := make(chan struct{})
	var writers sync.WaitGroup
	for seed := range uint64(4) {
		writers.Go(func() {
			workload := eventstoretest.NewWorkload(seed+1, 20)
			for {
				select {
				case <-verified:
					return
				default:
				}
				if _, err := workload.Step(ctx, store, 2); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var last eventstore.Position
	for range 10 {
		must(t, store.Wait(ctx, last))
		last = audittest.CheckLedger(t, store).Head.Size
	}
	close(verified)
	writers.Wait()
	if head, err := store.Head(ctx); err != nil || audittest.CheckLedger(t, store).Head != head {
		t.Errorf("the log at rest was not verified up to its head %+v (%v)", head, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	const entries = 1_000_000
	ctx := b.Context()
	store, shut := open(b, filepath.Join(b.TempDir(), "kassa.db"))
	defer shut()
	workload := eventstoretest.NewWorkload(1, 20_000)
	for n := 0; n < entries; {
		r, err := workload.Step(ctx, store, 200)
		must(b, err)
		n += len(r.Events)
	}
	start := time.Now()
	for b.Loop() {
		_, err := audit.Verify(ctx, store)
		must(b, err)
	}
	b.ReportMetric(entries*float64(b.N)/time.Since(start).Seconds(), "events/s")
}
