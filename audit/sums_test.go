package audit_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

// With sums, each moment of the past is what it is without them, also when marks were forgotten
// because there were too many.
func TestSums(t *testing.T) {
	l := newLedger(t, 35, 80)
	plain := audit.FullLog{Store: l.read(t)}
	times := l.entries(t)
	for _, marks := range []struct {
		first eventstore.Position
		most  int
	}{{1, 10_000}, {3, 8}, {7, 4096}, {5, 2}, {100_000, 2}} {
		past, rng := plain, rand.New(rand.NewPCG(35, uint64(marks.first)))
		past.Sums = audit.SumsWith(marks.first, marks.most)
		for range 60 {
			at := eventstore.Position(rng.Int64N(int64(l.head.Size) + 1))
			want, err := audit.TrialAt(t.Context(), plain, at)
			must(t, err)
			got, err := audit.TrialAt(t.Context(), past, at)
			must(t, err)
			if got.Position != want.Position || !maps.Equal(got.House, want.House) || !maps.Equal(got.Users, want.Users) {
				t.Fatalf("every %d: at position %d %+v, want %+v", marks.first, at, got, want)
			}
			moment := times[rng.IntN(len(times))].Time.Add(time.Duration(rng.IntN(3)-1) * time.Microsecond)
			before, err := audit.PositionAt(t.Context(), plain, moment)
			must(t, err)
			after, err := audit.PositionAt(t.Context(), past, moment)
			must(t, err)
			if before != after {
				t.Fatalf("every %d: %s is position %d, want %d", marks.first, moment, after, before)
			}
		}
		if n, _ := past.Sums.Kept(); n > marks.most {
			t.Errorf("%d marks are kept, want at most %d", n, marks.most)
		}
		sameAdjustments(t, plain, past, rng, l.head.Size)
	}
}

// sameAdjustments compares what is found with sums, which skip parts of the log, and without.
func sameAdjustments(t *testing.T, plain, past audit.FullLog, rng *rand.Rand, end eventstore.Position) {
	t.Helper()
	for range 20 {
		f := audit.AdjustmentFilter{Since: eventstore.Position(rng.Int64N(int64(end))), Above: domain.Credits(rng.IntN(20)), Reason: []string{"", "TEST", "none such"}[rng.IntN(3)]}
		f.UpTo = f.Since + eventstore.Position(rng.Int64N(int64(end-f.Since)+1))
		want, err := audit.PageOfAdjustments(t.Context(), plain, f, 10_000, time.Minute)
		must(t, err)
		var got []audit.Adjustment
		for {
			page, err := audit.PageOfAdjustments(t.Context(), past, f, 3, time.Minute)
			must(t, err)
			got = append(got, page.Items...)
			if f.Since = page.Next; f.Since == 0 {
				break
			}
		}
		if !slices.EqualFunc(got, want.Items, func(a, b audit.Adjustment) bool { return a.Position == b.Position }) || want.Next != 0 {
			t.Fatalf("%+v: %d adjustments, want %d", f, len(got), len(want.Items))
		}
	}
}

// A log that was read once is not read again, also where the first reader ran out of time.
func TestSumsAreReadOnce(t *testing.T) {
	l := newLedger(t, 36, 80)
	past := audit.FullLog{Store: l.read(t), Sums: audit.SumsWith(1, 10_000)}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.TrialAt(ended, past, l.head.Size); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
	_, err := audit.TrialAt(t.Context(), past, l.head.Size/2)
	must(t, err)
	half, _ := past.Sums.Kept()
	_, err = audit.TrialAt(t.Context(), past, l.head.Size)
	must(t, err)
	all, _ := past.Sums.Kept()
	if half < 2 || half >= all || all != int(l.head.Size)+1 {
		t.Errorf("%d marks after the first half of %d entries, then %d", half, l.head.Size, all)
	}
}

// The course of the sums is the trial balance as of each time.
func TestCourse(t *testing.T) {
	l := newLedger(t, 40, 80)
	log := l.entries(t)
	var times []time.Time
	for at := log[0].Time.Add(-1); len(times) < 40; at = at.Add(log[len(log)-1].Time.Sub(log[0].Time) / 35) {
		times = append(times, at)
	}
	past := audit.FullLog{Store: l.read(t), Sums: audit.SumsWith(10, 20)}
	course, err := past.Sums.Course(t.Context(), past, times)
	must(t, err)
	for i, got := range course {
		at, err := audit.PositionAt(t.Context(), audit.FullLog{Store: past.Store}, times[i])
		must(t, err)
		if got.Position != at || got.Time.After(times[i]) {
			t.Errorf("as of %s the course is at %d, want %d", times[i], got.Position, at)
		}
		sameTrial(t, got.Trial, addUp(log, at))
	}
	if len(course) != 40 || course[39].Position < l.head.Size/2 {
		t.Errorf("the course has %d places, up to %d", len(course), course[len(course)-1].Position)
	}
}

// What is remembered of another log is forgotten: after a restore the database may have another one, or a
// shorter one.
func TestSumsOfAnotherLog(t *testing.T) {
	one, other, short := newLedger(t, 37, 80), newLedger(t, 38, 80), newLedger(t, 39, 66)
	sums := audit.SumsWith(10, 100)
	for _, l := range []ledger{one, other, short, one} {
		log := audit.FullLog{Store: l.read(t), Sums: sums}
		got, err := audit.TrialAt(t.Context(), log, l.head.Size)
		must(t, err)
		sameTrial(t, got, addUp(l.entries(t), l.head.Size))
	}
}

// Of an archived log the sums begin with what is recorded of the archive, without reading it.
func TestSumsOfAnArchivedLog(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 120)
	head, err := c.store.Head(t.Context())
	must(t, err)
	log, err := c.store.After(t.Context(), 0, int(head.Size))
	must(t, err)
	c.archived(t, c.archiving(t), 120)
	past := audit.FullLog{Store: c.store, Sums: audit.SumsWith(16, 100)}
	got, err := audit.TrialAt(t.Context(), past, head.Size)
	must(t, err)
	sameTrial(t, got, addUp(log, head.Size))
	if _, err := audit.TrialAt(t.Context(), past, 100); !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("as of a position that is archived: %v", err)
	}
	if _, err := audit.PositionAt(t.Context(), past, eventstore.Earliest); !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("as of a time that is archived: %v", err)
	}
	if _, err := audit.Adjustments(t.Context(), past, audit.AdjustmentFilter{UpTo: head.Size}, func(audit.Adjustment) error { return nil }); !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("adjustments that are archived: %v", err)
	}
}
