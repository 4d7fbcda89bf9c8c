package audit_test

import (
	"bytes"
	"database/sql"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

// entries reads all of the log.
func (l ledger) entries(t testing.TB) (list []eventstore.Recorded) {
	t.Helper()
	must(t, l.read(t).Scan(t.Context(), 0, func(page []eventstore.Recorded) error {
		list = append(list, page...)
		return nil
	}))
	return list
}

// addUp is the oracle: the sums of all postings up to the position, by account.
func addUp(log []eventstore.Recorded, at eventstore.Position) map[domain.LedgerAccount]domain.Credits {
	sums := map[domain.LedgerAccount]domain.Credits{}
	for _, rec := range log[:at] {
		if m, ok := rec.Event.(domain.MoneyEvent); ok {
			for _, p := range m.Money().Postings {
				sums[p.Account] += p.Amount
			}
		}
	}
	return sums
}

// Balances at a thousand random positions are what a fold of all postings up to there gives:
// of a person, of an account, and of all.
func TestBalancesAsOf(t *testing.T) {
	l := newLedger(t, 31, 70)
	log, past := l.entries(t), audit.FullLog{Store: l.read(t)}
	rng := rand.New(rand.NewPCG(31, 1))
	accounts := slices.Sorted(maps.Keys(addUp(log, l.head.Size)))
	for n := range 1000 {
		at := eventstore.Position(rng.Int64N(int64(l.head.Size) + 1))
		want := addUp(log, at)
		account := accounts[rng.IntN(len(accounts))]
		if n%20 == 0 || strings.HasPrefix(string(account), "user:") {
			got, err := audit.BalanceAt(t.Context(), past, account, at)
			must(t, err)
			if got != want[account] {
				t.Fatalf("%s at position %d is %d, want %d", account, at, got, want[account])
			}
		}
		user := log[rng.IntN(len(log))].Event.Subject()
		got, err := audit.AccountAt(t.Context(), past, user, at)
		must(t, err)
		available := want[domain.AvailableOf(user)] + want[domain.GivenOf(user)]
		if held := want[domain.HeldOf(user)] + want[domain.GivenHeldOf(user)]; got.Available != available || got.Held != held || got.Given != want[domain.GivenOf(user)] {
			t.Fatalf("%s at position %d has %+v, want %d available and %d held", user, at, got, available, held)
		}
		if n%20 == 0 {
			trial, err := audit.TrialAt(t.Context(), past, at)
			must(t, err)
			sameTrial(t, trial, want)
		}
	}
	_, err := audit.BalanceAt(t.Context(), past, "cash", 5)
	if err == nil {
		t.Error("an account that is none has a balance")
	}
}

func sameTrial(t *testing.T, trial audit.Trial, want map[domain.LedgerAccount]domain.Credits) {
	t.Helper()
	sums := map[string]domain.Credits{}
	for account, amount := range want {
		if strings.HasPrefix(string(account), "user:") {
			account = account[strings.LastIndexByte(string(account), ':')+1:]
		}
		sums[string(account)] += amount
	}
	for account, amount := range trial.House {
		sums[string(account)] -= amount
	}
	for kind, amount := range trial.Users {
		sums[kind] -= amount
	}
	for account, rest := range sums {
		if rest != 0 {
			t.Errorf("the trial balance at position %d is %d off for %s", trial.Position, rest, account)
		}
	}
}

// A time is a position: the last one before the first entry that is later.
func TestPositionAt(t *testing.T) {
	l := newLedger(t, 32, 40)
	log, past := l.entries(t), audit.FullLog{Store: l.read(t)}
	rng := rand.New(rand.NewPCG(32, 1))
	times := []time.Time{log[0].Time.Add(-1), log[0].Time, log[len(log)-1].Time.Add(time.Hour)}
	for range 30 {
		times = append(times, log[rng.IntN(len(log))].Time.Add(time.Duration(rng.IntN(3)-1)*time.Microsecond))
	}
	for _, at := range times {
		want := slices.IndexFunc(log, func(rec eventstore.Recorded) bool { return rec.Time.After(at) })
		if want < 0 {
			want = len(log)
		}
		got, err := audit.PositionAt(t.Context(), past, at)
		must(t, err)
		if got != eventstore.Position(want) {
			t.Errorf("%s is position %d, want %d", at, got, want)
		}
	}
}

// What happened between two positions is the difference of the two trial balances, and each
// question has its request and its ending.
func TestWhatHappened(t *testing.T) {
	l := newLedger(t, 33, 70)
	log, past := l.entries(t), audit.FullLog{Store: l.read(t)}
	change, err := audit.ChangeBetween(t.Context(), past, 100, 300)
	must(t, err)
	want := addUp(log, 300)
	events := 0
	for account, before := range addUp(log, 100) {
		want[account] -= before
	}
	sameTrial(t, change.Moved, want)
	for _, n := range change.Events {
		events += n
	}
	for user, moved := range change.Users {
		if moved.Available != want[domain.AvailableOf(user)]+want[domain.GivenOf(user)] {
			t.Errorf("%s moved %+v", user, moved)
		}
	}
	if events != 200 || len(change.Users) == 0 {
		t.Errorf("%d entries are counted, of %d persons", events, len(change.Users))
	}
	endings, adjusted := map[domain.EventType]int{}, 0
	for _, rec := range log {
		switch e := rec.Event.(type) {
		case domain.BalanceAdjusted:
			adjusted++
		case domain.PredictionCompleted:
			if endings[rec.Type]++; endings[rec.Type] <= 3 {
				charge, err := audit.ChargeOf(t.Context(), past, e.Prediction, l.head.Size)
				must(t, err)
				if asked, _ := rec.Cause.Position(); charge.Asked.Position != asked || charge.Ended == nil || charge.Ended.Position != rec.Position {
					t.Errorf("the charge of %s is %+v", e.Prediction, charge)
				}
			}
		}
	}
	if endings[domain.TypePredictionCompleted] == 0 || adjusted == 0 {
		t.Fatalf("the workload has %v and %d adjustments", endings, adjusted)
	}
	_, err = audit.Adjustments(t.Context(), past, audit.AdjustmentFilter{UpTo: l.head.Size}, func(a audit.Adjustment) error {
		adjusted--
		if log[a.Position-1].Event.(domain.BalanceAdjusted).Reason != a.Reason {
			t.Errorf("position %d: %+v", a.Position, a)
		}
		return nil
	})
	must(t, err)
	if adjusted != 0 {
		t.Errorf("%d adjustments are missing", adjusted)
	}
	if _, err := audit.ChargeOf(t.Context(), past, "p_none", l.head.Size); !errors.Is(err, audit.ErrNoPrediction) {
		t.Errorf("a question that was never asked: %v", err)
	}
}

// A copy that was kept says at which position a history was rewritten or cut, which a kept
// head does not.
func TestBisect(t *testing.T) {
	l := newLedger(t, 11, 70)
	kept, _ := exported(t, audit.Export{Log: audit.FullLog{Store: l.read(t)}, Format: audit.JSONL})
	rewritten, at := l.rewritten(t, 100)
	cut := l.tampered(t, func(c *sql.Conn) { exec(t, c, `DELETE FROM events WHERE position > 150`) })
	for name, tt := range map[string]struct {
		log  ledger
		want eventstore.Position
	}{
		"as it was": {l, 0},
		"rewritten": {rewritten, at},
		"cut":       {cut, 151},
	} {
		r, err := audit.OpenExport(bytes.NewReader(kept), nil)
		must(t, err)
		d, err := audit.Bisect(t.Context(), tt.log.read(t), r)
		must(t, err)
		if d.Position != tt.want {
			t.Errorf("%s: the first entry that differs is at %d, want %d", name, d.Position, tt.want)
		}
	}
}

// With archives, the past is what it was before the log was archived.
func TestPastOfAnArchivedLog(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 120)
	past := audit.FullLog{Store: c.store}
	user := domain.UserID("u_33_1")
	before, err := audit.AccountAt(t.Context(), past, user, 100)
	must(t, err)
	trial, err := audit.TrialAt(t.Context(), past, 100)
	must(t, err)
	c.archived(t, c.archiving(t), 120)
	if _, err := audit.AccountAt(t.Context(), past, user, 100); !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("without the archives: %v", err)
	}
	past.Archives = c.archives(t)
	after, err := audit.AccountAt(t.Context(), past, user, 100)
	must(t, err)
	if !before.Exists() || after.Available != before.Available || after.Held != before.Held {
		t.Errorf("with the archives the account is %+v, before %+v", after, before)
	}
	again, err := audit.TrialAt(t.Context(), past, 100)
	must(t, err)
	if !maps.Equal(again.House, trial.House) || !maps.Equal(again.Users, trial.Users) {
		t.Errorf("with the archives the trial balance is %v, before %v", again, trial)
	}
}
