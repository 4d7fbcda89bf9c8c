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
	for name, publish := range map[string]func(*Bus, Job, []byte) error{
		"work":    func(b *Bus, e Job, body []byte) error { return b.PublishWork(Item{Job: e, Body: body, Until: soon()}) },
		"answers": func(b *Bus, e Job, body []byte) error { return b.PublishAnswers(Item{Job: e, Body: body, Failure: ""}) },
		"dead": func(b *Bus, e Job, body []byte) error {
			m := Item{Job: e, Body: body}.message()
			m.Metadata.Set(deadAlone, "true")
			return b.dead.publish(m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 2 * concurrency
			tried := make(chan bool, 100*n)
			got, collect := answers(2 * n)
			b, stop := running(t, Handlers{
				Work: each(func(_ context.Context, request []byte) ([]byte, string, error) {
					if strings.HasPrefix(string(request), "bad") {
						tried <- true
						return nil, "", forGood
					}
					return []byte("done"), "", nil
				}),
				Answer: settling(func(ctx context.Context, e Job, answer []byte, failure string) error {
					if strings.HasPrefix(string(answer), "bad") || name == "dead" && e.Position <= n {
						tried <- true
						return forGood
					}
					return collect(ctx, e, answer, failure)
				}),
			})
			for i := range n {
				must(t, publish(b, job(i+1), []byte("bad")))
			}
			must(t, b.PublishWork(Item{Job: job(n + 1), Body: []byte("good"), Until: soon()}))
			failures, tries := n, 2*n // once among others, and once alone
			if name == "dead" {
				failures, tries = 0, n // nothing is left that could say so
			}
			good := false
			for range failures + 1 {
				a := within(t, "the good answer, and a failure for each of the others", got)
				good = good || a == answered{job(n + 1), "done", ""}
			}
			for range tries {
				within(t, "each of the others to be tried", tried)
			}
			must(t, stop())
			if !good || len(tried) != 0 {
				t.Errorf("the good answer came: %t; %d tries more than messages", good, len(tried))
			}
		})
	}
}
