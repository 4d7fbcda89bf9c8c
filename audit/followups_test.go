package audit_test

import (
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

// lie is what a forger writes behind a valid log, and the faults that are found.
type lie struct {
	name string
	want []want
	lie  func(*logBuilder)
}

// refine writes a follow-up of ada's paid answer, changed.
func refine(c *logBuilder, change func(*domain.PredictionRequested)) *forged {
	e := decided(c.of(ada).Refine("p_1", nil, domain.Question{Prediction: "p_2", Text: domain.Sealed("sealed"), Limit: 1, AskedAt: day, ExpiresAt: day.Add(time.Hour)},
		domain.RefinePolicy{Refinements: 1, Within: 60}))[0].(domain.PredictionRequested)
	change(&e)
	return c.by("user:u_ada", e)
}

func unchanged(*domain.PredictionRequested) {}

func confirm(c *logBuilder) *forged {
	return c.by("user:u_ada", decided(c.of(ada).Confirm("p_1", "jaws-1975", day))...)
}

// followUpLies are about follow-ups, and films that were the one.
func followUpLies() []lie {
	return []lie{
		{"a follow-up by another", []want{{audit.ActorNotSubject, 11}}, func(c *logBuilder) { refine(c, unchanged).actor = "user:u_bob" }},
		{"a follow-up that is late", []want{{audit.FollowUpLate, 11}}, func(c *logBuilder) { refine(c, unchanged).time = day.Add(time.Minute + time.Microsecond) }},
		{"a follow-up over the limit", []want{{audit.FollowUpOverLimit, 11}}, func(c *logBuilder) {
			refine(c, func(e *domain.PredictionRequested) { e.FollowUp.Refinements = 0 })
		}},
		{"a follow-up by a limit that there never was", []want{{audit.FollowUpOverLimit, 11}}, func(c *logBuilder) {
			refine(c, func(e *domain.PredictionRequested) { e.FollowUp.Refinements = domain.MaxRefinements + 1 })
		}},
		{"a follow-up for longer than there ever was", []want{{audit.FollowUpOverLimit, 11}}, func(c *logBuilder) {
			refine(c, func(e *domain.PredictionRequested) { e.FollowUp.Within = 86401 })
		}},
		{"a free question that follows nothing", []want{{audit.FactBroken, 11}}, func(c *logBuilder) {
			forgeFree(c, func(e *domain.PredictionRequested) { e.FollowUp = nil })
		}},
		{"a free question that follows what was not paid for", []want{{audit.FactBroken, 11}}, func(c *logBuilder) {
			forgeFree(c, func(e *domain.PredictionRequested) { e.FollowUp.Of = "p_9" })
		}},
		{"a follow-up that is counted wrong", []want{{audit.FactBroken, 11}}, func(c *logBuilder) {
			forgeFree(c, func(e *domain.PredictionRequested) { e.FollowUp.Number = 2 })
		}},
		{"a follow-up after a refund", []want{{audit.FactBroken, 12}}, func(c *logBuilder) {
			c.by("user:u_ada", decided(c.of(ada).Refund("p_1", domain.RefundPolicy{PerMonth: 3}, day))...)
			forgeFree(c, unchanged)
		}},
		{"a film confirmed by another", []want{{audit.ActorNotSubject, 11}}, func(c *logBuilder) { confirm(c).actor = "user:u_bob" }},
		{"a film confirmed by the service", []want{{audit.ActorNotAllowed, 11}}, func(c *logBuilder) {
			f := confirm(c)
			f.actor, f.cause, f.command = "system:matcher", eventstore.ByPosition(5), ""
		}},
		{"a film confirmed late", []want{{audit.FollowUpLate, 11}}, func(c *logBuilder) { confirm(c).time = day.Add(24*time.Hour + time.Microsecond) }},
		{"a refund after that", []want{{audit.FactBroken, 12}}, func(c *logBuilder) {
			refunded := decided(c.of(ada).Refund("p_1", domain.RefundPolicy{PerMonth: 3}, day))[0]
			confirm(c)
			again(c, refunded, "p_1", 1)
		}},
	}
}

// A follow-up is free at any price, and its conversation ends with a film.
func TestFollowUpsAreNotForged(t *testing.T) {
	c := validLog()
	c.by("operator", domain.PriceSet{Price: 3})
	refine(c, unchanged) // 12
	c.add("system:matcher", eventstore.ByPosition(12), decided(c.of(ada).Complete("p_2", answered))...)
	c.by("user:u_ada", decided(c.of(ada).Confirm("p_2", "jaws-1975", day))...).time = day.Add(24 * time.Hour)
	_, err := forge(t, c.log).verify(t)
	must(t, err)
}

// forgeFree writes a question for nothing that no account would fold.
func forgeFree(c *logBuilder, change func(*domain.PredictionRequested)) {
	a := c.of(ada)
	e := domain.PredictionRequested{User: ada, Prediction: "p_2", Text: domain.Sealed("sealed"), Limit: 1, ExpiresAt: day.Add(time.Hour),
		FollowUp: &domain.FollowUp{Of: "p_1", Number: 1, RefinePolicy: domain.RefinePolicy{Refinements: 3, Within: 60}},
		Movement: domain.Movement{Postings: []domain.Posting{}, Available: a.Available, Held: a.Held, Given: a.Given, GivenHeld: a.GivenHeld}}
	change(&e)
	stream, command := eventstore.AccountStream(ada), c.command()
	c.log = append(c.log, forged{stream, c.versions[stream] + 1, e, "user:u_ada", caused(command), day, command})
}
