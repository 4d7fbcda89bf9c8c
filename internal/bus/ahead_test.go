package bus

import (
	"context"
	"math"
	"testing"

	"kassa/eventstore"
)

// A checkpoint that does not follow the log is set back, and everything is carried again:
// what was appended since the restore is not passed over.
func TestRelayWhoseCheckpointIsAhead(t *testing.T) {
	p := newPaced()
	p.kept, p.ahead = 105, true
	for range 3 {
		p.grow()
	}
	b, stopBus := running(t, Handlers{})
	ctx, cancel := context.WithCancel(t.Context())
	carried, done := make(chan eventstore.Position, 10), make(chan error, 1)
	relay := &Relay{Log: p, Bus: b, Logger: quiet, Name: "relay", Carry: func(_ context.Context, rec eventstore.Recorded) error {
		carried <- rec.Position
		return nil
	}}
	go func() { done <- relay.Run(ctx, math.MaxInt64) }()
	seen := map[eventstore.Position]bool{}
	for range 3 {
		seen[within(t, "an entry", carried)] = true
	}
	cancel()
	must(t, within(t, "the relay to end", done))
	must(t, stopBus())
	if len(seen) != 3 || p.kept != 3 || p.ahead {
		t.Errorf("carried %v, and the checkpoint is %d", seen, p.kept)
	}
}
