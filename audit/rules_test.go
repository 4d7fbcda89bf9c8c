package audit_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// Each of these logs is valid in every stream, and its hashes, positions and head are
// right: it was written by a forger who knows the tree and the rules of an account. The
// fault shows only when streams, authors and causes are compared.
func TestForgedBesideOthers(t *testing.T) {
	adjust := func(c *logBuilder, actor string, admin, u domain.UserID) *forged {
		by := domain.Account{User: admin, Admin: true}
		return c.by(actor, decided(c.of(u).Adjust(by, domain.Correction{Amount: 7, Kind: domain.BoughtCredits, Reason: "paid"}))...)
	}
	answer := func(c *logBuilder, cause eventstore.Cause) *forged {
		c.ask(ada, "p_2") // 11
		return c.add("system:matcher", cause, decided(c.of(ada).Complete("p_2", answered))...)
	}
	edit := func(at eventstore.Position, change func(*forged)) func(*logBuilder) {
		return func(c *logBuilder) { change(&c.log[at-1]) }
	}
	soon := time.Now().Add(time.Hour)
	refund := func(c *logBuilder, change func(*domain.PredictionRefunded)) *forged {
		e := decided(c.of(ada).Refund("p_1", domain.RefundPolicy{PerMonth: 3}, day))[0].(domain.PredictionRefunded)
		change(&e)
		return c.by("user:u_ada", e)
	}
	asIs := func(*domain.PredictionRefunded) {}
	for _, tt := range append(append(append(followUpLies(), roleLies()...), recordLies()...), []lie{
		// Who.
		{"an adjustment by a user who never was an admin", []want{{audit.ActorNotAdmin, 11}},
			func(c *logBuilder) { adjust(c, "user:u_ada", ada, bob) }},
		{"an adjustment by a user who does not exist", []want{{audit.ActorNotAdmin, 11}},
			func(c *logBuilder) { adjust(c, "user:u_zoe", "u_zoe", bob) }},
		{"an adjustment by a user who becomes an admin later", []want{{audit.ActorNotAdmin, 11}}, func(c *logBuilder) {
			adjust(c, "user:u_ada", ada, bob)
			c.by("operator", domain.AdminGranted{User: ada})
		}},
		{"an adjustment by a user who was an admin", []want{{audit.ActorNotAdmin, 12}}, func(c *logBuilder) {
			c.by("operator", domain.AdminRevoked{User: bob})
			adjust(c, "user:u_bob", bob, ada)
		}},
		{"an adjustment in the name of another", []want{{audit.AdminNotActor, 11}},
			func(c *logBuilder) { adjust(c, "user:u_ada", bob, ada) }},
		{"an adjustment by the operator", []want{{audit.ActorNotAllowed, 11}, {audit.AdminNotActor, 11}},
			func(c *logBuilder) { adjust(c, "operator", bob, ada) }},
		{"an adjustment by a part of the service", []want{{audit.ActorNotAllowed, 11}, {audit.CauseWrongKind, 11}, {audit.AdminNotActor, 11}},
			func(c *logBuilder) { adjust(c, "system:matcher", bob, ada) }},
		{"a deposit by another", []want{{audit.ActorNotSubject, 4}}, edit(4, func(f *forged) { f.actor = "user:u_bob" })},
		{"a question by another", []want{{audit.ActorNotSubject, 5}}, edit(5, func(f *forged) { f.actor = "user:u_bob" })},
		{"a withdrawal by another", []want{{audit.ActorNotSubject, 11}}, func(c *logBuilder) { c.withdraw(ada, 5, "pay-2").actor = "user:u_bob" }},
		{"an e-mail claimed, and an account opened, by another", []want{{audit.ActorNotSubject, 11}, {audit.ActorNotSubject, 12}, {audit.ActorNotSubject, 13}},
			func(c *logBuilder) {
				c.signUp(eve)
				for at := 11; at <= 13; at++ {
					c.log[at-1].actor = "user:u_ada"
				}
			}},
		{"a deposit by a part of the service", []want{{audit.ActorNotAllowed, 4}}, edit(4, func(f *forged) {
			f.actor, f.cause, f.command = "system:matcher", eventstore.ByPosition(3), ""
		})},
		{"a deposit by the operator", []want{{audit.ActorNotAllowed, 4}}, edit(4, func(f *forged) { f.actor = "operator" })},
		{"an answer by the person who asked", []want{{audit.ActorNotAllowed, 6}}, edit(6, func(f *forged) {
			f.actor, f.cause, f.command = "user:u_ada", caused("c6"), "c6"
		})},
		{"an answer by the operator", []want{{audit.ActorNotAllowed, 6}}, edit(6, func(f *forged) {
			f.actor, f.cause, f.command = "operator", caused("c6"), "c6"
		})},
		{"an admin named by themselves", []want{{audit.ActorNotAllowed, 10}}, edit(10, func(f *forged) { f.actor = "user:u_bob" })},
		{"an actor of no kind", []want{{audit.ActorUnknown, 4}}, edit(4, func(f *forged) { f.actor = "unknown" })},
		{"no actor", []want{{audit.ActorUnknown, 4}}, edit(4, func(f *forged) { f.actor = "" })},
		{"a person without a name", []want{{audit.ActorUnknown, 4}}, edit(4, func(f *forged) { f.actor = "user:" })},
		{"a part without a name", []want{{audit.ActorUnknown, 6}}, edit(6, func(f *forged) { f.actor = "system:" })},

		// Why.
		{"an answer that names another entry", []want{{audit.CauseNotRequest, 12}}, func(c *logBuilder) { answer(c, eventstore.ByPosition(4)) }},
		{"an answer that names another request", []want{{audit.CauseNotRequest, 12}}, func(c *logBuilder) { answer(c, eventstore.ByPosition(5)) }},
		{"an answer that names itself", []want{{audit.CauseNotEarlier, 12}}, func(c *logBuilder) { answer(c, eventstore.ByPosition(12)) }},
		{"an answer that names a later entry", []want{{audit.CauseNotEarlier, 12}}, func(c *logBuilder) { answer(c, eventstore.ByPosition(13)) }},
		{"an answer without a cause", []want{{audit.CauseWrongKind, 12}}, func(c *logBuilder) { answer(c, "") }},
		{"an answer by a command", []want{{audit.CauseWrongKind, 12}}, func(c *logBuilder) { answer(c, caused("c12")).command = "c12" }},
		{"a cause with a padded number", []want{{audit.CauseWrongKind, 12}}, func(c *logBuilder) { answer(c, "position:011") }},
		{"a cause before the first entry", []want{{audit.CauseWrongKind, 12}}, func(c *logBuilder) { answer(c, "position:0") }},
		{"a failure that names another entry", []want{{audit.CauseNotRequest, 12}}, func(c *logBuilder) {
			c.ask(ada, "p_2")
			c.add("system:matcher", eventstore.ByPosition(4), decided(c.of(ada).Fail("p_2", domain.FailedWorker))...)
		}},
		{"an expiry that names another entry", []want{{audit.CauseNotRequest, 12}}, func(c *logBuilder) {
			c.ask(ada, "p_2")
			c.add("system:expirer", eventstore.ByPosition(4), decided(c.of(ada).Expire("p_2", day.Add(time.Hour)))...).time = day.Add(time.Hour)
		}},
		{"a deposit without a cause", []want{{audit.CauseWrongKind, 4}}, edit(4, func(f *forged) { f.cause, f.command = "", "" })},
		{"a deposit that follows from an entry", []want{{audit.CauseWrongKind, 4}}, edit(4, func(f *forged) { f.cause, f.command = eventstore.ByPosition(3), "" })},
		{"an admin without a command", []want{{audit.CauseWrongKind, 10}}, edit(10, func(f *forged) { f.cause, f.command = "", "" })},

		// When.
		{"an expiry before its time", []want{{audit.ExpiredEarly, 12}}, func(c *logBuilder) {
			c.ask(ada, "p_2")
			c.add("system:expirer", eventstore.ByPosition(11), decided(c.of(ada).Expire("p_2", day.Add(time.Hour)))...).time =
				day.Add(time.Hour - time.Second - time.Microsecond)
		}},
		{"an entry from the future", []want{{audit.TimeInFuture, 4}}, edit(4, func(f *forged) { f.time = soon })},

		// Refunds.
		{"a refund by another", []want{{audit.ActorNotSubject, 11}}, func(c *logBuilder) { refund(c, asIs).actor = "user:u_bob" }},
		{"a refund by the service", []want{{audit.ActorNotAllowed, 11}}, func(c *logBuilder) {
			f := refund(c, asIs)
			f.actor, f.cause, f.command = "system:matcher", eventstore.ByPosition(5), ""
		}},
		{"a refund that is late", []want{{audit.RefundLate, 11}}, func(c *logBuilder) { refund(c, asIs).time = day.Add(24*time.Hour + time.Microsecond) }},
		{"a refund over the limit", []want{{audit.RefundOverLimit, 11}}, func(c *logBuilder) {
			refund(c, func(e *domain.PredictionRefunded) { e.PerMonth = 0 })
		}},
		{"a refund by a limit that there never was", []want{{audit.RefundOverLimit, 11}}, func(c *logBuilder) {
			refund(c, func(e *domain.PredictionRefunded) { e.PerMonth = domain.MaxRefundsPerMonth + 1 })
		}},
		{"a refund of an account that is too new", []want{{audit.RefundTooSoon, 11}}, func(c *logBuilder) {
			refund(c, func(e *domain.PredictionRefunded) { e.AccountDays = 1 })
		}},
		{"a refund of an open question", []want{{audit.FactBroken, 12}}, func(c *logBuilder) {
			c.ask(ada, "p_2")
			again(c, decided(c.of(ada).Refund("p_1", domain.RefundPolicy{PerMonth: 3}, day))[0], "p_2", 1)
		}},
		{"a refund twice", []want{{audit.FactBroken, 12}}, func(c *logBuilder) {
			e := decided(c.of(ada).Refund("p_1", domain.RefundPolicy{PerMonth: 3}, day))[0]
			c.by("user:u_ada", e)
			again(c, e, "p_1", 2)
		}},

		// Prices.
		{"a question of another price", []want{{audit.PriceDiffers, 12}}, func(c *logBuilder) {
			c.by("operator", domain.PriceSet{Price: 2})
			c.ask(ada, "p_2")
		}},
		{"a question of the price before, and of the one in force", []want{{audit.PriceDiffers, 13}}, func(c *logBuilder) {
			c.by("operator", domain.PriceSet{Price: 2})
			c.by("operator", domain.PriceSet{Price: 1})
			c.askFor(ada, "p_2", 2)
			c.ask(ada, "p_3")
		}},
		{"a price set to what it was", []want{{audit.PriceUnchanged, 12}}, func(c *logBuilder) {
			c.by("operator", domain.PriceSet{Price: 1})
			c.by("operator", domain.PriceSet{Price: 1})
		}},
		{"a price set by an admin", []want{{audit.ActorNotAllowed, 11}}, func(c *logBuilder) { c.by("user:u_bob", domain.PriceSet{Price: 1}) }},
		{"a price set by a part of the service", []want{{audit.ActorNotAllowed, 11}}, func(c *logBuilder) {
			c.add("system:matcher", eventstore.ByPosition(5), domain.PriceSet{Price: 1})
		}},

		// Closed periods.
		{"an entry dated into a closed period", []want{{audit.PeriodIsClosed, 12}}, func(c *logBuilder) {
			c.by("user:u_bob", february)
			c.deposit(ada, 5, "pay-2").time = day.Add(-time.Microsecond)
			c.deposit(ada, 5, "pay-3") // at its end, which is not in it
		}},
		{"a period closed by a person who is no admin", []want{{audit.ActorNotAdmin, 11}}, func(c *logBuilder) {
			c.by("user:u_ada", closing(func(e *domain.PeriodClosed) { e.Admin = ada }))
		}},
		{"a period closed in the name of another", []want{{audit.AdminNotActor, 11}}, func(c *logBuilder) { c.by("user:u_ada", february) }},
		{"a period closed by the operator", []want{{audit.ActorNotAllowed, 11}, {audit.AdminNotActor, 11}}, func(c *logBuilder) { c.by("operator", february) }},
		{"a period closed with a later entry than its last", []want{{audit.PeriodDiffers, 11}}, func(c *logBuilder) {
			c.by("user:u_bob", closing(func(e *domain.PeriodClosed) { e.Position = 4 }))
		}},
		{"periods closed with an entry of a clock that is behind, and with an earlier one", []want{{audit.PeriodDiffers, 15}, {audit.PeriodDiffers, 18}}, func(c *logBuilder) {
			c.by("user:u_bob", february)
			for i, late := range []time.Duration{0, 2, 0} { // 12 is of the first hour, 13 is not, and ends it for 14
				c.deposit(ada, 5, fmt.Sprint("pay-", i+2)).time = day.Add(late * time.Hour)
			}
			hour := func(n time.Duration, at int64) {
				c.by("user:u_bob", closing(func(e *domain.PeriodClosed) {
					e.From, e.Until, e.Position = day.Add((n-1)*time.Hour), day.Add(n*time.Hour), at
				})).time = day.Add(4 * time.Hour)
			}
			hour(1, 14)
			c.deposit(ada, 5, "pay-5").time = day.Add(2 * time.Hour)
			hour(2, 12) // nothing is of the second hour
			hour(3, 13) // 15 is the first that is not of the third
		}},

		// Erasures.
		{"an erasure of one's own account in the role of an admin", []want{{audit.OwnErasure, 11}}, func(c *logBuilder) {
			c.by("user:u_bob", domain.ErasureRequested{User: bob, Admin: bob, Reason: "mine", Bought: domain.ForfeitCredits, DueAt: day})
		}},

		{"an erasure that somebody who is no admin cancels", []want{{audit.ActorNotAdmin, 12}}, func(c *logBuilder) { c.keeps(ada, domain.ErasureCancelled{User: bob, Admin: ada, Reason: "letter 7"}) }},
		{"an erasure that another person cancels for themselves", []want{{audit.ActorNotSubject, 12}}, func(c *logBuilder) { c.keeps(ada, domain.ErasureCancelled{User: bob}) }},
		{"an erasure that its admin cancels in that role", []want{{audit.OwnErasure, 12}}, func(c *logBuilder) { c.keeps(bob, domain.ErasureCancelled{User: bob, Admin: bob, Reason: "mine"}) }},

		// Twice.
		{"one payment booked twice", []want{{audit.PaymentRepeated, 11}}, func(c *logBuilder) { c.deposit(ada, 30, "pay-1") }},
		{"one payment booked for two people", []want{{audit.PaymentRepeated, 11}}, func(c *logBuilder) { c.deposit(bob, 30, "pay-1") }},
		{"one payment paid out twice", []want{{audit.PaymentRepeated, 12}}, func(c *logBuilder) {
			c.withdraw(ada, 5, "pay-2")
			c.withdraw(ada, 5, "pay-2")
		}},
		{"a question asked again after its answer", []want{{audit.PredictionRepeated, 11}}, func(c *logBuilder) { c.ask(ada, "p_1") }},
		{"another's question asked again", []want{{audit.PredictionRepeated, 11}}, func(c *logBuilder) { c.ask(bob, "p_1") }},
		{"a bonus long after the sign-up", []want{{audit.BonusApart, 11}}, func(c *logBuilder) { c.by("user:u_ada", bonusOf(c, ada)) }},
		{"a bonus in an append of its own", []want{{audit.BonusApart, 13}}, func(c *logBuilder) {
			c.by("user:u_eve", domain.EmailClaimed{User: eve}, domain.SignedUp{User: eve})
			c.by("user:u_eve", bonusOf(c, eve))
		}},
		{"two bonuses with one sign-up", []want{{audit.BonusApart, 14}}, func(c *logBuilder) {
			c.signUp(eve)
			c.add("user:u_eve", caused("c11"), bonusOf(c, eve))
		}},
		{"an admin made an admin", []want{{audit.AdminUnchanged, 11}}, func(c *logBuilder) { c.by("operator", domain.AdminGranted{User: bob}) }},
		{"admin rights revoked from a user who has none", []want{{audit.AdminUnchanged, 11}}, func(c *logBuilder) { c.by("operator", domain.AdminRevoked{User: ada}) }},

		// Too much.
		{"more open holds than there may be", []want{{audit.TooManyHolds, 12 + domain.MaxOpenHolds}}, func(c *logBuilder) {
			c.deposit(ada, 100, "pay-2")
			for n := range domain.MaxOpenHolds {
				c.ask(ada, domain.PredictionID(fmt.Sprint("p_more_", n)))
			}
			one := decided(domain.Account{User: ada, Available: c.of(ada).Available}.RequestPrediction(
				domain.Question{Prediction: "p_most", Price: 1, Limit: 3, ExpiresAt: day}))[0].(domain.PredictionRequested)
			one.Held = c.of(ada).Held + 1
			c.by("user:u_ada", one)
		}},
		{"several at once", []want{{audit.ActorUnknown, 4}, {audit.ActorNotSubject, 5}, {audit.PaymentRepeated, 11}}, func(c *logBuilder) {
			c.log[3].actor, c.log[4].actor = "unknown", "user:u_bob"
			c.deposit(ada, 30, "pay-1")
		}},
		{"several, of which a repeated command ends the replay", []want{{audit.ActorUnknown, 4}, {audit.PaymentRepeated, 11}, {audit.CommandRepeated, 12}}, func(c *logBuilder) {
			c.log[3].actor = "unknown"
			c.deposit(ada, 30, "pay-1")
			again := c.deposit(ada, 30, "pay-2")
			again.actor, again.cause, again.command = "nobody", caused("c11"), "c11"
			c.deposit(ada, 30, "pay-1")
			c.withdraw(ada, 5, "pay-3").actor = "user:u_bob"
			c.deposit(ada, 5, "pay-4").version = 99
		}},
	}...) {
		t.Run(tt.name, func(t *testing.T) {
			c := validLog()
			tt.lie(c)
			_, err := forge(t, c.log).verify(t)
			finds(t, err, tt.want...)
			resumes(t, c, err)
			var found *audit.Faults
			for i := range tt.want {
				if errors.As(err, &found) && found.List[i].Stream != c.log[tt.want[i].at-1].stream {
					t.Errorf("the fault has the stream %q: %v", found.List[i].Stream, found.List[i])
				}
			}
		})
	}
}

