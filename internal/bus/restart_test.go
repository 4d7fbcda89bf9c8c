package bus

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"kassa/internal/bus/bustest"
)

// restarts is how often a worker is replaced, and lateMost how many messages the broker
// may send to one that it has told already that it sends no more: its queue and its
// connection are two processes. Those come to another worker as delivered before.
const restarts, lateMost = 10, 3 * restarts

// Workers that are replaced under a stream of questions finish what the broker has sent
// them: every job is done once, and none is tried alone as what a process died of, but for
// the few that came too late.
func TestWorkersRestartUnderLoad(t *testing.T) {
	b := newBroker(t)
	got, settle := answers(10_000)
	service := b.run(t, b.Address, Handlers{Answer: settling(settle)})
	var done counts
	work := each(func(_ context.Context, request []byte) ([]byte, string, error) {
		done.add(string(request))
		<-time.After(time.Millisecond) // so that messages wait in the process that is stopped
		return request, "", nil
	})
	ask, stopAsking := context.WithCancel(t.Context())
	asked := make(chan int, 1)
	go func() { asked <- stream(t, ask, service) }()
	stop := b.worker(t, b.Address, work)
	for range restarts {
		next := b.worker(t, b.Address, work)
		for range 50 {
			within(t, "an answer", got)
		}
		must(t, stop())
		stop = next
	}
	stopAsking()
	n := within(t, "the last question", asked)
	for range n - restarts*50 {
		within(t, "an answer to each", got)
	}
	must(t, stop())
	if twice := done.moreThan(1); len(twice) > 0 {
		t.Errorf("of %d jobs these were done more than once: %v", n, twice)
	}
	if alone := service.aloneWork.published.Load(); alone > lateMost || len(got) > 0 {
		t.Errorf("of the messages of %d jobs %d were tried alone, and %d answers came twice", n, alone, len(got))
	}
}

// A job that fails for a moment is tried again also by a worker that is told to stop
// meanwhile: put back, it would be taken for one that the worker died of.
func TestAStoppedWorkerTriesAgain(t *testing.T) {
	b := newBroker(t)
	got, settle := answers(10)
	service := b.run(t, b.Address, Handlers{Answer: settling(settle)})
	inHand, leave := make(chan bool, 10), make(chan bool)
	fails := twice(errPassing)
	stop := b.worker(t, b.Address, each(func(_ context.Context, request []byte) ([]byte, string, error) {
		inHand <- true
		<-leave
		return request, "", fails()
	}))
	must(t, service.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	within(t, "the job to be in hand", inHand)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(leave)
	if a := within(t, "the answer", got); a != (answered{job(1), "text", ""}) {
		t.Errorf("the answer is %+v", a)
	}
	must(t, within(t, "the worker to end", stopped))
	if alone := service.aloneWork.published.Load(); alone > 0 {
		t.Errorf("%d messages were tried alone", alone)
	}
}

// A worker that loses its connection with messages in hand, as one that is killed does,
// is the one case in which jobs are tried alone; each is delivered once more for it.
func TestAWorkerIsKilledUnderLoad(t *testing.T) {
	b := newBroker(t)
	got, settle := answers(10_000)
	service := b.run(t, b.Address, Handlers{Answer: settling(settle)})
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	inHand, leave := make(chan int, concurrency), make(chan struct{})
	dying := b.worker(t, proxy.Address(), func(_ context.Context, requests [][]byte) []Outcome {
		inHand <- len(requests)
		<-leave
		return slices.Repeat([]Outcome{{Err: errPassing}}, len(requests))
	})
	const n = 3*MaxItems + 1
	must(t, service.PublishWork(requests(n)...))
	for have := 0; have < n; {
		have += within(t, "all to be in hand", inHand)
	}
	proxy.Close()
	proxy.Cut()
	var done counts
	b.worker(t, b.Address, each(func(_ context.Context, request []byte) ([]byte, string, error) {
		done.add(string(request))
		return request, "", nil
	}))
	for range n {
		within(t, "an answer to each", got)
	}
	close(leave)
	must(t, dying())
	if twice := done.moreThan(1); len(twice) > 0 || len(got) > 0 {
		t.Errorf("done more than once are %v; %d answers came twice", twice, len(got))
	}
	if alone := service.aloneWork.published.Load(); alone != (n+MaxItems-1)/MaxItems {
		t.Errorf("of the messages of %d jobs %d were tried alone", n, alone)
	}
}

// stream publishes jobs, some together, until ctx ends, and gives how many.
func stream(t *testing.T, ctx context.Context, service *Bus) (n int) {
	for ctx.Err() == nil {
		var items []Item
		for range 1 + n%7 {
			n++
			items = append(items, Item{Job: job(n), Body: []byte(strconv.Itoa(n)), Until: soon()})
		}
		if err := service.PublishWork(items...); err != nil {
			t.Error(err)
		}
	}
	return n
}

// worker runs one until it is stopped, or the test ends.
func (b broker) worker(t *testing.T, address string, work func(context.Context, [][]byte) []Outcome) (stop func() error) {
	t.Helper()
	bus := b.bus(t, address)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx, Handlers{Work: work}) }()
	within(t, "the worker", bus.Running())
	stop = sync.OnceValue(func() error { cancel(); return within(t, "the worker to end", ended) })
	t.Cleanup(func() { must(t, stop()) })
	return stop
}

// counts are how often each of some things was done.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[what]++
}

func (c *counts) moreThan(n int) (list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, times := range c.of {
		if times > n {
			list = append(list, what)
		}
	}
	return list
}
