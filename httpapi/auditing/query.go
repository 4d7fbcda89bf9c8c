package auditing

import (
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
)

// maxReason is how long a text can be that is looked for, in characters.
const maxReason = 1000

// AdjustmentsOf reads which corrections are asked for, of the parameters since, until, by, reason and
// above. The error is a refusal.
func AdjustmentsOf(values url.Values) (q AdjustmentQuery, err error) {
	if q.Since, err = Moment(values.Get("since")); err != nil {
		return q, err
	}
	if q.Until, err = Moment(values.Get("until")); err != nil {
		return q, err
	}
	q.By, q.Reason = domain.UserID(values.Get("by")), values.Get("reason")
	if q.By != "" && !q.By.Valid() {
		return q, domain.Reject(problem.InvalidFilter, "by is the id of an admin")
	}
	if utf8.RuneCountInString(q.Reason) > maxReason {
		return q, domain.Reject(problem.InvalidFilter, "a reason has at most %d characters", maxReason)
	}
	if above := values.Get("above"); above != "" {
		n, err := strconv.ParseInt(above, 10, 64)
		if err != nil || n < 0 || n > int64(domain.MaxAmount) {
			return q, domain.Reject(problem.InvalidFilter, "above is a number of credits, at most %d", domain.MaxAmount)
		}
		q.Above = domain.Credits(n)
	}
	return q, nil
}

// Line is an entry in the timeline of a person: without its payload, so that no question is in it,
// sealed or not.
type Line struct {
	Position  eventstore.Position `json:"position"`
	Time      time.Time           `json:"time"`
	Type      domain.EventType    `json:"type"`
	Stream    eventstore.Stream   `json:"stream"`
	Version   eventstore.Version  `json:"version"`
	Actor     string              `json:"actor"`
	Cause     eventstore.Cause    `json:"causation"`
	Available domain.Credits      `json:"available_change"`
	Held      domain.Credits      `json:"held_change"`
	After     *After              `json:"after,omitempty"` // nil: it moves no credits of the person
}

// After is what the person has after an entry that moved credits.
type After struct {
	Available domain.Credits `json:"available"`
	Held      domain.Credits `json:"held"`
}

// LineOf is the line of an entry in the timeline of a person.
func LineOf(rec eventstore.Recorded, u domain.UserID) Line {
	l := Line{Position: rec.Position, Time: rec.Time, Type: rec.Type, Stream: rec.Stream, Version: rec.Version, Actor: rec.Actor, Cause: rec.Cause}
	if m, moves := rec.Event.(domain.MoneyEvent); moves && rec.Event.Subject() == u {
		after := m.Money()
		moved, _ := after.Wallet(u)
		l.Available, l.Held, l.After = moved.Available, moved.Held, &After{after.Available, after.Held}
	}
	return l
}