// again writes a refund of another question, or a second one, which no account would
// fold.
func again(c *logBuilder, e domain.Event, id domain.PredictionID, number int) {
	refund := e.(domain.PredictionRefunded)
	refund.Prediction, refund.Number = id, number
	stream, command := eventstore.AccountStream(ada), c.command()
	c.log = append(c.log, forged{stream, c.versions[stream] + 1, refund, "user:u_ada", caused(command), day, command})
}

// bonusOf is a welcome bonus of version 1, as it would be granted to that account now.
func bonusOf(c *logBuilder, u domain.UserID) domain.Event {
	a := c.of(u)
	return domain.BonusGranted{User: u, Amount: 10, Movement: domain.Movement{Undivided: true, Available: a.Available + 10, Held: a.Held,
		Postings: []domain.Posting{{Account: domain.HouseBonus, Amount: -10}, {Account: domain.AvailableOf(u), Amount: 10}}}}
}

// Valid logs that are close to invalid ones.
func TestNothingIsForgedBesideOthers(t *testing.T) {
	c := validLog()
	c.by("user:u_bob", c.adjusted(bob, domain.Correction{Amount: 7, Kind: domain.BoughtCredits, Reason: "paid"})...)
	c.deposit(ada, 9, "pay-2")
	c.withdraw(ada, 5, "pay-2") // a provider may use one name for a deposit and a withdrawal
	c.by("user:u_ada", domain.Deposited{User: ada, Amount: 1, Provider: "bank", Payment: "pay-2",
		Movement: domain.Movement{Undivided: true, Available: c.of(ada).Available + 1, Held: c.of(ada).Held, Postings: []domain.Posting{
			{Account: domain.HouseCash, Amount: -1}, {Account: domain.AvailableOf(ada), Amount: 1}}}}) // another provider's
	c.by("operator", domain.AdminRevoked{User: bob})
	c.by("operator", domain.AdminGranted{User: bob})
	c.ask(ada, "p_2") // 17
	c.add("system:clock", eventstore.ByPosition(17), decided(c.of(ada).Expire("p_2", day.Add(time.Hour)))...).time = day.Add(time.Hour - time.Second)
	c.by("user:u_ada", decided(c.of(ada).Refund("p_1", domain.RefundPolicy{PerMonth: 1}, day))...).time = day.Add(24 * time.Hour)
	c.deposit(ada, 1, "pay-3").time = time.Now().Add(time.Minute)                  // a clock that is ahead
	c.by("user:u_eve", domain.EmailClaimed{User: eve}, domain.SignedUp{User: eve}) // without a bonus
	c.by("operator", domain.PriceSet{Price: 3, Currency: "RUB", CreditPrice: 150}) // p_1 and p_2 cost 1
	c.askFor(ada, "p_3", 3)
	c.by("operator", domain.PriceSet{Price: 3})
	c.askFor(ada, "p_4", 3)
	c.by("user:u_bob", domain.BalanceAdjusted{User: bob, Admin: bob, Amount: 1, Reason: "as a former version let an admin do",
		Movement: domain.Movement{Undivided: true, Available: c.of(bob).Available + 1, Held: c.of(bob).Held, Postings: []domain.Posting{
			{Account: domain.HouseAdjustments, Amount: -1}, {Account: domain.AvailableOf(bob), Amount: 1}}}})
	c.by("user:u_bob", february)
	c.by("user:u_bob", domain.PeriodClosed{Admin: bob, From: day, Until: day.Add(1), Zone: "Asia/Kathmandu", Position: 17, Digest: february.Digest}).time = day.Add(time.Hour)
	_, err := forge(t, c.log).verify(t)
	must(t, err)
}

