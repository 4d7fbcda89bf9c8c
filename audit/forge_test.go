package audit_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// forged is an entry that somebody writes past the store, with an envelope that says
// what they like.
type forged struct {
	stream  eventstore.Stream
	version eventstore.Version
	event   domain.Event
	actor   string
	cause   eventstore.Cause
	time    time.Time
	command string // the column
}

// forge writes a log whose positions, nodes and head are right, whatever its
// entries say: the work of a forger who knows the tree.
func forge(t testing.TB, entries []forged) ledger {
	t.Helper()
	ctx := t.Context()
	l := ledger{file: filepath.Join(t.TempDir(), "forged.db")}
	db, err := schema.OpenSQLite(ctx, l.file)
	must(t, err)
	must(t, db.Close())
	return l.tampered(t, func(c *sql.Conn) {
		var tree eventstore.Tree
		for i, f := range entries {
			at := eventstore.Position(i + 1)
			payload, err := domain.Encode(f.event)
			must(t, err)
			entry := eventstore.EncodeEntry(eventstore.Envelope{Position: at, Stream: f.stream, Version: f.version,
				Type: f.event.Type(), Schema: versionOf(f.event), Time: f.time, Actor: f.actor, Cause: f.cause}, payload)
			command := sql.NullString{String: f.command, Valid: f.command != ""}
			exec(t, c, `INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)`,
				at, string(f.stream), f.version, command, grown(t, &tree, entry), entry)
		}
		setHead(t, c, &tree)
	})
}

// versionOf is that of the payload: what was not told apart is of version 1.
func versionOf(e domain.Event) int {
	if m, ok := e.(domain.Mover); ok && m.Moved().Undivided {
		return 1
	}
	return e.Type().Version()
}

// grown gives the column of nodes for the next entry of the tree.
func grown(t testing.TB, tree *eventstore.Tree, entry []byte) (column []byte) {
	t.Helper()
	nodes, err := tree.Grow(eventstore.LeafHash(entry))
	must(t, err)
	for _, node := range nodes {
		column = append(column, node[:]...)
	}
	return column
}

func setHead(t testing.TB, c *sql.Conn, tree *eventstore.Tree) {
	t.Helper()
	head, err := tree.Head()
	must(t, err)
	exec(t, c, `UPDATE head SET size = ?, root = ?`, head.Size, head.Root[:])
}

const ada, bob, eve = domain.UserID("u_ada"), domain.UserID("u_bob"), domain.UserID("u_eve")

var answered = domain.Answer{Model: "model-1", Catalogue: "films-1", ProcessingTime: 0.25}

// day is when the forged logs happen.
var day = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// chronicle is a log in the making: facts that could follow, with the envelopes that
// the service would give them.
type chronicle struct {
	log      []forged
	accounts map[domain.UserID]*domain.Account
	versions map[eventstore.Stream]eventstore.Version
}

func newChronicle() *chronicle {
	return &chronicle{accounts: map[domain.UserID]*domain.Account{}, versions: map[eventstore.Stream]eventstore.Version{}}
}

func (c *chronicle) of(u domain.UserID) *domain.Account {
	if c.accounts[u] == nil {
		c.accounts[u] = &domain.Account{}
	}
	return c.accounts[u]
}

// command is the name of the command whose append is the next.
func (c *chronicle) command() string { return fmt.Sprint("c", len(c.log)+1) }

func caused(command string) eventstore.Cause {
	return eventstore.Command{ID: command, Content: "x"}.Cause()
}

// by adds an append by somebody's command, and gives its first entry.
func (c *chronicle) by(actor string, events ...domain.Event) *forged {
	command := c.command()
	first := c.add(actor, caused(command), events...)
	first.command = command
	return first
}

// add adds an append, and gives its first entry.
func (c *chronicle) add(actor string, cause eventstore.Cause, events ...domain.Event) *forged {
	first := len(c.log)
	for i, e := range events {
		stream := eventstore.AccountStream(e.Subject())
		if _, claims := e.(domain.EmailClaimed); claims {
			stream = eventstore.EmailStream("hash-of-" + string(e.Subject()))
		} else if _, claims := e.(domain.PaymentClaimed); claims {
			stream = paymentOf(events[i+1])
		} else if err := c.of(e.Subject()).Apply(e); err != nil {
			panic(err)
		}
		c.versions[stream]++
		c.log = append(c.log, forged{stream, c.versions[stream], e, actor, cause, day, ""})
	}
	return &c.log[first]
}

