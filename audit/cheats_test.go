package audit_test

import (
	"bytes"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/internal/app/apptest"
)

var update = flag.Bool("update", false, "write the table of docs/audit.md")

// cheat is what somebody with all rights to the database does.
type cheat struct {
	what string
	by   string // the command that finds it, or what else does
	// play does it, and gives what the command finds; nil where no command finds it.
	play func(*testing.T) error
}

const (
	byVerify = "`kassa verify`"
	byKept   = "`kassa verify --kept`"
	byBisect = "`kassa audit bisect`"
)

// cheated is a log in which somebody lied, with positions, nodes, root and head of the lie.
func cheated(t *testing.T, lie func(*logBuilder)) ledger {
	c := validLog()
	lie(c)
	l := forge(t, c.log)
	head, err := l.read(t).Head(t.Context())
	must(t, err)
	l.head = head
	return l
}

// rewrite changes the bytes of all entries, and everything that follows from them.
func (l ledger) rewrite(t *testing.T, change func([]byte) []byte) ledger {
	entries := l.entries(t)
	return l.tampered(t, func(c *sql.Conn) {
		var tree eventstore.Tree
		for _, rec := range entries {
			entry := change(bytes.Clone(rec.Entry))
			env, _, err := eventstore.DecodeEntry(entry)
			must(t, err)
			exec(t, c, `UPDATE events SET entry = ?, hashes = ?, stream = ? WHERE position = ?`, entry, grown(t, &tree, entry), string(env.Stream), rec.Position)
		}
		setHead(t, c, &tree)
	})
}

// alone verifies the log by itself: these logs have no guards.
func (l ledger) alone(t *testing.T, kept *eventstore.Head) error {
	_, err := audit.Ledger{Store: l.read(t), Kept: kept, Alone: true}.Verify(t.Context())
	return err
}

// hidden is what verify does not find, and a head that was kept does.
func hidden(t *testing.T, l, honest ledger) error {
	must(t, l.alone(t, nil))
	return l.alone(t, &honest.head)
}

// bisected is what an export that was kept finds.
func bisected(t *testing.T, l, honest ledger) error {
	export, _ := exported(t, audit.Export{Log: audit.FullLog{Store: honest.read(t)}, Format: audit.JSONL})
	r, err := audit.OpenExport(bytes.NewReader(export), nil)
	must(t, err)
	d, err := audit.Bisect(t.Context(), l.read(t), r)
	must(t, err)
	return &audit.Fault{Position: d.Position, What: "the first entry that differs"}
}