// Where a month ends is read again when it is closed, up to the entry that closes it: one behind
// that cannot be read has its own fault.
func TestAnUnreadableEntryBehindAClosedPeriod(t *testing.T) {
	c := validLog()
	c.by("user:u_bob", february)
	c.deposit(ada, 5, "pay-2")
	l := forge(t, c.log).tampered(t, func(c *sql.Conn) { exec(t, c, `UPDATE events SET entry = x'00' WHERE position = 12`) })
	_, err := l.verify(t)
	finds(t, err, want{audit.EntryUnreadable, 12})
}

// A payment is claimed once, by the append that books it for the same user; given
// credits do not become bought ones.
func TestForgedClaims(t *testing.T) {
	payment := eventstore.PaymentStream("sandbox", "pay-2")
	claim := func(version eventstore.Version, stream eventstore.Stream, u domain.UserID, command, column string) forged {
		return forged{stream, version, domain.PaymentClaimed{User: u}, "user:" + string(u), caused(command), day, column}
	}
	booked := func(c *logBuilder, u domain.UserID) domain.Event {
		return decided(c.of(u).Deposit(5, "sandbox", "pay-2"))[0]
	}
	for _, tt := range []struct {
		name string
		want []want
		lie  func(*logBuilder)
	}{
		{"nothing", nil, func(c *logBuilder) {
			c.pay(ada, 5, "pay-2")
			c.payOut(ada, 5, "pay-2")
			c.pay(bob, 5, "pay-3")
		}},
		{"a deposit without a claim", []want{{audit.PaymentUnpaired, 11}}, func(c *logBuilder) { c.by("user:u_ada", booked(c, ada)) }},
		{"a withdrawal without a claim", []want{{audit.PaymentUnpaired, 11}}, func(c *logBuilder) {
			c.by("user:u_ada", decided(c.of(ada).Withdraw(5, "sandbox", "pay-2"))...)
		}},
		{"a deposit without a claim, and the log goes on", []want{{audit.PaymentUnpaired, 11}}, func(c *logBuilder) {
			c.by("user:u_ada", booked(c, ada))
			c.pay(bob, 5, "pay-3")
		}},
		{"a claim without a deposit", []want{{audit.PaymentUnpaired, 11}}, func(c *logBuilder) {
			c.log = append(c.log, claim(1, payment, ada, "c11", "c11"))
		}},
		{"a claim of another payment", []want{{audit.PaymentUnpaired, 11}}, func(c *logBuilder) {
			c.pay(ada, 5, "pay-2")
			c.log[10].stream = eventstore.PaymentStream("sandbox", "pay-9")
		}},
		{"a claim of the other direction", []want{{audit.PaymentUnpaired, 11}}, func(c *logBuilder) {
			c.pay(ada, 5, "pay-2")
			c.log[10].stream = eventstore.PayoutStream("sandbox", "pay-2")
		}},
		{"a claim by another", []want{{audit.ActorNotSubject, 11}, {audit.PaymentUnpaired, 12}}, func(c *logBuilder) {
			c.pay(ada, 5, "pay-2")
			c.log[10].event = domain.PaymentClaimed{User: bob}
		}},
		{"a claim and a deposit in two appends", []want{{audit.PaymentUnpaired, 11}}, func(c *logBuilder) {
			c.log = append(c.log, claim(1, payment, ada, "c11", "c11"))
			c.by("user:u_ada", booked(c, ada))
		}},
		{"a payment claimed and booked again", []want{{audit.PaymentRepeated, 14}}, func(c *logBuilder) {
			c.pay(ada, 5, "pay-2")
			c.pay(bob, 5, "pay-2")
			c.log[12].version = 1
		}},
		{"a claim that is not the first of its stream", []want{{audit.ClaimNotAlone, 13}}, func(c *logBuilder) {
			c.pay(ada, 5, "pay-2")
			c.pay(ada, 5, "pay-2")
		}},
		{"a claim twice in one append", []want{{audit.ClaimNotAlone, 12}}, func(c *logBuilder) {
			c.log = append(c.log, claim(1, payment, ada, "c11", "c11"), claim(1, payment, ada, "c11", ""))
		}},
		{"a claim in an account's stream", []want{{audit.WrongStream, 11}}, func(c *logBuilder) {
			c.log = append(c.log, claim(6, eventstore.AccountStream(ada), ada, "c11", "c11"))
		}},
		{"a payment of before they were claimed, booked again", []want{{audit.PaymentRepeated, 12}}, func(c *logBuilder) { c.pay(ada, 5, "pay-1") }},
		{"a welcome bonus as if it were bought", []want{{audit.FactBroken, 13}}, func(c *logBuilder) {
			bonus := bonusOf(c, eve).(domain.BonusGranted)
			bonus.Undivided = false
			c.log = append(c.log, forged{eventstore.EmailStream("e"), 1, domain.EmailClaimed{User: eve}, "user:u_eve", caused("c11"), day, "c11"},
				forged{eventstore.AccountStream(eve), 1, domain.SignedUp{User: eve}, "user:u_eve", caused("c11"), day, ""},
				forged{eventstore.AccountStream(eve), 2, bonus, "user:u_eve", caused("c11"), day, ""})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := validLog()
			tt.lie(c)
			_, err := forge(t, c.log).verify(t)
			finds(t, err, tt.want...)
			resumes(t, c, err)
		})
	}
}

