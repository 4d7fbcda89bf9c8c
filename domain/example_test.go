package domain_test

import (
	"fmt"
	"time"

	"kassa/domain"
)

// An account is the fold of its events, and a decision reads the account: it gives the
// next events, or a refusal with a stable code.
func Example() {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var account domain.Account
	fold := func(events []domain.Event, err error) {
		if err != nil {
			fmt.Println("refused:", domain.RefusalIn(err).Code)
		}
		for _, e := range events {
			if err := account.Apply(e, noon); err != nil {
				panic(err) // the ledger itself is wrong
			}
			fmt.Printf("%s: %d available, %d held\n", e.Type(), account.Available, account.Held)
		}
	}

	question := domain.Question{Prediction: "p_1", Price: 5, Limit: 3, AskedAt: noon, ExpiresAt: noon.Add(time.Minute)}
	fold(account.SignUp("u_ada", domain.Sealed("a sealed e-mail"), 8))
	fold(account.RequestPrediction(question))
	question.Prediction = "p_2"
	fold(account.RequestPrediction(question)) // 3 credits are left, and an answer costs 5
	answer := domain.Answer{Movies: []domain.Match{{MovieID: "alien-1979", Score: 0.9}}, Model: "model", Catalogue: "catalogue"}
	fold(account.Complete("p_1", answer))
	fold(account.Complete("p_1", answer)) // a hold ends once: there is no event

	// Output:
	// SignedUp: 0 available, 0 held
	// BonusGranted: 8 available, 0 held
	// PredictionRequested: 3 available, 5 held
	// refused: insufficient_funds
	// PredictionCompleted: 3 available, 0 held
}
