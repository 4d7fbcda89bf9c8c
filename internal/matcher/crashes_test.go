package matcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus"
)

// The points at which a process can crash while questions travel together. What comes
// before the point was done, what comes after it was not, and the message or the batch of
// the log comes again.
const (
	carriedNotNoted        = "carried, and not in the relay's checkpoint"
	embeddedNotAnswered    = "embedded, and not answered"
	answeredNotAccepted    = "answered, and the work not acknowledged"
	halfSettled            = "half of the answers settled"
	settledNotAcknowledged = "settled, and the answers not acknowledged"
)

// Two crashes, at each pair of points, change nothing of the outcome: every question of the
// batch ends once, and is paid for once.
func TestCrashesInPairs(t *testing.T) {
	points := []string{carriedNotNoted, embeddedNotAnswered, answeredNotAccepted, halfSettled, settledNotAcknowledged}
	d := newDesk(t)
	for i, first := range points {
		for _, second := range points[i+1:] {
			t.Run(first+"; "+second, func(t *testing.T) {
				d.user = d.joined(fmt.Sprint(len(first), "x", len(second)))
				d.crashTwice(t, first, second)
			})
		}
	}
}

func (d *desk) crashTwice(t *testing.T, points ...string) {
	const n = 6
	var jobs []bus.Job
	for range n {
		jobs = append(jobs, d.ask())
	}
	b, err := bus.InProcess(slog.New(slog.DiscardHandler))
	must(t, err)
	var left [2]atomic.Bool // crashes that are still to come
	for i := range points {
		left[i].Store(true)
	}
	crashes := func(point string) bool {
		i := slices.Index(points, point)
		return i >= 0 && left[i].CompareAndSwap(true, false)
	}
	crashed := errors.New("the process crashed")
	all := func(n int) []error { return slices.Repeat([]error{crashed}, n) }
	work := Embed(d.model)
	h := bus.Handlers{
		Work: func(ctx context.Context, requests [][]byte) []bus.Outcome {
			outcomes := work(ctx, requests)
			if crashes(embeddedNotAnswered) {
				return slices.Repeat([]bus.Outcome{{Err: crashed}}, len(requests))
			}
			return outcomes
		},
		Answer: func(ctx context.Context, items []bus.Item) []error {
			if crashes(answeredNotAccepted) { // the work comes again, and so does its answer
				must(t, b.PublishAnswers(items...))
			}
			if crashes(halfSettled) {
				must(t, errors.Join(d.Settle(ctx, items[:len(items)/2])...))
				return all(len(items))
			}
			faults := d.Settle(ctx, items)
			if crashes(settledNotAcknowledged) {
				return all(len(items))
			}
			return faults
		},
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, h) }()
	<-b.Running()
	carry, batch := d.Carry(b), d.entries(jobs...)
	must(t, carry(t.Context(), batch))
	if crashes(carriedNotNoted) {
		must(t, carry(t.Context(), batch))
	}
	ends := d.endsOf(t, jobs[0].Position, n)
	eventstoretest.Eventually(t, "both crashes, the second of which may come after all has ended", func() bool {
		return !left[0].Load() && !left[1].Load()
	})
	stop()
	must(t, <-ended)
	for _, j := range jobs {
		if list := ends[domain.PredictionID(j.Prediction)]; len(list) != 1 || list[0] != "" {
			t.Errorf("a question ended with %q", list)
		}
	}
	completed := 0
	must(t, d.Store.Scan(t.Context(), jobs[0].Position, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if _, ok := rec.Event.(domain.PredictionCompleted); ok {
				completed++
			}
		}
		return nil
	}))
	account, err := d.Commands.Account(t.Context(), d.user)
	must(t, err)
	if completed != n || account.Held != 0 || account.Available != 1000-n*5 {
		t.Errorf("%d completions, and the wallet is %+v", completed, account)
	}
}