// Times that go back are no fault, and the widest step is reported.
func TestTimesThatGoBack(t *testing.T) {
	c := validLog()
	report, err := forge(t, c.log).verify(t)
	must(t, err)
	if want := (audit.StepBack{Position: 5, By: time.Hour}); report.Back != want {
		t.Errorf("the widest step back is %+v, want %+v", report.Back, want)
	}
	c.log[6].time, c.log[7].time, c.log[8].time = day.Add(-3*time.Hour), day.Add(-3*time.Hour), day.Add(-3*time.Hour)
	report, err = forge(t, c.log).verify(t)
	must(t, err)
	if want := (audit.StepBack{Position: 7, By: 3 * time.Hour}); report.Back != want {
		t.Errorf("the widest step back is %+v, want %+v", report.Back, want)
	}
}

// With very many faults the first are listed, and the others counted.
func TestVeryManyFaults(t *testing.T) {
	c := validLog()
	for n := range 150 {
		c.deposit(ada, 1, fmt.Sprint("pay-", n+2)).actor = "unknown"
	}
	_, err := forge(t, c.log).verify(t)
	faultAt(t, err, 11)
	var found *audit.Faults
	if !errors.As(err, &found) || len(found.List) != 100 || found.More != 50 || found.List[99].Position != 110 {
		t.Errorf("%d are listed, %d more are counted: %v", len(found.List), found.More, err)
	}
}