// paymentOf is the stream of the payment that the event books.
func paymentOf(e domain.Event) eventstore.Stream {
	switch e := e.(type) {
	case domain.Deposited:
		return eventstore.PaymentStream(e.Provider, e.Payment)
	case domain.Withdrawn:
		return eventstore.PayoutStream(e.Provider, e.Payment)
	}
	panic("no payment")
}

// signUp takes three positions. The bonus is one of version 1, as are the deposits and
// withdrawals below, so that an account has no given credits and no payment is claimed;
// TestForgedClaims has those.
func (c *chronicle) signUp(u domain.UserID) {
	c.by("user:"+string(u), domain.EmailClaimed{User: u}, domain.SignedUp{User: u}, bonusOf(c, u))
}

func (c *chronicle) deposit(u domain.UserID, amount domain.Credits, payment string) *forged {
	e := decided(c.of(u).Deposit(amount, "sandbox", payment))[0].(domain.Deposited)
	e.Undivided = true
	return c.by("user:"+string(u), e)
}

func (c *chronicle) withdraw(u domain.UserID, amount domain.Credits, payment string) *forged {
	e := decided(c.of(u).Withdraw(amount, "sandbox", payment))[0].(domain.Withdrawn)
	e.Undivided = true
	return c.by("user:"+string(u), e)
}

// pay is a deposit that claims its payment: two positions.
func (c *chronicle) pay(u domain.UserID, amount domain.Credits, payment string) {
	c.by("user:"+string(u), domain.PaymentClaimed{User: u}, decided(c.of(u).Deposit(amount, "sandbox", payment))[0])
}

// payOut is a withdrawal that does.
func (c *chronicle) payOut(u domain.UserID, amount domain.Credits, payment string) {
	c.by("user:"+string(u), domain.PaymentClaimed{User: u}, decided(c.of(u).Withdraw(amount, "sandbox", payment))[0])
}

// ask takes one position. The hold's time is up an hour later.
func (c *chronicle) ask(u domain.UserID, id domain.PredictionID) *forged {
	return c.by("user:"+string(u), decided(c.of(u).RequestPrediction(
		domain.Question{Prediction: id, Price: 1, Limit: 3, ExpiresAt: day.Add(time.Hour)}))...)
}

// fair is a log of ten entries as it should be: ada signs up (1 to 3), pays in (4), asks
// (5) and is answered (6); bob signs up (7 to 9) and becomes an admin (10).
func fair() *chronicle {
	c := newChronicle()
	c.signUp(ada)
	c.deposit(ada, 30, "pay-1")
	c.ask(ada, "p_1").time = day.Add(-time.Hour) // another process, whose clock is behind
	c.add("system:matcher", eventstore.ByPosition(5), decided(c.of(ada).Complete("p_1", answered))...)
	c.signUp(bob)
	c.by("operator", domain.AdminGranted{User: bob})
	return c
}

// want is a fault that must be found: its code and position. The first one counts,
// unless more are named.
type want struct {
	code audit.Code
	at   eventstore.Position
}

// finds insists that these faults were found, in this order and no others.
func finds(t testing.TB, err error, wanted ...want) {
	t.Helper()
	if len(wanted) == 0 {
		must(t, err)
		return
	}
	var found *audit.Faults
	if !errors.As(err, &found) {
		t.Fatalf("no fault was found: %v", err)
	}
	var got []want
	for _, f := range found.List {
		got = append(got, want{f.Code, f.Position})
		if f.What == "" || !strings.Contains(f.Error(), f.What) || !strings.Contains(f.Error(), f.Expected) || !strings.Contains(f.Error(), f.Found) {
			t.Errorf("a fault does not say what it is: %v", f)
		}
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("found was %v, want %v:\n%v", got, wanted, err)
	}
}

