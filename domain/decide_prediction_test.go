package domain_test

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"kassa/domain"
)

func ask(id domain.PredictionID, price domain.Credits) request { return askFor(10, id, price) }

func askFor(limit int, id domain.PredictionID, price domain.Credits) request {
	return func(a domain.Account) ([]domain.Event, error) {
		return a.RequestPrediction(domain.Question{Prediction: id, Text: sealed, Price: price, Limit: limit, ExpiresAt: noon})
	}
}

func complete(id domain.PredictionID, movies ...domain.Match) request {
	return func(a domain.Account) ([]domain.Event, error) {
		return a.Complete(id, domain.Answer{Movies: movies, Model: "m1", Catalogue: "c1", ProcessingTime: 0.25, Confidence: confidenceIn(movies)})
	}
}

func fail(id domain.PredictionID) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Fail(id, domain.FailedWorker) }
}

func expire(id domain.PredictionID, now time.Time) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Expire(id, now) }
}

func TestRequestPrediction(t *testing.T) {
	for _, tt := range []decision{
		{name: "enough credits are held",
			given: facts(signedUp, deposited(30)), when: ask("p_1", 5), then: facts(requested("p_1", 5))},
		{name: "all credits are held",
			given: facts(signedUp, deposited(30)), when: ask("p_1", 30), then: facts(requested("p_1", 30))},
		{name: "one credit short is refused",
			given: facts(signedUp, deposited(29)), when: ask("p_1", 30), refused: domain.InsufficientFunds},
		{name: "what is held already cannot be held again",
			given: facts(signedUp, deposited(30), requested("p_1", 16)), when: ask("p_2", 15), refused: domain.InsufficientFunds},
		{name: "what is left can",
			given: facts(signedUp, deposited(30), requested("p_1", 15)), when: ask("p_2", 15), then: facts(requested("p_2", 15))},
		{name: "what was captured is gone",
			given: facts(signedUp, deposited(30), requested("p_1", 1), completed("p_1", 1)), when: ask("p_2", 30), refused: domain.InsufficientFunds},
		{name: "what expired is there again",
			given: facts(signedUp, deposited(30), requested("p_1", 1), expired("p_1", 1)), when: ask("p_2", 30), then: facts(requested("p_2", 30))},

		{name: "for nothing is refused",
			given: facts(signedUp, deposited(30)), when: ask("p_1", 0), refused: domain.InvalidAmount},
		{name: "for one credit",
			given: facts(signedUp, deposited(30)), when: ask("p_1", 1), then: facts(requested("p_1", 1))},
		{name: "for less than nothing is refused",
			given: facts(signedUp, deposited(30)), when: ask("p_1", -1), refused: domain.InvalidAmount},
		{name: "for the smallest number there is is refused",
			given: facts(signedUp, deposited(30)), when: ask("p_1", math.MinInt64), refused: domain.InvalidAmount},
		{name: "for a million",
			given: facts(signedUp, deposited(2_000_000)), when: ask("p_1", 1_000_000), then: facts(requested("p_1", 1_000_000))},
		{name: "for a million and one is refused",
			given: facts(signedUp, deposited(2_000_000)), when: ask("p_1", 1_000_001), refused: domain.InvalidAmount},

		{name: "the 64th open question is held",
			given: facts(signedUp, deposited(99), open(63)), when: ask("p_64", 5), then: facts(requested("p_64", 5))},
		{name: "the 65th is refused",
			given: facts(signedUp, deposited(99), open(64)), when: ask("p_65", 5), refused: domain.TooManyOpen},
		{name: "after one of 64 has ended there is room",
			given: facts(signedUp, deposited(99), open(64), completed("p_7", 1)), when: ask("p_65", 5), then: facts(requested("p_65", 5))},
		{name: "one that is open is refused",
			given: facts(signedUp, deposited(30), requested("p_1", 5)), when: ask("p_1", 5), refused: domain.PredictionExists},
		{name: noAccount + "is refused",
			when: ask("p_1", 5), refused: domain.AccountNotFound},

		{name: "the limit is checked before the price",
			when: askFor(0, "p_1", 0), refused: domain.InvalidLimit},
		{name: "the price is checked before the account",
			when: ask("p_1", 0), refused: domain.InvalidAmount},
		{name: "the open question is checked before the balance",
			given: facts(signedUp, deposited(5), requested("p_1", 5)), when: ask("p_1", 5), refused: domain.PredictionExists},
		{name: "the open question is checked before the number of questions",
			given: facts(signedUp, deposited(99), open(64)), when: ask("p_64", 5), refused: domain.PredictionExists},
		{name: "the balance is checked before the number of questions",
			given: facts(signedUp, deposited(64), open(64)), when: ask("p_65", 5), refused: domain.InsufficientFunds},
	} {
		tt.check(t)
	}
}

func TestRequestPredictionLimit(t *testing.T) {
	for limit, fits := range map[int]bool{math.MinInt: false, -1: false, 0: false, 1: true, 50: true, 51: false, math.MaxInt: false} {
		tt := decision{name: fmt.Sprintf("%d films", limit), given: facts(signedUp, deposited(30)), when: askFor(limit, "p_1", 5), refused: domain.InvalidLimit}
		if fits {
			tt.refused, tt.then = "", facts(func(b *book) []domain.Event {
				e := requested("p_1", 5)(b)[0].(domain.PredictionRequested)
				e.Limit = limit
				return []domain.Event{e}
			})
		}
		tt.check(t)
	}
}

