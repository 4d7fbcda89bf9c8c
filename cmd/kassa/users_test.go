package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"kassa/domain"
)

// Five hundred people with credits for two answers each ask at the same time, four
// times each: each user pays for exactly two answers and is refused the others.
func TestFiveHundredPeople(t *testing.T) {
	const people, tries = 500, 4
	data := t.TempDir()
	s := serve(t, data, "--bonus", "10", "--price", "5")
	h := newHTTP()

	clients := make([]client, people)
	inParallel(people, 8, func(i int) {
		clients[i] = s.signUp(t, h, fmt.Sprintf("person%d@example.com", i))
	})

	answered, refused := make([]int, people), make([]int, people)
	var mu sync.Mutex
	inParallel(people*tries, people, func(n int) {
		a := clients[n%people].do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a heist that goes wrong", wait: 60})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case a.status == http.StatusOK && a.text("status") == "completed":
			answered[n%people]++
		case a.status == http.StatusPaymentRequired && a.text("code") == string(domain.InsufficientFunds):
			refused[n%people]++
		default:
			t.Errorf("person %d: %d %v %v", n%people, a.status, a.body, a.err)
		}
	})
	for i := range people {
		if answered[i] != 2 || refused[i] != tries-2 {
			t.Errorf("person %d: %d answers, %d refusals", i, answered[i], refused[i])
		}
	}
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
	v := mustVerify(t, data)
	if v.Available != 0 || v.Held != 0 || v.House[domain.HouseGivenSpent] != 10*people || v.Events[domain.TypePredictionCompleted] != 2*people {
		t.Errorf("the ledger says %+v", v)
	}
}

// inParallel calls do for 0 to n-1 from several goroutines, and waits for all.
func inParallel(n, goroutines int, do func(int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}