// What contradicts the facts before it, or its own place: the tree is right, the
// entry is not.
func TestForgedFacts(t *testing.T) {
	stream, email := eventstore.AccountStream(ada), eventstore.EmailStream("hash-of-u_ada")
	// more adds an entry behind the ten of a fair log, by a command of its own.
	more := func(stream eventstore.Stream, version eventstore.Version, actor string, e domain.Event) func(*chronicle) {
		return func(c *chronicle) {
			command := c.command()
			c.log = append(c.log, forged{stream, version, e, actor, caused(command), day, command})
		}
	}
	edit := func(at eventstore.Position, change func(*forged)) func(*chronicle) {
		return func(c *chronicle) { change(&c.log[at-1]) }
	}
	// eve signs up in one append of these parts.
	joins := func(version eventstore.Version, claim, account eventstore.Stream) func(*chronicle) {
		return func(c *chronicle) {
			c.log = append(c.log, forged{claim, version, domain.EmailClaimed{User: eve}, "user:u_eve", caused("c11"), day, "c11"},
				forged{account, 1, domain.SignedUp{User: eve}, "user:u_eve", caused("c11"), day, ""})
		}
	}
	amounts := func(change func(*domain.Deposited)) func(*chronicle) {
		return edit(4, func(f *forged) { e := f.event.(domain.Deposited); change(&e); f.event = e })
	}
	for _, tt := range []struct {
		name string
		want want
		lie  func(*chronicle)
	}{
		{"a version left out", want{audit.VersionGap, 4}, edit(4, func(f *forged) { f.version = 4 })},
		{"a version used twice", want{audit.VersionGap, 6}, edit(6, func(f *forged) { f.version = 4 })},
		{"a time before Kassa", want{audit.TimeImpossible, 4}, edit(4, func(f *forged) { f.time = eventstore.Earliest.Add(-time.Microsecond) })},
		{"a balance that is not the sum", want{audit.FactBroken, 4}, amounts(func(e *domain.Deposited) { e.Available += 1000 })},
		{"postings that do not balance", want{audit.FactBroken, 4}, amounts(func(e *domain.Deposited) {
			e.Postings = []domain.Posting{{Account: domain.HouseCash, Amount: -30}, {Account: domain.AvailableOf(ada), Amount: 31}}
		})},
		{"a hold that ends twice", want{audit.FactBroken, 11}, func(c *chronicle) {
			c.log = append(c.log, c.log[5])
			c.log[10].version = 6
		}},
		{"a command done twice", want{audit.CommandRepeated, 11}, func(c *chronicle) {
			c.deposit(ada, 5, "pay-2")
			c.log[10].cause, c.log[10].command = c.log[3].cause, c.log[3].command
		}},
		{"a command without its mark", want{audit.ColumnDiffers, 4}, edit(4, func(f *forged) { f.command = "" })},
		{"a mark without a command", want{audit.ColumnDiffers, 6}, edit(6, func(f *forged) { f.command = "6" })},
		{"a mark in the middle of an append", want{audit.ColumnDiffers, 2}, edit(2, func(f *forged) { f.command = "c1" })},
		{"a fact of another person", want{audit.WrongStream, 11}, more(stream, 6, "operator", domain.AdminGranted{User: bob})},
		{"a fact of nobody", want{audit.FactBroken, 11}, more(eventstore.AccountStream(eve), 1, "operator", domain.AdminGranted{User: eve})},
		{"an account's fact in an e-mail's stream", want{audit.WrongStream, 11}, more(email, 2, "operator", domain.AdminGranted{User: ada})},
		{"a stream of no kind", want{audit.WrongStream, 11}, more("till-1", 1, "operator", domain.AdminGranted{User: ada})},
		{"a claim in an account's stream", want{audit.WrongStream, 11}, more(stream, 6, "user:u_ada", domain.EmailClaimed{User: ada})},
		{"an e-mail claimed again", want{audit.ClaimNotAlone, 11}, joins(2, email, eventstore.AccountStream(eve))},
		{"a claim that begins an e-mail's stream again", want{audit.ClaimNotAlone, 11}, joins(1, email, eventstore.AccountStream(eve))},
		{"a claim that is not the first of its stream", want{audit.ClaimNotAlone, 11}, joins(2, eventstore.EmailStream("e"), eventstore.AccountStream(eve))},
		{"a sign-up in another's stream", want{audit.WrongStream, 12}, joins(1, eventstore.EmailStream("e"), eventstore.AccountStream("u_zoe"))},
		{"a claim without a sign-up, at the end", want{audit.SignUpUnpaired, 11}, more(eventstore.EmailStream("e"), 1, "user:u_eve", domain.EmailClaimed{User: eve})},
		{"a claim and a sign-up in two appends", want{audit.SignUpUnpaired, 11}, func(c *chronicle) {
			more(eventstore.EmailStream("e"), 1, "user:u_eve", domain.EmailClaimed{User: eve})(c)
			more(eventstore.AccountStream(eve), 1, "user:u_eve", domain.SignedUp{User: eve})(c)
		}},
		{"a sign-up without a claim", want{audit.SignUpUnpaired, 11}, func(c *chronicle) {
			more(eventstore.AccountStream(eve), 1, "user:u_eve", domain.SignedUp{User: eve})(c)
			more(stream, 6, "operator", domain.AdminGranted{User: ada})(c)
		}},
		{"two claims of one person", want{audit.ClaimNotAlone, 12}, func(c *chronicle) {
			joins(1, eventstore.EmailStream("e"), eventstore.EmailStream("f"))(c)
			c.log[11].event = domain.EmailClaimed{User: eve}
		}},
		{"a second claim of somebody who has signed up", want{audit.SignUpUnpaired, 11}, more(eventstore.EmailStream("e"), 1, "user:u_ada", domain.EmailClaimed{User: ada})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fair()
			tt.lie(c)
			_, err := forge(t, c.log).verify(t)
			finds(t, err, tt.want)
			var f *audit.Fault
			if at := int(tt.want.at); errors.As(err, &f) && f.Stream != c.log[at-1].stream && f.Code != audit.SignUpUnpaired {
				t.Errorf("the fault is in stream %q, the entry in %q", f.Stream, c.log[at-1].stream)
			}
		})
	}
}

