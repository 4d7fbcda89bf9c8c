package bus

import (
	"context"
	"math"
	"testing"

	"kassa/eventstore"
)

// A checkpoint that does not follow the log is set back, and everything is carried again
// that is not archived: what was appended since the restore is not passed over.
func TestRelayWhoseCheckpointIsAhead(t *testing.T) {
	setBack(t, 105, 0)
	setBack(t, 105, 2)
}

// A checkpoint that somebody has taken away, or that was never written, begins behind what
// is archived.
func TestRelayBeginsBehindTheArchive(t *testing.T) {
	p := newPaced()
	p.gone = 7
	r := &Relay{Events: p, Logger: quiet, Name: "relay"}
	for _, from := range []eventstore.Position{math.MaxInt64, 3} {
		if err := r.begin(t.Context(), from); err != nil || r.at != 7 {
			t.Errorf("from %d it begins behind %d, %v", from, r.at, err)
		}
	}
}

func setBack(t *testing.T, kept, archived eventstore.Position) {
	t.Helper()
	p := newPaced()
	p.kept, p.ahead, p.gone = kept, true, archived
	for range 3 + archived {
		p.grow()
	}
	b, stopBus := running(t, Handlers{})
	ctx, cancel := context.WithCancel(t.Context())
	carried, done := make(chan eventstore.Position, 10), make(chan error, 1)
	relay := &Relay{Events: p, Bus: b, Logger: quiet, Name: "relay", Carry: inTurn(func(_ context.Context, rec eventstore.Recorded) error {
		carried <- rec.Position
		return nil
	})}
	go func() { done <- relay.Run(ctx, math.MaxInt64) }()
	seen := map[eventstore.Position]bool{}
	for range 3 {
		seen[within(t, "an entry", carried)] = true
	}
	cancel()
	must(t, within(t, "the relay to end", done))
	must(t, stopBus())
	if len(seen) != 3 || seen[archived] || p.kept != 3+archived || p.ahead {
		t.Errorf("carried %v, and the checkpoint is %d", seen, p.kept)
	}
}

// inTurn carries the events of a batch one by one.
func inTurn(carry func(context.Context, eventstore.Recorded) error) func(context.Context, []eventstore.Recorded) error {
	return func(ctx context.Context, batch []eventstore.Recorded) error {
		for _, rec := range batch {
			if err := carry(ctx, rec); err != nil {
				return err
			}
		}
		return nil
	}
}