func cheatsOnTheLog(t *testing.T) []cheat {
	honest := cheated(t, func(*logBuilder) {})
	lies := func(lie func(*logBuilder)) func(*testing.T) error {
		return func(t *testing.T) error { return cheated(t, lie).alone(t, nil) }
	}
	sqlOf := func(statement string, args ...any) func(*testing.T) error {
		return func(t *testing.T) error {
			return honest.tampered(t, func(c *sql.Conn) { exec(t, c, statement, args...) }).alone(t, nil)
		}
	}
	richer := func(c *logBuilder) { // the same log, with a deposit of 300 in place of 30
		*c = *newLogBuilder()
		c.signUp(ada)
		c.deposit(ada, 300, "pay-1")
		c.ask(ada, "p_1").time = day.Add(-time.Hour)
		c.add("system:matcher", eventstore.ByPosition(5), decided(c.of(ada).Complete("p_1", answered))...)
		c.signUp(bob)
		c.by("operator", domain.AdminGranted{User: bob})
	}
	exchange := func(entry []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(entry, []byte("u_ada"), []byte("u_xxx")), []byte("u_bob"), []byte("u_ada")), []byte("u_xxx"), []byte("u_bob"))
	}
	adjust := func(actor string, admin domain.UserID) func(*logBuilder) {
		return func(c *logBuilder) {
			c.by(actor, decided(c.of(ada).Adjust(domain.Account{User: admin, Admin: true}, domain.Correction{Amount: 7, Kind: domain.BoughtCredits, Reason: "paid"}))...)
		}
	}
	expire := func(c *logBuilder) {
		c.ask(ada, "p_2")
		c.add("system:expirer", eventstore.ByPosition(11), decided(c.of(ada).Expire("p_2", day.Add(time.Hour)))...)
	}
	return []cheat{
		{"One byte of an amount", byVerify, func(t *testing.T) error {
			entry, _ := honest.stored(t, 4)
			return honest.tampered(t, func(c *sql.Conn) {
				exec(t, c, `UPDATE events SET entry = ? WHERE position = 4`, bytes.Replace(entry, []byte(`"amount":30`), []byte(`"amount":90`), 1))
			}).alone(t, nil)
		}},
		{"An amount, with its hash, and the tree and head of all behind it", byVerify, func(t *testing.T) error {
			return honest.rewrite(t, func(entry []byte) []byte {
				return bytes.Replace(entry, []byte(`"amount":30`), []byte(`"amount":90`), 1)
			}).alone(t, nil)
		}},
		{"An amount, with all later balances, the tree, the head and the views", byKept, func(t *testing.T) error { return hidden(t, cheated(t, richer), honest) }},
		{"The same", byBisect, func(t *testing.T) error { return bisected(t, cheated(t, richer), honest) }},
		{"The last entries cut, with their views; or a whole old backup put back", byKept, func(t *testing.T) error {
			return hidden(t, cheated(t, func(c *logBuilder) { c.log = c.log[:6] }), honest)
		}},
		{"An entry removed in the middle, and all behind it numbered again", byVerify, lies(func(c *logBuilder) {
			c.log = slices.Delete(c.log, 3, 4)
			c.log[3].version, c.log[4].version, c.log[4].cause = 3, 4, eventstore.ByPosition(4)
		})},
		{"The ids of two people exchanged, everywhere", byKept, func(t *testing.T) error { return hidden(t, honest.rewrite(t, exchange), honest) }},
		{"A column beside an entry", byVerify, sqlOf(`UPDATE events SET stream = 'account-u_bob' WHERE position = 4`)},
		{"The head's root", byVerify, sqlOf(`UPDATE head SET root = zeroblob(32)`)},
		{"The head set back by one", byVerify, sqlOf(`UPDATE head SET size = size - 1`)},
		{"A snapshot of an account with more credits", byVerify, sqlOf(`INSERT INTO snapshots VALUES ('account-u_ada', 5, 3, CAST('{"user_id":"u_ada","available":1000}' AS BLOB))`)},
		{"An adjustment by a person who is no admin", byVerify, lies(adjust("user:u_eve", eve))},
		{"An adjustment with a false actor", byVerify, lies(adjust("user:u_ada", bob))},
		{"An admin's adjustment of their own balance", byVerify, lies(func(c *logBuilder) {
			c.by("user:u_bob", c.adjustedOf(bob, bob, domain.Correction{Amount: 1000, Reason: "mine"})...)
		})},
		{"A person who named themselves an admin", byVerify, lies(func(c *logBuilder) { c.log[9].actor = "user:u_bob" })},
		{"A person who made themselves an admin, in their own name", byVerify, lies(func(c *logBuilder) {
			c.by("user:u_ada", domain.RoleGranted{User: ada, Role: domain.AdminRole, Order: domain.Order{Admin: ada, Reason: "r"}})
		})},
		{"An auditor named by a person who is no admin", byVerify, lies(func(c *logBuilder) {
			c.by("user:u_ada", domain.RoleGranted{User: bob, Role: domain.AuditorRole, Order: domain.Order{Admin: ada, Reason: "r"}})
		})},
		{"A withdrawal of a person who is locked", byVerify, lies(func(c *logBuilder) {
			c.by("user:u_bob", domain.AccountLocked{User: ada, Order: domain.Order{Admin: bob, Reason: "r"}})
			c.withdraw(ada, 5, "pay-2")
		})},
		{"A command on another person's account", byVerify, lies(func(c *logBuilder) { c.log[3].actor = "user:u_bob" })},
		{"A false cause of an answer", byVerify, lies(func(c *logBuilder) { c.log[5].cause = eventstore.ByPosition(4) })},
		{"A hold that expires early", byVerify, lies(expire)},
		{"One payment booked twice", byVerify, lies(func(c *logBuilder) { c.deposit(ada, 30, "pay-1") })},
		{"A command done twice", byVerify, lies(func(c *logBuilder) {
			c.deposit(ada, 30, "pay-2")
			c.log[10].cause, c.log[10].command = c.log[3].cause, c.log[3].command
		})},
		{"Bought credits spent before given ones", byVerify, lies(func(c *logBuilder) {
			c.by("user:u_bob", decided(c.of(ada).Adjust(domain.Account{User: bob, Admin: true}, domain.Correction{Amount: 7, Kind: domain.GivenCredits, Reason: "a gift"}))...)
			asked := c.ask(ada, "p_2")
			e := asked.event.(domain.PredictionRequested)
			e.Postings = []domain.Posting{{Account: domain.AvailableOf(ada), Amount: -1}, {Account: domain.HeldOf(ada), Amount: 1}}
			e.Given, e.GivenHeld = 7, 0
			asked.event = e
		})},
		{"An entry dated 2099", byVerify, lies(func(c *logBuilder) { c.log[9].time = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC) })},
		{"An entry dated back, with its hash, the tree and the head", byKept, func(t *testing.T) error {
			return hidden(t, cheated(t, func(c *logBuilder) { c.log[9].time = day.AddDate(0, -1, 0) }), honest)
		}},
		{"A deposit that nobody paid, appended with the right hashes", "only the provider's statement", func(t *testing.T) error {
			return hidden(t, cheated(t, func(c *logBuilder) { c.deposit(ada, 1000, "pay-2") }), honest)
		}},
		{"A question charged with another price than the one that was set, as by another setting of a process", byVerify, lies(func(c *logBuilder) {
			c.by("operator", domain.PriceSet{Price: 1})
			c.askFor(ada, "p_2", 9)
		})},
		{"An old price, after a new one was set", byVerify, lies(func(c *logBuilder) {
			c.by("operator", domain.PriceSet{Price: 1})
			c.by("operator", domain.PriceSet{Price: 2})
			c.ask(ada, "p_2")
		})},
		{"An entry dated into a month that was closed", byVerify, lies(func(c *logBuilder) {
			c.by("user:u_bob", february)
			c.deposit(ada, 30, "pay-2").time = day.Add(-time.Hour)
		})},
		{"A month closed with another entry than its last", byVerify, lies(func(c *logBuilder) {
			c.by("user:u_bob", closing(func(e *domain.PeriodClosed) { e.Position = 4 }))
		})},
		{"A balance changed for a while where it is served, and attested meanwhile", byVerify, lies(func(c *logBuilder) {
			c.add("system:attester", eventstore.ByPosition(10), attestedAs("balances_v2", 9))
		})},
		{"A price set by a person", byVerify, lies(func(c *logBuilder) { c.by("user:u_ada", domain.PriceSet{Price: 1}) })},
	}
}

