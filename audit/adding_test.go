package audit_test

import (
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

// A result that does not fit sets over; any other one is right.
func TestNumbersHaveRoom(t *testing.T) {
	const least, most = math.MinInt64, math.MaxInt64
	for _, tt := range []struct {
		a, b       int64
		plus       int64
		plusOver   bool
		times      int64
		timesOver  bool
		minus      int64 // of a
		minusOvers bool
	}{
		{a: 2, b: 3, plus: 5, times: 6, minus: -2},
		{a: -2, b: 3, plus: 1, times: -6, minus: 2},
		{a: 0, b: most, plus: most, times: 0, minus: 0},
		{a: most, b: 0, plus: most, times: 0, minus: -most},
		{a: most, b: 1, plusOver: true, times: most, minus: -most},
		{a: 1, b: most, plusOver: true, times: most, minus: -1},
		{a: -most, b: -1, plus: least, times: most, minus: most},
		{a: least, b: 0, plus: least, times: 0, minusOvers: true},
		{a: -most, b: -2, plusOver: true, timesOver: true, minus: most},
		{a: most, b: -most, plus: 0, timesOver: true, minus: -most},
		{a: 3_037_000_500, b: 3_037_000_500, plus: 6_074_001_000, timesOver: true, minus: -3_037_000_500},
		{a: 3_037_000_499, b: 3_037_000_499, plus: 6_074_000_998, times: 9_223_372_030_926_249_001, minus: -3_037_000_499},
	} {
		var over [3]bool
		got := [3]int64{audit.Plus(tt.a, tt.b, &over[0]), audit.Times(tt.a, tt.b, &over[1]), audit.Minus(tt.a, &over[2])}
		if over != [3]bool{tt.plusOver, tt.timesOver, tt.minusOvers} {
			t.Errorf("%d and %d: over are %v", tt.a, tt.b, over)
		}
		for i, want := range [3]int64{tt.plus, tt.times, tt.minus} {
			if !over[i] && got[i] != want {
				t.Errorf("%d and %d: %v, want %v", tt.a, tt.b, got, []int64{tt.plus, tt.times, tt.minus})
			}
		}
	}
}

// A forged entry of so many credits that sums of them would come to another number is a fault
// for all who add up: two of them would come to -2.
func TestAbsurdAmountsAreNotAddedUp(t *testing.T) {
	c := validLog()
	for _, payment := range []string{"pay-2", "pay-3"} {
		e := c.log[3].event.(domain.Deposited)
		e.Amount, e.Payment = math.MaxInt64, payment
		e.Postings = []domain.Posting{{Account: domain.HouseCash, Amount: -math.MaxInt64}, {Account: domain.AvailableOf(ada), Amount: math.MaxInt64}}
		command := c.command()
		stream := eventstore.AccountStream(ada)
		c.versions[stream]++
		c.log = append(c.log, forged{stream, c.versions[stream], e, "user:u_ada", caused(command), day, command})
	}
	l := forge(t, c.log)
	log := audit.FullLog{Store: l.read(t)}
	month, err := audit.MonthOf("2026-03", time.UTC)
	must(t, err)
	for name, read := range map[string]func() error{
		"trial balance": func() error { _, err := audit.TrialAt(t.Context(), log, 12); return err },
		"balance of the house": func() error {
			_, err := audit.BalanceAt(t.Context(), log, domain.HouseCash, 12)
			return err
		},
		"balance": func() error { _, err := audit.BalanceAt(t.Context(), log, domain.AvailableOf(ada), 12); return err },
		"change":  func() error { _, err := audit.ChangeBetween(t.Context(), log, 4, 12); return err },
		"course": func() error {
			_, err := audit.NewSums().Course(t.Context(), log, []time.Time{day.Add(time.Hour)})
			return err
		},
		"close": func() error { _, err := audit.Close(t.Context(), log, month, day.AddDate(1, 0, 0)); return err },
		"journal": func() error {
			_, err := audit.Export{Log: log, Format: audit.Hledger, UpTo: 12}.Write(t.Context(), io.Discard)
			return err
		},
		"journal that opens with them": func() error {
			_, err := audit.Export{Log: log, Format: audit.Beancount, From: 12, UpTo: 12}.Write(t.Context(), io.Discard)
			return err
		},
		"verify": func() error { _, err := l.verify(t); return err },
	} {
		var f *audit.Fault
		if err := read(); !errors.As(err, &f) || f.Code != audit.FactBroken || f.Position != 11 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
