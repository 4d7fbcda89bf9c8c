package domain_test

import (
	"slices"
	"testing"
	"time"

	"kassa/domain"
)

func TestFreeAttempts(t *testing.T) {
	rich := facts(signedUp, deposited(100))
	var fruitless []step // three free questions, and two ends that are not the user's fault
	for _, end := range []step{failedFor("p_1", domain.FailedNotFound), failedFor("p_1", domain.FailedNoMeaning), failedFor("p_1", domain.FailedNotFound),
		failedFor("p_1", domain.FailedWorker), failedFor("p_1", domain.FailedErased)} {
		fruitless = append(fruitless, requested("p_1", 1), end)
	}
	given := append(slices.Clone(rich), fruitless...)
	askAt := func(now time.Time, most int) request {
		return func(a domain.Account) ([]domain.Event, error) {
			return a.RequestPrediction(domain.Question{Prediction: "p_2", Text: sealed, Price: 5, Limit: 10, AskedAt: now, ExpiresAt: noon, FreePerHour: most})
		}
	}
	for _, tt := range []decision{
		{name: "below the number", given: given, when: askAt(noon, 4), then: facts(requested("p_2", 5))},
		{name: "at the number", given: given, when: askAt(noon, 3), refused: domain.TooManyFree},
		{name: "a microsecond before the hour is over", given: given, when: askAt(noon.Add(time.Hour-time.Microsecond), 3), refused: domain.TooManyFree},
		{name: "when the hour is over", given: given, when: askAt(noon.Add(time.Hour), 3), then: facts(requested("p_2", 5))},
		{name: "any number", given: given, when: askAt(noon, 0), then: facts(requested("p_2", 5))},
		{name: "paid answers do not count", given: append(slices.Clone(rich), answered(9)...), when: askAt(noon, 1), then: facts(requested("p_2", 5))},
	} {
		tt.check(t)
	}
	account := fold(t, new(book).write(given))
	_, err := askAt(noon.Add(20*time.Minute), 3)(account)
	if refusal := domain.RefusalIn(err); refusal == nil || refusal.RetryAfter != 40*time.Minute {
		t.Errorf("refused with %+v", refusal)
	}
}

func failedFor(id domain.PredictionID, reason domain.FailureReason) step {
	return func(b *book) []domain.Event {
		e := failed(id, 1)(b)[0].(domain.PredictionFailed)
		e.Reason = reason
		return []domain.Event{e}
	}
}
