package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// kills is how often the process is killed: KASSA_KILLS, or a few in CI.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("KASSA_KILLS"))
	if os.Getenv("KASSA_KILLS") == "" {
		return 6
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// drawSeed gives KASSA_SEED, or a new seed, and logs it.
func drawSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KASSA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("KASSA_SEED=%d", seed)
	return seed
}

// entered is one command of a journal: its key, and what became of it.
type entered struct {
	key    string
	path   string
	body   any
	answer answer // status 0: not known yet
}

// actor is one person, one command after another, with a journal.
type actor struct {
	client
	mu      sync.Mutex
	journal []*entered
}

func (a *actor) enter(e *entered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.journal = append(a.journal, e)
}

// Under load from many clients the process is killed at a random moment, time and
// again. What was acknowledged must be there after the restart, at its position;
// what was not is asked again with its key, and must then be there once; every
// hold must end; every balance must be what the journal gives; and the ledger must
// be whole. A witness that looks at the log from outside all the while never sees a
// contradiction.
func TestKilledUnderLoad(t *testing.T) {
	const people = 12
	seed := drawSeed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	data := t.TempDir()
	flags := []string{"--bonus", "100", "--hold-expiry", "20s", "--refunds-per-month", "20", "--not-found-below", "0"}

	s := serve(t, data, flags...)
	watching := newWatching(t, data)
	h := newHTTP()
	actors := make([]*actor, people)
	for i := range actors {
		actors[i] = &actor{client: s.signUp(t, h, fmt.Sprintf("actor%d@example.com", i))}
	}
	for round := range kills(t) {
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		for i, a := range actors {
			a.url = s.url
			own := rand.New(rand.NewPCG(seed, uint64(round*people+i+1)))
			load.Go(func() { a.act(ctx, own) })
		}
		load.Go(func() { watching.watch(ctx, t, s.url) })
		<-time.After(time.Duration(100+random.IntN(1200)) * time.Millisecond) // the random moment itself
		s.kill()
		stop()
		load.Wait()
		h.CloseIdleConnections()

		s = serve(t, data, flags...)
		for _, a := range actors {
			a.url = s.url
			a.settleJournal(t)
		}
		mustVerify(t, data) // beside the running service
	}
	for _, a := range actors {
		a.awaitEnds(t)
		a.checkBalance(t)
	}
	watching.sees(t, s)
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}
	v := mustVerify(t, data)
	t.Logf("%d kills, %d entries, %v", kills(t), v.Size, v.Events)
	if v.Held != 0 {
		t.Errorf("%d credits are still held", v.Held)
	}
}

// act sends commands until the service is gone.
func (a *actor) act(ctx context.Context, random *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		e := a.draw(random, n)
		a.enter(e)
		e.answer = a.do(ctx, "POST", e.path, e.key, e.body)
		if e.answer.status == 0 {
			return
		}
	}
}

// draw gives the n-th command of a user: a deposit, a withdrawal, a question, or that
// none of the films of an earlier answer is the right one.
func (a *actor) draw(random *rand.Rand, n int) *entered {
	e := &entered{key: fmt.Sprintf("%d-%d", random.Uint64(), n), path: "/api/users/balance/adjust"}
	switch random.IntN(6) {
	case 5:
		if asked := a.question(random); asked != "" {
			e.path = "/api/events/prediction/" + asked + noneOfThese
			return e
		}
		fallthrough
	case 0:
		e.body = adjustment{Amount: 1 + random.Int64N(50)}
	case 1:
		e.body = adjustment{Amount: -1 - random.Int64N(30)}
	default:
		e.path, e.body = "/api/events/prediction/new", question{Text: "ship in the ice " + strconv.Itoa(n), wait: random.IntN(2)}
	}
	return e
}

const noneOfThese = "/none-of-these"

// question is the id of one of the person's last questions, "" where none is known.
func (a *actor) question(random *rand.Rand) string {
	back := 1 + random.IntN(8)
	if back > len(a.journal) {
		return ""
	}
	return a.journal[len(a.journal)-back].answer.text("prediction_id")
}

// settleJournal asks for everything again with the same keys. What was
// acknowledged must give the same receipt; what was unknown is known then.
func (a *actor) settleJournal(t *testing.T) {
	t.Helper()
	for _, e := range a.journal {
		again := a.do(t.Context(), "POST", e.path, e.key, e.body)
		was := e.answer
		switch {
		case again.status == 0 || again.status >= 500:
			t.Fatalf("a retry after the restart: %d %v", again.status, again.body)
		case was.status == 0 || was.status == http.StatusPaymentRequired || was.status == http.StatusConflict:
			e.answer = again // a refusal is not remembered: the balance may have grown
		case again.status >= 300 || again.header.Get("Idempotent-Replayed") != "true":
			t.Fatalf("acknowledged and lost: %s %v\nwas %d %v\nnow %d %v", e.path, e.body, was.status, was.body, again.status, again.body)
		case again.number("position") != was.number("position") || again.text("leaf_hash") != was.text("leaf_hash"):
			t.Fatalf("another receipt for the same key: was %v, now %v", was.body, again.body)
		}
	}
}

// awaitEnds waits until no prediction of the person is open: those whose time is
// up must have ended, and the others were carried again and end soon.
func (a *actor) awaitEnds(t *testing.T) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		open := a.do(t.Context(), "GET", "/api/events/prediction/history?status=pending", "", nil)
		items, ok := open.body["items"].([]any)
		if !ok {
			t.Fatalf("history: %d %v", open.status, open.body)
		}
		if len(items) == 0 {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("holds stay open: %v", items)
		}
	}
}

// checkBalance adds up the journal.
func (a *actor) checkBalance(t *testing.T) {
	t.Helper()
	want, paid, refunds, refunded := int64(100), 0, 0, 0
	for _, e := range a.journal {
		if e.answer.status >= 300 {
			continue
		}
		switch body := e.body.(type) {
		case nil:
			refunds++
		case adjustment:
			want += body.Amount
		case question:
			p := a.do(t.Context(), "GET", "/api/events/prediction/"+e.answer.text("prediction_id"), "", nil)
			if p.status != http.StatusOK {
				t.Fatalf("prediction %v: %d %v", e.answer.body, p.status, p.body)
			}
			switch p.text("status") {
			case "completed":
				want -= p.number("cost")
				paid++
			case "refunded":
				refunded++
			}
		}
	}
	if refunds != refunded {
		t.Errorf("%s: %d refunds were acknowledged, %d answers are refunded", a.email, refunds, refunded)
	}
	balance := a.do(t.Context(), "GET", "/api/users/balance", "", nil)
	if balance.number("balance") != want || balance.number("held") != 0 {
		t.Errorf("%s: the journal of %d commands (%d answers paid) says %d, the wallet %v", a.email, len(a.journal), paid, want, balance.body)
	}
}
