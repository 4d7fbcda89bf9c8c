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

// Each of these logs is sound in every stream, and its hashes, positions and head are
// right: a forger who knows the tree and the rules of an account wrote it. What is
// wrong shows only where streams, authors and causes are compared.
func TestForgedBesideOthers(t *testing.T) {
	adjust := func(c *chronicle, actor string, admin, u domain.UserID) *forged {
		by := domain.Account{User: admin, Admin: true}
		return c.by(actor, decided(c.of(u).Adjust(by, domain.Correction{Amount: 7, Kind: domain.BoughtCredits, Reason: "paid"}))...)
	}
	answer := func(c *chronicle, cause eventstore.Cause) *forged {
		c.ask(ada, "p_2") // 11
		return c.add("system:matcher", cause, decided(c.of(ada).Complete("p_2", answered))...)
	}
	edit := func(at eventstore.Position, change func(*forged)) func(*chronicle) {
		return func(c *chronicle) { change(&c.log[at-1]) }
	}
	soon := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name string
		want []want
		lie  func(*chronicle)
	}{
		// Who.
		{"an adjustment by somebody who never was an admin", []want{{audit.ActorNotAdmin, 11}},
			func(c *chronicle) { adjust(c, "user:u_ada", ada, bob) }},
		{"an adjustment by somebody who is not there", []want{{audit.ActorNotAdmin, 11}},
			func(c *chronicle) { adjust(c, "user:u_zoe", "u_zoe", bob) }},
		{"an adjustment by somebody who becomes an admin later", []want{{audit.ActorNotAdmin, 11}}, func(c *chronicle) {
			adjust(c, "user:u_ada", ada, bob)
			c.by("operator", domain.AdminGranted{User: ada})
		}},
		{"an adjustment by somebody who was an admin", []want{{audit.ActorNotAdmin, 12}}, func(c *chronicle) {
			c.by("operator", domain.AdminRevoked{User: bob})
			adjust(c, "user:u_bob", bob, ada)
		}},
		{"an adjustment in the name of another", []want{{audit.AdminNotActor, 11}},
			func(c *chronicle) { adjust(c, "user:u_ada", bob, ada) }},
		{"an adjustment by the operator", []want{{audit.ActorNotAllowed, 11}, {audit.AdminNotActor, 11}},
			func(c *chronicle) { adjust(c, "operator", bob, ada) }},
		{"an adjustment by a part of the service", []want{{audit.ActorNotAllowed, 11}, {audit.CauseWrongKind, 11}, {audit.AdminNotActor, 11}},
			func(c *chronicle) { adjust(c, "system:matcher", bob, ada) }},
		{"a deposit by another", []want{{audit.ActorNotSubject, 4}}, edit(4, func(f *forged) { f.actor = "user:u_bob" })},
		{"a question by another", []want{{audit.ActorNotSubject, 5}}, edit(5, func(f *forged) { f.actor = "user:u_bob" })},
		{"a withdrawal by another", []want{{audit.ActorNotSubject, 11}}, func(c *chronicle) { c.withdraw(ada, 5, "pay-2").actor = "user:u_bob" }},
		{"an e-mail claimed, and an account opened, by another", []want{{audit.ActorNotSubject, 11}, {audit.ActorNotSubject, 12}, {audit.ActorNotSubject, 13}},
			func(c *chronicle) {
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
		{"an actor of no kind", []want{{audit.ActorUnknown, 4}}, edit(4, func(f *forged) { f.actor = "somebody" })},
		{"nobody", []want{{audit.ActorUnknown, 4}}, edit(4, func(f *forged) { f.actor = "" })},
		{"a person without a name", []want{{audit.ActorUnknown, 4}}, edit(4, func(f *forged) { f.actor = "user:" })},
		{"a part without a name", []want{{audit.ActorUnknown, 6}}, edit(6, func(f *forged) { f.actor = "system:" })},

		// Why.
		{"an answer that names another entry", []want{{audit.CauseNotRequest, 12}}, func(c *chronicle) { answer(c, eventstore.ByPosition(4)) }},
		{"an answer that names another request", []want{{audit.CauseNotRequest, 12}}, func(c *chronicle) { answer(c, eventstore.ByPosition(5)) }},
		{"an answer that names itself", []want{{audit.CauseNotEarlier, 12}}, func(c *chronicle) { answer(c, eventstore.ByPosition(12)) }},
		{"an answer that names a later entry", []want{{audit.CauseNotEarlier, 12}}, func(c *chronicle) { answer(c, eventstore.ByPosition(13)) }},
		{"an answer without a cause", []want{{audit.CauseWrongKind, 12}}, func(c *chronicle) { answer(c, "") }},
		{"an answer by a command", []want{{audit.CauseWrongKind, 12}}, func(c *chronicle) { answer(c, caused("c12")).command = "c12" }},
		{"a cause with a padded number", []want{{audit.CauseWrongKind, 12}}, func(c *chronicle) { answer(c, "position:011") }},
		{"a cause before the first entry", []want{{audit.CauseWrongKind, 12}}, func(c *chronicle) { answer(c, "position:0") }},
		{"a failure that names another entry", []want{{audit.CauseNotRequest, 12}}, func(c *chronicle) {
			c.ask(ada, "p_2")
			c.add("system:matcher", eventstore.ByPosition(4), decided(c.of(ada).Fail("p_2", domain.FailedWorker))...)
		}},
		{"an expiry that names another entry", []want{{audit.CauseNotRequest, 12}}, func(c *chronicle) {
			c.ask(ada, "p_2")
			c.add("system:expirer", eventstore.ByPosition(4), decided(c.of(ada).Expire("p_2", day.Add(time.Hour)))...).time = day.Add(time.Hour)
		}},
		{"a deposit without a cause", []want{{audit.CauseWrongKind, 4}}, edit(4, func(f *forged) { f.cause, f.command = "", "" })},
		{"a deposit that follows from an entry", []want{{audit.CauseWrongKind, 4}}, edit(4, func(f *forged) { f.cause, f.command = eventstore.ByPosition(3), "" })},
		{"an admin without a command", []want{{audit.CauseWrongKind, 10}}, edit(10, func(f *forged) { f.cause, f.command = "", "" })},

		// When.
		{"an expiry before its time", []want{{audit.ExpiredEarly, 12}}, func(c *chronicle) {
			c.ask(ada, "p_2")
			c.add("system:expirer", eventstore.ByPosition(11), decided(c.of(ada).Expire("p_2", day.Add(time.Hour)))...).time =
				day.Add(time.Hour - time.Second - time.Microsecond)
		}},
		{"an entry from the future", []want{{audit.TimeInFuture, 4}}, edit(4, func(f *forged) { f.time = soon })},

		// Twice.
		{"one payment booked twice", []want{{audit.PaymentRepeated, 11}}, func(c *chronicle) { c.deposit(ada, 30, "pay-1") }},
		{"one payment booked for two people", []want{{audit.PaymentRepeated, 11}}, func(c *chronicle) { c.deposit(bob, 30, "pay-1") }},
		{"one payment paid out twice", []want{{audit.PaymentRepeated, 12}}, func(c *chronicle) {
			c.withdraw(ada, 5, "pay-2")
			c.withdraw(ada, 5, "pay-2")
		}},
		{"a question asked again after its answer", []want{{audit.PredictionRepeated, 11}}, func(c *chronicle) { c.ask(ada, "p_1") }},
		{"another's question asked again", []want{{audit.PredictionRepeated, 11}}, func(c *chronicle) { c.ask(bob, "p_1") }},
		{"a bonus long after the sign-up", []want{{audit.BonusApart, 11}}, func(c *chronicle) { c.by("user:u_ada", bonusOf(c, ada)) }},
		{"a bonus in an append of its own", []want{{audit.BonusApart, 13}}, func(c *chronicle) {
			c.by("user:u_eve", domain.EmailClaimed{User: eve}, domain.SignedUp{User: eve})
			c.by("user:u_eve", bonusOf(c, eve))
		}},
		{"two bonuses with one sign-up", []want{{audit.BonusApart, 14}}, func(c *chronicle) {
			c.signUp(eve)
			c.add("user:u_eve", caused("c11"), bonusOf(c, eve))
		}},
		{"an admin made an admin", []want{{audit.AdminUnchanged, 11}}, func(c *chronicle) { c.by("operator", domain.AdminGranted{User: bob}) }},
		{"a right taken from somebody who has none", []want{{audit.AdminUnchanged, 11}}, func(c *chronicle) { c.by("operator", domain.AdminRevoked{User: ada}) }},

		// Too much.
		{"more open holds than there may be", []want{{audit.TooManyHolds, 12 + domain.MaxOpenHolds}}, func(c *chronicle) {
			c.deposit(ada, 100, "pay-2")
			for n := range domain.MaxOpenHolds {
				c.ask(ada, domain.PredictionID(fmt.Sprint("p_more_", n)))
			}
			one := decided(domain.Account{User: ada, Available: c.of(ada).Available}.RequestPrediction(
				domain.Question{Prediction: "p_most", Price: 1, Limit: 3, ExpiresAt: day}))[0].(domain.PredictionRequested)
			one.Held = c.of(ada).Held + 1
			c.by("user:u_ada", one)
		}},
		{"several at once", []want{{audit.ActorUnknown, 4}, {audit.ActorNotSubject, 5}, {audit.PaymentRepeated, 11}}, func(c *chronicle) {
			c.log[3].actor, c.log[4].actor = "somebody", "user:u_bob"
			c.deposit(ada, 30, "pay-1")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fair()
			tt.lie(c)
			_, err := forge(t, c.log).verify(t)
			finds(t, err, tt.want...)
			var found *audit.Faults
			for i := range tt.want {
				if errors.As(err, &found) && found.List[i].Stream != c.log[tt.want[i].at-1].stream {
					t.Errorf("the fault says the stream %q: %v", found.List[i].Stream, found.List[i])
				}
			}
		})
	}
}

// bonusOf is a welcome bonus of version 1, as it would be granted to that account now.
func bonusOf(c *chronicle, u domain.UserID) domain.Event {
	a := c.of(u)
	return domain.BonusGranted{User: u, Amount: 10, Movement: domain.Movement{Undivided: true, Available: a.Available + 10, Held: a.Held,
		Postings: []domain.Posting{{Account: domain.HouseBonus, Amount: -10}, {Account: domain.AvailableOf(u), Amount: 10}}}}
}

// What the service does write, close to what it does not.
func TestNothingIsForgedBesideOthers(t *testing.T) {
	c := fair()
	for _, u := range []domain.UserID{ada, bob} { // their own wallet too: old versions let them
		given := decided(c.of(u).Adjust(domain.Account{User: "u_zoe", Admin: true}, domain.Correction{Amount: 7, Kind: domain.BoughtCredits, Reason: "paid"}))[0].(domain.BalanceAdjusted)
		given.Admin = bob
		c.by("user:u_bob", given)
	}
	c.deposit(ada, 9, "pay-2")
	c.withdraw(ada, 5, "pay-2") // a provider may name what goes out as what came in
	c.by("user:u_ada", domain.Deposited{User: ada, Amount: 1, Provider: "bank", Payment: "pay-2",
		Movement: domain.Movement{Undivided: true, Available: c.of(ada).Available + 1, Held: c.of(ada).Held, Postings: []domain.Posting{
			{Account: domain.HouseCash, Amount: -1}, {Account: domain.AvailableOf(ada), Amount: 1}}}}) // another provider's
	c.by("operator", domain.AdminRevoked{User: bob})
	c.by("operator", domain.AdminGranted{User: bob})
	c.ask(ada, "p_2") // 18
	c.add("system:clock", eventstore.ByPosition(18), decided(c.of(ada).Expire("p_2", day.Add(time.Hour)))...).time = day.Add(time.Hour - time.Second)
	c.deposit(ada, 1, "pay-3").time = time.Now().Add(time.Minute)                  // a clock that is ahead
	c.by("user:u_eve", domain.EmailClaimed{User: eve}, domain.SignedUp{User: eve}) // without a bonus
	_, err := forge(t, c.log).verify(t)
	must(t, err)
}

// A payment is claimed once, by the append that books it for the same person, since
// payments are claimed at all; what is given does not become what was bought.
func TestForgedClaims(t *testing.T) {
	payment := eventstore.PaymentStream("sandbox", "pay-2")
	claim := func(version eventstore.Version, stream eventstore.Stream, u domain.UserID, command, column string) forged {
		return forged{stream, version, domain.PaymentClaimed{User: u}, "user:" + string(u), caused(command), day, column}
	}
	booked := func(c *chronicle, u domain.UserID) domain.Event {
		return decided(c.of(u).Deposit(5, "sandbox", "pay-2"))[0]
	}
	for _, tt := range []struct {
		name string
		want []want
		lie  func(*chronicle)
	}{
		{"nothing", nil, func(c *chronicle) {
			c.pay(ada, 5, "pay-2")
			c.payOut(ada, 5, "pay-2")
			c.pay(bob, 5, "pay-3")
		}},
		{"a deposit without a claim", []want{{audit.PaymentUnpaired, 11}}, func(c *chronicle) { c.by("user:u_ada", booked(c, ada)) }},
		{"a withdrawal without a claim", []want{{audit.PaymentUnpaired, 11}}, func(c *chronicle) {
			c.by("user:u_ada", decided(c.of(ada).Withdraw(5, "sandbox", "pay-2"))...)
		}},
		{"a deposit without a claim, and the log goes on", []want{{audit.PaymentUnpaired, 11}}, func(c *chronicle) {
			c.by("user:u_ada", booked(c, ada))
			c.pay(bob, 5, "pay-3")
		}},
		{"a claim without a deposit", []want{{audit.PaymentUnpaired, 11}}, func(c *chronicle) {
			c.log = append(c.log, claim(1, payment, ada, "c11", "c11"))
		}},
		{"a claim of another payment", []want{{audit.PaymentUnpaired, 11}}, func(c *chronicle) {
			c.pay(ada, 5, "pay-2")
			c.log[10].stream = eventstore.PaymentStream("sandbox", "pay-9")
		}},
		{"a claim of the other direction", []want{{audit.PaymentUnpaired, 11}}, func(c *chronicle) {
			c.pay(ada, 5, "pay-2")
			c.log[10].stream = eventstore.PayoutStream("sandbox", "pay-2")
		}},
		{"a claim by another", []want{{audit.ActorNotSubject, 11}, {audit.PaymentUnpaired, 12}}, func(c *chronicle) {
			c.pay(ada, 5, "pay-2")
			c.log[10].event = domain.PaymentClaimed{User: bob}
		}},
		{"a claim and a deposit in two appends", []want{{audit.PaymentUnpaired, 11}}, func(c *chronicle) {
			c.log = append(c.log, claim(1, payment, ada, "c11", "c11"))
			c.by("user:u_ada", booked(c, ada))
		}},
		{"a payment claimed and booked again", []want{{audit.PaymentRepeated, 14}}, func(c *chronicle) {
			c.pay(ada, 5, "pay-2")
			c.pay(bob, 5, "pay-2")
			c.log[12].version = 1
		}},
		{"a claim that is not the first of its stream", []want{{audit.ClaimNotAlone, 13}}, func(c *chronicle) {
			c.pay(ada, 5, "pay-2")
			c.pay(ada, 5, "pay-2")
		}},
		{"a claim twice in one append", []want{{audit.ClaimNotAlone, 12}}, func(c *chronicle) {
			c.log = append(c.log, claim(1, payment, ada, "c11", "c11"), claim(1, payment, ada, "c11", ""))
		}},
		{"a claim in an account's stream", []want{{audit.WrongStream, 11}}, func(c *chronicle) {
			c.log = append(c.log, claim(6, eventstore.AccountStream(ada), ada, "c11", "c11"))
		}},
		{"a payment of before they were claimed, booked again", []want{{audit.PaymentRepeated, 12}}, func(c *chronicle) { c.pay(ada, 5, "pay-1") }},
		{"a welcome bonus as if it were bought", []want{{audit.FactBroken, 13}}, func(c *chronicle) {
			bonus := bonusOf(c, eve).(domain.BonusGranted)
			bonus.Undivided = false
			c.log = append(c.log, forged{eventstore.EmailStream("e"), 1, domain.EmailClaimed{User: eve}, "user:u_eve", caused("c11"), day, "c11"},
				forged{eventstore.AccountStream(eve), 1, domain.SignedUp{User: eve}, "user:u_eve", caused("c11"), day, ""},
				forged{eventstore.AccountStream(eve), 2, bonus, "user:u_eve", caused("c11"), day, ""})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fair()
			tt.lie(c)
			_, err := forge(t, c.log).verify(t)
			finds(t, err, tt.want...)
		})
	}
}

// Clocks that go back are no fault, and the widest step is told.
func TestTimesThatGoBack(t *testing.T) {
	c := fair()
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

// Of very many faults the first are listed, and the others counted.
func TestVeryManyFaults(t *testing.T) {
	c := fair()
	for n := range 150 {
		c.deposit(ada, 1, fmt.Sprint("pay-", n+2)).actor = "somebody"
	}
	_, err := forge(t, c.log).verify(t)
	faultAt(t, err, 11)
	var found *audit.Faults
	if !errors.As(err, &found) || len(found.List) != 100 || found.More != 50 || found.List[99].Position != 110 {
		t.Errorf("%d are listed, %d more are counted: %v", len(found.List), found.More, err)
	}
}

// What a later program wrote, with the right hashes, is nothing that this one can
// judge; that its hash is wrong it can.
func TestTooOldForTheLog(t *testing.T) {
	c := fair()
	c.log = append(c.log, forged{eventstore.AccountStream(ada), 6, eventstoretest.FromNewer{User: ada}, "user:u_ada", caused("c11"), day, "c11"})
	c.log[3].actor = "somebody"
	l := forge(t, c.log)
	report, err := l.verify(t)
	if !errors.Is(err, eventstore.ErrNewer) || report.Proved != 10 {
		t.Errorf("the log was proved up to %d, %v", report.Proved, err)
	}
	faultAt(t, err, 4) // what was found before it counts
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