// cheatsOnViews are played in PostgreSQL, one after the other, and each is undone.
func cheatsOnViews(h fixture) []cheat {
	does := func(statement, undo string) func(*testing.T) error {
		return func(t *testing.T) error {
			h.exec(t, statement)
			_, err := h.verify(t)
			h.exec(t, undo)
			return err
		}
	}
	first := func(table, key, change, undo string) func(*testing.T) error {
		where := fmt.Sprintf(` WHERE %[2]s = (SELECT min(%[2]s) FROM kassa_views.%[1]s)`, table, key)
		return does(`UPDATE kassa_views.`+table+` SET `+change+where, `UPDATE kassa_views.`+table+` SET `+undo+where)
	}
	return []cheat{
		{"A balance, only where it is served", byVerify, first("balances_v2", "user_id", "available = available + 1000", "available = available - 1000")},
		{"An amount in a history", byVerify, first("transactions_v2", "position", "amount = amount + 1", "amount = amount - 1")},
		{"A price in a history of questions", byVerify, first("predictions_v4", "position", "price = price + 1", "price = price - 1")},
		{"The trial balance that is served", byVerify, first("trial_v2", "account", "amount = amount + 1", "amount = amount - 1")},
		{"The figures of a day", byVerify, does(`UPDATE kassa_views.days_v1 SET amount = amount + 1 WHERE measure = 'questions'`, `UPDATE kassa_views.days_v1 SET amount = amount - 1 WHERE measure = 'questions'`)},
		{"A person made an admin where that is served", byVerify, first("users_v1", "id", "admin = NOT admin", "admin = NOT admin")},
		{"A view said to be further than the log", byVerify, does(`UPDATE kassa_views.positions SET position = position + 5 WHERE view = 'balances_v2'`, `UPDATE kassa_views.positions SET position = position - 5 WHERE view = 'balances_v2'`)},
		{"A follower's checkpoint moved ahead", byVerify, does(`INSERT INTO checkpoints VALUES ('relay', 100000)`, `DELETE FROM checkpoints WHERE name = 'relay'`)},
		{"A trigger that guards the log switched off", byVerify,
			does(`ALTER TABLE event_index DISABLE TRIGGER event_index_append_only`, `ALTER TABLE event_index ENABLE ALWAYS TRIGGER event_index_append_only`)},
	}
}

