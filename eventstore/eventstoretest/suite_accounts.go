package eventstoretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
)

// decide appends what a decision on the account came to.
func decide(t testing.TB, store *eventstore.Store, l eventstore.Loaded, u domain.UserID, events []domain.Event, err error) error {
	t.Helper()
	must(t, err)
	_, err = store.Append(t.Context(), eventstore.Append{Time: noon, Actor: "user:" + string(u),
		Writes: []eventstore.Write{{Stream: eventstore.AccountStream(u), Expected: l.Version, Events: events}}})
	return err
}

// folded is the account as the entries of its stream alone make it.
func folded(t testing.TB, store *eventstore.Store, u domain.UserID) (a domain.Account, at eventstore.Version) {
	t.Helper()
	for _, rec := range everything(t, t.Context(), store) {
		if rec.Stream == eventstore.AccountStream(u) {
			must(t, a.Apply(rec.Event, rec.Time))
			at = rec.Version
		}
	}
	return a, at
}

func sameAccount(t testing.TB, l eventstore.Loaded, want domain.Account, at eventstore.Version) {
	t.Helper()
	have, err := json.Marshal(l.Account) // in which no holds are one thing
	must(t, err)
	expected, err := json.Marshal(want)
	must(t, err)
	if l.Version != at || !bytes.Equal(have, expected) {
		t.Fatalf("the account is %+v at version %d, want %+v at %d", l.Account, l.Version, want, at)
	}
}

func accounts(t *testing.T, open Open) {
	store := open()
	ctx := t.Context()
	if l, err := store.Account(ctx, "u_nobody"); err != nil || l.Version != 0 || l.Account.Exists() || !l.Fresh {
		t.Errorf("an account that does not exist is %+v (%v)", l, err)
	}
	workload := NewWorkload(3, 8)
	live(t, store, workload, 3)
	watched := workload.people[0].User
	rest, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		wholeWhileItMoves(t, store, watched, rest)
	}()
	for range 60 {
		live(t, store, workload, 3)
	}
	close(rest)
	<-done
	for _, p := range workload.people {
		want, at := folded(t, store, p.User)
		for _, s := range []*eventstore.Store{store, open()} {
			l, err := s.Account(ctx, p.User)
			must(t, err)
			sameAccount(t, l, want, at)
			fresh, err := s.Refresh(ctx, p.User)
			must(t, err)
			sameAccount(t, fresh, want, at)
			if !fresh.Fresh {
				t.Error("a refreshed account does not say that it is fresh")
			}
			// What a caller does to its copy stays with the caller.
			l.Account.Available += 1000
			for i := range l.Account.Holds {
				l.Account.Holds[i].Price = 999
			}
			again, err := s.Account(ctx, p.User)
			must(t, err)
			sameAccount(t, again, want, at)
			if again.Fresh {
				t.Error("an account out of memory says that it is fresh")
			}
		}
	}
}

// wholeWhileItMoves reads the account all the time until the others rest: it is
// always one that the stream made, never one in the middle of a fold.
func wholeWhileItMoves(t *testing.T, store *eventstore.Store, u domain.UserID, rest <-chan struct{}) {
	var last eventstore.Version
	for {
		select {
		case <-rest:
			return
		default:
		}
		l, err := store.Account(t.Context(), u)
		if err != nil {
			t.Error(err)
			return
		}
		var held domain.Credits
		for _, h := range l.Account.Holds {
			held += h.Price
		}
		if held != l.Account.Held || l.Version < last {
			t.Errorf("at version %d, after %d, %d are held and the holds sum to %d", l.Version, last, l.Account.Held, held)
		}
		last = l.Version
	}
}

// What another process appended is not in this one's memory: a decision on it
// conflicts, and Refresh loads it.
func refreshes(t *testing.T, open Open) {
	here, there := open(), open()
	const u = domain.UserID("u_shared")
	l, err := here.Account(t.Context(), u)
	must(t, err)
	events, err := l.Account.SignUp(u, nil, 10)
	must(t, decide(t, here, l, u, events, err))

	l, err = there.Account(t.Context(), u)
	must(t, err)
	events, err = l.Account.Deposit(7, "sandbox", "p")
	must(t, decide(t, there, l, u, events, err))

	stale, err := here.Account(t.Context(), u)
	must(t, err)
	if stale.Version != 2 || stale.Fresh {
		t.Fatalf("memory has version %d (fresh %t) before anybody told it", stale.Version, stale.Fresh)
	}
	events, err = stale.Account.RequestPrediction(domain.Question{Prediction: "p_1", Price: 10, Limit: 1})
	if err := decide(t, here, stale, u, events, err); !errors.Is(err, eventstore.ErrConflict) {
		t.Fatalf("a decision on the past gave %v", err)
	}
	fresh, err := here.Refresh(t.Context(), u)
	must(t, err)
	want, at := folded(t, there, u)
	sameAccount(t, fresh, want, at)
	events, err = fresh.Account.Withdraw(7, "sandbox", "p")
	must(t, decide(t, here, fresh, u, events, err))

	// An append by one who knows more than this process remembers.
	l, err = there.Refresh(t.Context(), u)
	must(t, err)
	events, err = l.Account.Deposit(20, "sandbox", "p")
	must(t, decide(t, there, l, u, events, err))
	l, err = there.Account(t.Context(), u)
	must(t, err)
	events, err = l.Account.GrantRole(domain.AdminRole, domain.Orderer{By: "olga"}) // which has no balance that a wrong fold would fail at
	must(t, decide(t, here, l, u, events, err))
	remembered, err := here.Account(t.Context(), u)
	must(t, err)
	want, at = folded(t, here, u)
	if remembered.Version == at-2 {
		want, at = fresh.Account, at-2 // not wrong, only behind: as it was after its own withdrawal
		want.Available -= 7
	}
	sameAccount(t, remembered, want, at)
	CheckLog(t, here)
}

// A wallet with a long stream gets a snapshot, which is the fold at its version;
// a process that starts later comes to the same account by way of it.
func snapshots(t *testing.T, open Open) {
	store := open()
	workload := NewWorkload(4, 1)
	for range 60 {
		live(t, store, workload, 20)
	}
	u := workload.people[0].User
	var found eventstore.Snapshot
	Eventually(t, "a snapshot", func() bool {
		must(t, store.Snapshots(t.Context(), func(s eventstore.Snapshot) error { found = s; return nil }))
		return found.Version > 0
	})
	if found.Stream != eventstore.AccountStream(u) {
		t.Errorf("the snapshot is of %s", found.Stream)
	}
	want, at := folded(t, store, u)
	if found.Version > at {
		t.Errorf("the snapshot is of version %d, and the stream ends at %d", found.Version, at)
	}
	l, err := open().Account(t.Context(), u)
	must(t, err)
	sameAccount(t, l, want, at)
}