// Where nothing is wrong nothing is found, at the edges too.
func TestNothingIsForged(t *testing.T) {
	c := fair()
	_, err := forge(t, c.log).verify(t)
	must(t, err)
	c.log[3].time = eventstore.Earliest
	_, err = forge(t, c.log).verify(t)
	must(t, err)
}

// decided takes a decision that cannot be refused.
func decided(events []domain.Event, err error) []domain.Event {
	if err != nil {
		panic(err)
	}
	return events
}

// A forger who rewrites an entry, the tree and the head leaves a log that is
// sound in itself. Only a head that was kept elsewhere tells.
func TestRewrittenHistoryIsFoundByAKeptHead(t *testing.T) {
	l := newLedger(t, 11, 70)
	kept := l.head
	rewritten, at := l.rewritten(t, 100)
	report, err := rewritten.verify(t)
	must(t, err)
	if report.Head.Size != kept.Size || report.Head.Root == kept.Root {
		t.Fatalf("the forger's head is %+v, the kept one %+v", report.Head, kept)
	}
	faultAt(t, audit.Consistent(t.Context(), rewritten.read(t), kept), kept.Size)

	// Every head from the forged entry on tells, and none before it.
	honest, forger := l.headAt(t, at), rewritten.read(t)
	faultAt(t, audit.Consistent(t.Context(), forger, honest), at)
	must(t, audit.Consistent(t.Context(), forger, l.headAt(t, at-1)))
}

func TestConsistent(t *testing.T) {
	l := newLedger(t, 12, 70)
	store, size := l.read(t), l.head.Size
	for _, at := range []eventstore.Position{0, 1, 2, 63, 64, 65, size - 1, size} {
		kept := l.headAt(t, at)
		must(t, audit.Consistent(t.Context(), store, kept))
		kept.Root[5] ^= 1
		faultAt(t, audit.Consistent(t.Context(), store, kept), at)
	}
	longer := l.head
	longer.Size++
	faultAt(t, audit.Consistent(t.Context(), store, longer), size+1)
	longer.Size = -1
	faultAt(t, audit.Consistent(t.Context(), store, longer), 0)
}

// headAt is the head that the log had at this size.
func (l ledger) headAt(t testing.TB, size eventstore.Position) eventstore.Head {
	t.Helper()
	var tree eventstore.Tree
	var head eventstore.Head
	must(t, l.read(t).Scan(t.Context(), 0, func(list []eventstore.Recorded) error {
		for _, rec := range list {
			if rec.Position <= size {
				grown(t, &tree, rec.Entry)
			}
		}
		return nil
	}))
	head, err := tree.Head()
	must(t, err)
	return head
}

// rewritten changes when the entry, and what was appended with it, happened, and
// every node that follows. It gives the first changed position too.
func (l ledger) rewritten(t testing.TB, at eventstore.Position) (ledger, eventstore.Position) {
	t.Helper()
	var log []eventstore.Recorded
	must(t, l.read(t).Scan(t.Context(), 0, func(list []eventstore.Recorded) error {
		log = append(log, list...)
		return nil
	}))
	first := at
	for log[first-2].Cause == log[at-1].Cause {
		first--
	}
	return l.tampered(t, func(c *sql.Conn) {
		exec(t, c, `BEGIN`)
		var tree eventstore.Tree
		for _, rec := range log {
			entry := rec.Entry
			if rec.Cause == log[at-1].Cause {
				_, payload, err := eventstore.DecodeEntry(entry)
				must(t, err)
				rec.Time = rec.Time.Add(time.Microsecond)
				entry = eventstore.EncodeEntry(rec.Envelope, payload)
			}
			exec(t, c, `UPDATE events SET entry = ?, hashes = ? WHERE position = ?`, entry, grown(t, &tree, entry), rec.Position)
		}
		setHead(t, c, &tree)
		exec(t, c, `COMMIT`)
	}), first
}