// An entry of a later program with the right hashes cannot be judged; a wrong hash can.
func TestTooOldForTheLog(t *testing.T) {
	c := validLog()
	c.log = append(c.log, forged{eventstore.AccountStream(ada), 6, eventstoretest.FromNewer{User: ada}, "user:u_ada", caused("c11"), day, "c11"})
	c.log[3].actor = "unknown"
	l := forge(t, c.log)
	report, err := l.verify(t)
	if !errors.Is(err, eventstore.ErrNewer) || report.Proved != 10 {
		t.Errorf("the log was proved up to %d, %v", report.Proved, err)
	}
	faultAt(t, err, 4) // faults found before it are reported
	c.log[3].actor = "user:u_ada"
	l = forge(t, c.log)
	var found *audit.Fault
	if _, err = l.verify(t); !errors.Is(err, eventstore.ErrNewer) || errors.As(err, &found) {
		t.Errorf("a ledger that this program is too old for: %v", err)
	}
	for _, changed := range []string{`replace(CAST(entry AS TEXT), 'FilmLent', 'FilmLost')`, `x'7f' || substr(entry, 2)`} {
		_, err = l.tampered(t, func(c *sql.Conn) {
			exec(t, c, `UPDATE events SET entry = CAST(`+changed+` AS BLOB) WHERE position = 11`)
		}).verify(t)
		faultAt(t, err, 11)
	}
}
