package domain

import "time"

// FreeWindow is the time in which free attempts are counted together.
const FreeWindow = time.Hour

// FreeAttempts counts questions that cost nothing because of what they ask: nothing was
// found, or no word was understood. The window begins with the first of them.
type FreeAttempts struct {
	Since time.Time `json:"since"`
	Count int       `json:"count"`
}

// On is the count that holds at a moment.
func (f FreeAttempts) On(now time.Time) FreeAttempts {
	if !now.Before(f.Since.Add(FreeWindow)) {
		return FreeAttempts{Since: now}
	}
	return f
}

// endFree counts the end of a question, where that was a free attempt.
func (a *Account) endFree(reason FailureReason, at time.Time) {
	if reason.ofText() {
		a.Free = a.Free.On(at)
		a.Free.Count++
	}
}

// mayTry refuses a question after so many free attempts; 0 allows any number.
func (a *Account) mayTry(most int, now time.Time) error {
	free := a.Free.On(now)
	if most == 0 || free.Count < most {
		return nil
	}
	return &Refusal{Code: TooManyFree, RetryAfter: free.Since.Add(FreeWindow).Sub(now),
		Detail: "too many questions in the last hour found nothing; the next one can be asked later"}
}
