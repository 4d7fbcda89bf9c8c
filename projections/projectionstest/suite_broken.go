package projectionstest

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// broken are facts that no decision makes, on a log in which p_1 of ada's is open
// p_2 has ended, and p_4 was refunded.
var broken = []struct {
	what string
	fact domain.Event
}{
	{"somebody signs up again", domain.SignedUp{User: "u_ada"}},
	{"nobody deposits", domain.Deposited{User: "u_nobody", Amount: 1, Movement: moved(domain.HouseCash, domain.AvailableOf("u_nobody"), 1)}},
	{"nobody becomes an admin", domain.AdminGranted{User: "u_nobody"}},
	{"an end of no prediction", domain.PredictionFailed{User: "u_ada", Prediction: "p_3", Price: 5, Movement: released("u_ada")}},
	{"an end of an ended one", domain.PredictionExpired{User: "u_ada", Prediction: "p_2", Price: 5, Movement: released("u_ada")}},
	{"an open prediction is asked again", domain.PredictionRequested{User: "u_ada", Prediction: "p_1", Price: 5, Movement: held("u_ada")}},
	{"an ended one is asked again", domain.PredictionRequested{User: "u_ada", Prediction: "p_2", Price: 5, Movement: held("u_ada")}},
	{"a refund of an open prediction", refundOf("u_ada", "p_1")},
	{"a refund of no prediction", refundOf("u_ada", "p_3")},
	{"another's refund", refundOf("u_bob", "p_2")},
	{"a second refund", refundOf("u_ada", "p_4")},
	{"another ends one's prediction", domain.PredictionFailed{User: "u_bob", Prediction: "p_1", Price: 5, Movement: released("u_bob")}},
}

// brokenFact appends one after valid facts. The views stop before it, report
// where, and stay before it, however often it comes. What single views show then, and how
// near they have come, is not compared: a view that meets it stops.
func brokenFact(t *testing.T, log *Log, form Form, fact domain.Event) {
	s := newStory(t, log)
	s.signUp("u_ada")
	s.signUp("u_bob")
	s.ask("u_ada", "p_1", time.Minute)
	s.ask("u_bob", "p_b", time.Minute)
	s.ask("u_ada", "p_2", time.Minute)
	s.complete("u_ada", "p_2")
	s.deposit("u_ada", 10)
	s.ask("u_ada", "p_4", time.Minute)
	s.complete("u_ada", "p_4")
	s.refund("u_ada", "p_4")
	catchUp(t, log, form)
	s.deposit("u_ada", 1) // in one batch with what is broken
	at := s.add(eventstore.AccountStream(fact.Subject()), fact)
	s.add("email-x", domain.EmailClaimed{User: "u_x"})
	for range 2 {
		err := form.CatchUp(t.Context())
		if !errors.Is(err, domain.ErrBroken) || !regexp.MustCompile(fmt.Sprintf(`position %d\b`, at)).MatchString(err.Error()) {
			t.Fatalf("got %v, want an error that names position %d", err, at)
		}
		if now, err := form.Position(t.Context()); err != nil || now >= at {
			t.Fatalf("the views stand at position %d, %v", now, err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- form.Run(t.Context()) }()
	if err := soon(t, "the end of who follows a broken ledger", ended); !errors.Is(err, domain.ErrBroken) {
		t.Errorf("Run ended with %v", err)
	}
}

func moved(from, to domain.LedgerAccount, amount domain.Credits) domain.Movement {
	return domain.Movement{Available: amount, Postings: []domain.Posting{{Account: from, Amount: -amount}, {Account: to, Amount: amount}}}
}

func refundOf(u domain.UserID, id domain.PredictionID) domain.Event {
	return domain.PredictionRefunded{User: u, Prediction: id, Price: 5, Number: 1, Reason: domain.NoneOfThese, RefundPolicy: domain.RefundPolicy{PerMonth: 3},
		Movement: moved(domain.HouseRevenue, domain.AvailableOf(u), 5)}
}

func held(u domain.UserID) domain.Movement { return moved(domain.AvailableOf(u), domain.HeldOf(u), 5) }

func released(u domain.UserID) domain.Movement {
	return moved(domain.HeldOf(u), domain.AvailableOf(u), 5)
}
