package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"kassa/internal/bus/bustest"
)

// Whoever asks gets its own answers, from whichever worker, beside the jobs of
// predictions; also from the second worker when the first was cut off with them.
func TestAskWorkers(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	got, settle := answers(1)
	b.run(t, b.Address, Handlers{Answer: settling(settle)})
	held, release := make(chan struct{}, concurrency), make(chan struct{})
	cut := b.bus(t, proxy.Address())
	gone, leave := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- cut.Run(gone, Handlers{Work: each(func(ctx context.Context, _ []byte) ([]byte, string, error) {
			held <- struct{}{}
			<-release
			return nil, "", errPassing
		})})
	}()
	within(t, "the first worker", cut.Running())

	w, err := b.at(b.Address).AskWorkers(t.Context(), quiet)
	must(t, err)
	const n = 3 * concurrency
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			answer, failure, err := w.Ask(t.Context(), fmt.Appendf(nil, "text %d", i))
			if want := fmt.Sprintf("re: text %d", i); err != nil || failure != "" || string(answer) != want {
				t.Errorf("%q, %q, %v, want %q", answer, failure, err, want)
			}
		})
	}
	within(t, "the first worker to have something in hand", held)
	proxy.Close()
	proxy.Cut()
	b.run(t, b.Address, Handlers{Work: each(echo)})
	must(t, b.bus(t, b.Address).PublishWork(Item{Job: job(1), Body: []byte("a question"), Until: soon()}))
	all.Wait()
	if a := within(t, "the answer of the prediction", got); a.answer != "re: a question" {
		t.Errorf("answer %q, failure %q", a.answer, a.failure)
	}
	w.Close()
	if _, _, err := w.Ask(t.Context(), nil); err == nil {
		t.Error("it is closed, and answers")
	}
	leave()
	close(release)
	within(t, "the first worker to end", ended)
}

// A job that cannot be done, and one that a worker fails at for good, are
// answered by their failure.
func TestAskWorkersInVain(t *testing.T) {
	b := newBroker(t)
	var tries atomic.Int32
	b.run(t, b.Address, Handlers{Work: each(func(_ context.Context, request []byte) ([]byte, string, error) {
		if string(request) == "no meaning" {
			return nil, "text_not_understood", nil
		}
		tries.Add(1)
		return nil, "", errors.New("the model is gone")
	}), Answer: settling(func(context.Context, Job, []byte, string) error {
		t.Error("it was settled as a job")
		return nil
	})})
	w, err := b.at(b.Address).AskWorkers(t.Context(), quiet)
	must(t, err)
	for request, want := range map[string]string{"no meaning": "text_not_understood", "text": Failed} {
		if answer, failure, err := w.Ask(t.Context(), []byte(request)); err != nil || failure != want {
			t.Errorf("%s: %q, %q, %v", request, answer, failure, err)
		}
	}
	if tries.Load() < 2 {
		t.Errorf("it was tried %d times", tries.Load())
	}
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Ask(left, []byte("text")); !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	w.Close()
}
