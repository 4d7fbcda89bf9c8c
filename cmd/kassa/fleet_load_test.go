package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// people sign up.
func (f *fleet) people(name string, n int) []*actor {
	f.t.Helper()
	url := f.of("api")[0].address()
	actors := make([]*actor, n)
	var all sync.WaitGroup
	for i := range actors {
		all.Go(func() {
			actors[i] = &actor{client: client{url: url, email: fmt.Sprintf("%s%d@example.com", name, i), http: f.http}}
			a := actors[i].do(f.t.Context(), "POST", "/api/users/signup", "", credentials{actors[i].email, password})
			if a.status != http.StatusCreated {
				f.t.Errorf("sign up: %d %v %v", a.status, a.body, a.err)
			}
		})
	}
	all.Wait()
	if f.t.Failed() {
		f.t.FailNow()
	}
	return actors
}

// load has all users at work until stop is called, each with a stream of random
// numbers of their own.
func (f *fleet) load(actors []*actor, seed uint64) (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	var all sync.WaitGroup
	for i, a := range actors {
		all.Go(func() { f.roam(ctx, a, rand.New(rand.NewPCG(seed, uint64(i+1)))) })
	}
	return func() { cancel(); all.Wait() }
}

// thinks is the longest pause of a client between two commands.
const thinks = 200 * time.Millisecond

// roam sends commands to whichever API process. What gets no definite answer is
// asked again with its key, perhaps elsewhere, while the first may still be at it;
// after some tries it is left for later.
func (f *fleet) roam(ctx context.Context, a *actor, random *rand.Rand) {
	pause := func(most time.Duration) {
		select {
		case <-time.After(time.Duration(random.Int64N(int64(most)))):
		case <-ctx.Done():
		}
	}
	for n := 0; ctx.Err() == nil; n++ {
		e := a.draw(random, n)
		a.enter(e)
		for try := 0; try < 4 && e.answer.status == 0 && ctx.Err() == nil; try++ {
			e.answer = f.ask(ctx, a, e, random)
			if e.answer.status == 0 {
				pause(4 * thinks)
			}
		}
		if n%8 == 0 {
			f.look(ctx, a, random)
		}
		pause(thinks)
	}
}

// patience is how long a client waits for one answer.
const patience = 8 * time.Second

// ask sends a command once. An answer that settles nothing becomes status 0.
func (f *fleet) ask(ctx context.Context, a *actor, e *entered, random *rand.Rand) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at := a.client
	at.url = f.anyAPI(random)
	said := at.do(ctx, "POST", e.path, e.key, e.body)
	f.asked.Add(1)
	if said.header.Get("Idempotent-Replayed") == "true" {
		f.replayed.Add(1)
	}
	refused := said.status == http.StatusConflict && strings.HasSuffix(e.path, noneOfThese) && said.text("code") != string(domain.KeyInProgress)
	if said.status == http.StatusConflict && !refused || said.status >= 500 { // it still runs, or its outcome is unknown
		said.status = 0
	}
	if said.status == 0 {
		f.unknown.Add(1)
	}
	return said
}

// look reads a balance meanwhile: it may be of a moment ago, and never below zero.
func (f *fleet) look(ctx context.Context, a *actor, random *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at := a.client
	at.url = f.anyAPI(random)
	b := at.do(ctx, "GET", "/api/users/balance", "", nil)
	if b.status == http.StatusOK && (b.number("balance") < 0 || b.number("held") < 0) {
		f.t.Errorf("%s was shown the balance %v", a.email, b.body)
	}
}

// recovery is how long the service may take until it answers again, after a fault
// that is over.
const recovery = time.Minute

// recover asks until a question is answered with films: then every process that it
// takes does its part again.
func (f *fleet) recover(canary *actor, random *rand.Rand) time.Duration {
	f.t.Helper()
	began := time.Now()
	for time.Since(began) < recovery {
		name := strconv.FormatUint(random.Uint64(), 36)
		credits := &entered{key: "credits " + name, path: "/api/users/balance/adjust", body: adjustment{Amount: 50}}
		asked := &entered{key: "question " + name, path: "/api/events/prediction/new", body: question{Text: "a canary in a coal mine", wait: 1}}
		for _, e := range []*entered{credits, asked} {
			canary.enter(e)
			e.answer = f.ask(f.t.Context(), canary, e, random)
		}
		if asked.answer.text("status") == "completed" {
			return time.Since(began)
		}
	}
	f.t.Errorf("no question was answered within %s", recovery)
	return recovery
}

// prove holds what there is against the journals, and against the log. It is
// called when the load has stopped and all processes are there again.
func (f *fleet) prove(actors []*actor) verdict {
	f.t.Helper()
	store, views := openShared(f.t, f.database)
	apis := f.of("api")
	f.inGroups("settled", actors, func(t *testing.T, i int, a *actor) {
		a.url = apis[i%len(apis)].address()
		a.settleJournal(t)
	})
	f.caughtUp(store, views)
	f.inGroups("ended", actors, func(t *testing.T, _ int, a *actor) { a.awaitEnds(t) })
	f.caughtUp(store, views)
	f.inGroups("balanced", actors, func(t *testing.T, _ int, a *actor) { a.checkBalance(t) })
	if f.t.Failed() {
		f.t.FailNow()
	}
	replay := projections.NewMemory()
	if err := replay.Replay(f.t.Context(), store); err != nil {
		f.t.Fatal(err)
	}
	if err := audittest.CompareViews(f.t.Context(), views, replay); err != nil {
		f.t.Errorf("the views are not what a replay gives: %v", err)
	}
	v := mustVerify(f.t, f.data, "--database-url", f.database)
	if v.Held != 0 {
		f.t.Errorf("%d credits are still held", v.Held)
	}
	f.checkCounts(actors, v)
	return v
}

// checkCounts: the log has each acknowledged command once, and no other.
func (f *fleet) checkCounts(actors []*actor, v verdict) {
	f.t.Helper()
	want := map[domain.EventType]int{domain.SignedUp{}.Type(): len(actors), domain.Deposited{}.Type(): 0,
		domain.Withdrawn{}.Type(): 0, domain.PredictionRequested{}.Type(): 0}
	for _, a := range actors {
		for _, e := range a.journal {
			if e.answer.status >= 300 {
				continue
			}
			switch body := e.body.(type) {
			case question:
				want[domain.PredictionRequested{}.Type()]++
			case adjustment:
				if body.Amount > 0 {
					want[domain.Deposited{}.Type()]++
				} else {
					want[domain.Withdrawn{}.Type()]++
				}
			}
		}
	}
	for event, n := range want {
		if v.Events[event] != n {
			f.t.Errorf("the log has %d %s, the journals %d", v.Events[event], event, n)
		}
	}
}

// inGroups does something for each user, a few at a time.
func (f *fleet) inGroups(what string, actors []*actor, do func(*testing.T, int, *actor)) {
	f.t.Run(what, func(t *testing.T) {
		const groups = 16
		for g := range groups {
			t.Run(strconv.Itoa(g), func(t *testing.T) {
				t.Parallel()
				for i := g; i < len(actors); i += groups {
					do(t, i, actors[i])
				}
			})
		}
	})
}

// caughtUp waits until the views show the whole log.
func (f *fleet) caughtUp(store *eventstore.Store, views *projections.Postgres) {
	f.t.Helper()
	f.await("the views", func() bool {
		head, err := store.Head(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		at, err := views.Position(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		return at == head.Size
	})
}
