package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What no retry changes is given up at once, of every kind: as many of them as there
// are lanes keep nothing waiting behind them, however long the pauses between tries.
func TestPermanentErrorsAreNotTriedAgain(t *testing.T) {
	forGood := fmt.Errorf("settle: %w", Permanent(errors.New("no such model")))
	for name, publish := range map[string]func(*Bus, Errand, []byte) error{
		"work":    func(b *Bus, e Errand, body []byte) error { return b.PublishWork(e, body, soon()) },
		"answers": func(b *Bus, e Errand, body []byte) error { return b.PublishAnswer(e, body, "") },
		"dead":    func(b *Bus, e Errand, body []byte) error { return b.dead.publish(e.message(body)) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 2 * lanes
			tried := make(chan bool, 100*n)
			got, collect := answers(2 * n)
			b, stop := running(t, Handlers{
				Work: func(_ context.Context, request []byte) ([]byte, string, error) {
					if strings.HasPrefix(string(request), "bad") {
						tried <- true
						return nil, "", forGood
					}
					return []byte("done"), "", nil
				},
				Answer: func(ctx context.Context, e Errand, answer []byte, failure string) error {
					if strings.HasPrefix(string(answer), "bad") || name == "dead" && e.Position <= n {
						tried <- true
						return forGood
					}
					return collect(ctx, e, answer, failure)
				},
			})
			for i := range n {
				must(t, publish(b, errand(i+1), []byte("bad")))
			}
			must(t, b.PublishWork(errand(n+1), []byte("good"), soon()))
			failures := n
			if name == "dead" {
				failures = 0 // nothing is left that could say so
			}
			good := false
			for range failures + 1 {
				a := within(t, "the good answer, and a failure for each of the others", got)
				good = good || a == answered{errand(n + 1), "done", ""}
			}
			for range n {
				within(t, "each of the others to be tried", tried)
			}
			must(t, stop())
			if !good || len(tried) != 0 {
				t.Errorf("the good answer came: %t; %d tries more than messages", good, len(tried))
			}
		})
	}
}