// A hold in memory and the same hold read back from the log must expire at the
// same moment, whatever zone and clock the asking process had.
func TestExpiryIsKeptAsTheLogKeepsIt(t *testing.T) {
	account := fold(t, new(book).write(facts(signedUp, deposited(30))))
	local := time.Now().In(time.FixedZone("Moscow", 3*60*60))
	events, err := account.RequestPrediction(domain.Question{Prediction: "p_1", Text: sealed, Price: 5, Limit: 10, ExpiresAt: local})
	if err != nil {
		t.Fatal(err)
	}
	if at := events[0].(domain.PredictionRequested).ExpiresAt; !at.Equal(local) || at != local.UTC() {
		t.Errorf("expires at %#v, want %#v", at, local.UTC())
	}
	if read := roundTrip(t, events[0]); !reflect.DeepEqual(read, events[0]) {
		t.Errorf("read back it is %#v, want %#v", read, events[0])
	}
}

func TestComplete(t *testing.T) {
	film := domain.Match{MovieID: "m_1", Score: 0.9}
	held := facts(signedUp, deposited(30), requested("p_1", 5), requested("p_2", 7))
	for _, tt := range []decision{
		{name: "captures the price that was held",
			given: held, when: complete("p_1", film), then: facts(completed("p_1", 5, film))},
		{name: "captures the price of its own question",
			given: held, when: complete("p_2", film), then: facts(completed("p_2", 7, film))},
		{name: "an answer without films is an answer",
			given: held, when: complete("p_1"), then: facts(completed("p_1", 5))},
		{name: "fifty films are kept",
			given: held, when: complete("p_1", films(50)...), then: facts(completed("p_1", 5, films(50)...))},
		{name: "of fifty-one the best fifty",
			given: held, when: complete("p_1", films(51)...), then: facts(completed("p_1", 5, films(50)...))},
		{name: "twice decides nothing",
			given: facts(held[0], held[1], held[2], completed("p_1", 5)), when: complete("p_1", film)},
		{name: "after a failure decides nothing",
			given: facts(held[0], held[1], held[2], failed("p_1", 5)), when: complete("p_1", film)},
		{name: "after the expiry was written decides nothing",
			given: facts(held[0], held[1], held[2], expired("p_1", 5)), when: complete("p_1", film)},
		{name: "what was never asked decides nothing",
			given: held, when: complete("p_9", film)},
		{name: noAccount + "decides nothing",
			when: complete("p_1", film)},
	} {
		tt.check(t)
	}
}

// films gives n matches, the best first.
func films(n int) []domain.Match {
	list := make([]domain.Match, n)
	for i := range list {
		list[i] = domain.Match{MovieID: fmt.Sprintf("m_%d", i+1), Score: 1 / float64(i+1)}
	}
	return list
}

func TestFail(t *testing.T) {
	held := facts(signedUp, deposited(30), requested("p_1", 5), requested("p_2", 7))
	for _, tt := range []decision{
		{name: "releases the price that was held",
			given: held, when: fail("p_1"), then: facts(failed("p_1", 5))},
		{name: "releases the price of its own question",
			given: held, when: fail("p_2"), then: facts(failed("p_2", 7))},
		{name: "twice decides nothing",
			given: facts(held[0], held[1], held[2], failed("p_1", 5)), when: fail("p_1")},
		{name: "after the answer decides nothing",
			given: facts(held[0], held[1], held[2], completed("p_1", 5)), when: fail("p_1")},
		{name: "after the expiry was written decides nothing",
			given: facts(held[0], held[1], held[2], expired("p_1", 5)), when: fail("p_1")},
		{name: "what was never asked decides nothing",
			given: held, when: fail("p_9")},
		{name: noAccount + "decides nothing",
			when: fail("p_1")},
	} {
		tt.check(t)
	}
}

func TestExpire(t *testing.T) {
	held := facts(signedUp, deposited(30), requested("p_1", 5), requested("p_2", 7))
	for _, tt := range []decision{
		{name: "a microsecond early decides nothing",
			given: held, when: expire("p_1", noon.Add(-time.Microsecond))},
		{name: "at the moment releases the price",
			given: held, when: expire("p_1", noon), then: facts(expired("p_1", 5))},
		{name: "a microsecond late releases the price",
			given: held, when: expire("p_1", noon.Add(time.Microsecond)), then: facts(expired("p_1", 5))},
		{name: "releases the price of its own question",
			given: held, when: expire("p_2", noon), then: facts(expired("p_2", 7))},
		{name: "the moment is the same in every zone",
			given: held, when: expire("p_1", noon.In(time.FixedZone("Moscow", 3*60*60))), then: facts(expired("p_1", 5))},
		{name: "twice decides nothing",
			given: facts(held[0], held[1], held[2], expired("p_1", 5)), when: expire("p_1", noon)},
		{name: "after the answer decides nothing",
			given: facts(held[0], held[1], held[2], completed("p_1", 5)), when: expire("p_1", noon)},
		{name: "after a failure decides nothing",
			given: facts(held[0], held[1], held[2], failed("p_1", 5)), when: expire("p_1", noon)},
		{name: "what was never asked decides nothing",
			given: held, when: expire("p_9", noon)},
	} {
		tt.check(t)
	}
}