// cheatsOnFilms are played in PostgreSQL, whose films were recorded in the log.
func cheatsOnFilms(t *testing.T, h fixture) []cheat {
	ledger := &app.Ledger{Pool: h.pool}
	record := sync.OnceFunc(func() {
		apptest.SeedFilms(t, "inception-2010")(ledger)
		e, err := ledger.Record(t.Context())
		must(t, err)
		_, err = h.store.Append(t.Context(), eventstore.Append{Time: time.Now(), Actor: "system:attester", Cause: eventstore.ByPosition(h.head(t)),
			Writes: []eventstore.Write{{Stream: eventstore.CatalogueStream, Events: []domain.Event{e}}}})
		must(t, err)
		report, err := h.verify(t)
		must(t, err)
		if c := report.Catalogue; c.Recorded == 0 || c.Changed || e.Films < 5 || e.Vectors != e.Films {
			t.Errorf("%+v was compared: %+v", e, c)
		}
	})
	does := func(statement, undo string) func(*testing.T) error {
		return func(t *testing.T) error {
			record()
			h.exec(t, statement)
			_, err := h.verify(t)
			h.exec(t, undo)
			return err
		}
	}
	turn := `UPDATE vectors v SET vector = (SELECT array_agg(-x ORDER BY n)::vector FROM unnest(v.vector::real[]) WITH ORDINALITY AS u (x, n))`
	retold := func(from, to string) string {
		return fmt.Sprintf(`UPDATE movies SET json = replace(json, '%[1]s', '%[2]s'), hash = sha256(convert_to(replace(json, '%[1]s', '%[2]s'), 'UTF8')) WHERE id = 'inception-2010'`, from, to)
	}
	return []cheat{
		{"All vectors replaced", byVerify, does(turn, turn)},
		{"A film's text changed", byVerify, does(retold("Inception", "Deception"), retold("Deception", "Inception"))},
		{"The same, and the revision of the catalogue counted up", "the entries of `house-catalogue`, if one knows what was imported", func(t *testing.T) error {
			record()
			h.exec(t, retold("Inception", "Deception"))
			h.exec(t, `UPDATE catalogue SET revision = revision + 1`)
			report, err := h.verify(t)
			if c := report.Catalogue; !c.Changed {
				t.Errorf("compared was %+v", c)
			}
			return err
		}},
	}
}

// says is what a command prints of its first finding, without expected and found values.
func says(err error) string {
	var f *audit.Fault
	if !errors.As(err, &f) {
		return "–"
	}
	text := (&audit.Fault{Code: f.Code, Position: f.Position, View: f.View, Key: f.Key, What: f.What}).Error()
	return strings.ReplaceAll(strings.ReplaceAll(text, " ()", ""), "|", "\\|")
}

// The table of docs/audit.md is what these cheats come to.
func TestCheats(t *testing.T) {
	table := "| what is done with all rights | found by | which says |\n|---|---|---|\n"
	h := newFixture(t, 60)
	for _, c := range slices.Concat(cheatsOnTheLog(t), cheatsOnViews(h), cheatsOnFilms(t, h)) {
		t.Run(c.what+" "+c.by, func(t *testing.T) {
			err := c.play(t)
			if found := errors.As(err, new(*audit.Fault)); found != strings.HasPrefix(c.by, "`") || err != nil && !found {
				t.Errorf("found by %s: %v", c.by, err)
			}
			table += fmt.Sprintf("| %s | %s | %s |\n", c.what, c.by, says(err))
		})
	}
	h.noDifferences(t) // all of it was undone
	const page, begin, end = "../docs/audit.md", "<!-- made by TestCheats -->\n", "<!-- end -->"
	text, err := os.ReadFile(page)
	must(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	have, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no place for the table", page)
	}
	if *update {
		must(t, os.WriteFile(page, []byte(before+begin+table+end+after), 0o644))
	} else if have != table {
		t.Errorf("the table of %s is another: go test ./audit -run TestCheats -update\n%s", page, table)
	}
}
