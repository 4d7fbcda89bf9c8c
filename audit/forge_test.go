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

// forged is an entry written without the store, with any envelope.
type forged struct {
	stream  eventstore.Stream
	version eventstore.Version
	event   domain.Event
	actor   string
	cause   eventstore.Cause
	time    time.Time
	command string // the column
}

// forge writes a log with correct positions, nodes and head, whatever its entries
// contain: the work of a forger who knows the tree.
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

// versionOf is the payload's version: the version before given credits is 1.
func versionOf(e domain.Event) int {
	if m, ok := e.(domain.MoneyEvent); ok && m.Money().Undivided {
		return 1
	}
	return domain.VersionOf(e)
}

// grown returns the column of nodes for the next entry of the tree.
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

// day is the time of the forged logs.
var day = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// logBuilder builds a log of valid facts, with the envelopes that the service would
// write.
type logBuilder struct {
	log      []forged
	accounts map[domain.UserID]*domain.Account
	versions map[eventstore.Stream]eventstore.Version
}

func newLogBuilder() *logBuilder {
	return &logBuilder{accounts: map[domain.UserID]*domain.Account{}, versions: map[eventstore.Stream]eventstore.Version{}}
}

func (c *logBuilder) of(u domain.UserID) *domain.Account {
	if c.accounts[u] == nil {
		c.accounts[u] = &domain.Account{}
	}
	return c.accounts[u]
}

// command is the id of the next append's command.
func (c *logBuilder) command() string { return fmt.Sprint("c", len(c.log)+1) }

func caused(command string) eventstore.Cause {
	return eventstore.Command{ID: command, Content: "x"}.Cause()
}

// by adds an append of a user's command, and returns its first entry.
func (c *logBuilder) by(actor string, events ...domain.Event) *forged {
	command := c.command()
	first := c.add(actor, caused(command), events...)
	first.command = command
	return first
}

// add adds an append, and returns its first entry.
func (c *logBuilder) add(actor string, cause eventstore.Cause, events ...domain.Event) *forged {
	first := len(c.log)
	for i, e := range events {
		stream := eventstore.AccountStream(e.Subject())
		if _, claims := e.(domain.EmailClaimed); claims {
			stream = eventstore.EmailStream("hash-of-" + string(e.Subject()))
		} else if _, claims := e.(domain.PaymentClaimed); claims {
			stream = paymentOf(events[i+1])
		} else if _, accepts := e.(domain.MoveInAccepted); accepts {
			stream = eventstore.MoveInStream
		} else if _, price := e.(domain.PriceSet); price {
			stream = eventstore.PricesStream
		} else if _, closes := e.(domain.PeriodClosed); closes {
			stream = eventstore.PeriodsStream
		} else if record := recordStreams[e.Type()]; record != "" {
			stream = record
		} else if strings.HasPrefix(string(e.Type()), "Adjustment") {
			stream = eventstore.AdjustmentsStream
		} else if err := c.of(e.Subject()).Apply(e, day); err != nil {
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

// signUp takes three positions. The bonus is of version 1, as are the deposits and
// withdrawals below, so that an account has no given credits and payments are not
// claimed; TestForgedClaims covers those.
func (c *logBuilder) signUp(u domain.UserID) {
	c.by("user:"+string(u), domain.EmailClaimed{User: u}, domain.SignedUp{User: u}, bonusOf(c, u))
}

func (c *logBuilder) deposit(u domain.UserID, amount domain.Credits, payment string) *forged {
	e := decided(c.of(u).Deposit(amount, "sandbox", payment))[0].(domain.Deposited)
	e.Undivided = true
	return c.by("user:"+string(u), e)
}

func (c *logBuilder) withdraw(u domain.UserID, amount domain.Credits, payment string) *forged {
	e := decided(c.of(u).Withdraw(amount, "sandbox", payment))[0].(domain.Withdrawn)
	e.Undivided = true
	return c.by("user:"+string(u), e)
}

// pay is a deposit that claims its payment: two positions.
func (c *logBuilder) pay(u domain.UserID, amount domain.Credits, payment string) {
	c.by("user:"+string(u), domain.PaymentClaimed{User: u}, decided(c.of(u).Deposit(amount, "sandbox", payment))[0])
}

// payOut is a withdrawal that claims its payment.
func (c *logBuilder) payOut(u domain.UserID, amount domain.Credits, payment string) {
	c.by("user:"+string(u), domain.PaymentClaimed{User: u}, decided(c.of(u).Withdraw(amount, "sandbox", payment))[0])
}

// ask takes one position. The hold is due an hour later.
func (c *logBuilder) ask(u domain.UserID, id domain.PredictionID) *forged { return c.askFor(u, id, 1) }

func (c *logBuilder) askFor(u domain.UserID, id domain.PredictionID, price domain.Credits) *forged {
	return c.by("user:"+string(u), decided(c.of(u).RequestPrediction(
		domain.Question{Prediction: id, Price: price, Limit: 3, ExpiresAt: day.Add(time.Hour)}))...)
}

// validLog is a valid log of ten entries: ada signs up (1 to 3), deposits (4), asks (5)
// and is answered (6); bob signs up (7 to 9) and becomes an admin (10).
func validLog() *logBuilder {
	c := newLogBuilder()
	c.signUp(ada)
	c.deposit(ada, 30, "pay-1")
	c.ask(ada, "p_1").time = day.Add(-time.Hour) // of another process, whose clock is behind
	c.add("system:matcher", eventstore.ByPosition(5), decided(c.of(ada).Complete("p_1", answered))...)
	c.signUp(bob)
	c.by("operator", domain.AdminGranted{User: bob})
	return c
}

// want is an expected fault: its code and position. If one is given it must be the
// first.
type want struct {
	code audit.Code
	at   eventstore.Position
}

// finds checks that exactly these faults were found, in this order.
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
			t.Errorf("a fault has no text: %v", f)
		}
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("found was %v, want %v:\n%v", got, wanted, err)
	}
}

// february is the month before the day of the forged logs, closed by the admin of a valid one.
var february = domain.PeriodClosed{Admin: bob, From: day.AddDate(0, -1, 0), Until: day, Zone: "UTC", Digest: strings.Repeat("0a", 32)}

func closing(change func(*domain.PeriodClosed)) domain.PeriodClosed {
	e := february
	change(&e)
	return e
}

// Entries that contradict the facts before them, or their own place; the tree is right.
func TestForgedFacts(t *testing.T) {
	stream, email := eventstore.AccountStream(ada), eventstore.EmailStream("hash-of-u_ada")
	// more adds an entry after the ten of a valid log, by a command of its own.
	more := func(stream eventstore.Stream, version eventstore.Version, actor string, e domain.Event) func(*logBuilder) {
		return func(c *logBuilder) {
			command := c.command()
			c.log = append(c.log, forged{stream, version, e, actor, caused(command), day, command})
		}
	}
	edit := func(at eventstore.Position, change func(*forged)) func(*logBuilder) {
		return func(c *logBuilder) { change(&c.log[at-1]) }
	}
	// eve signs up in one append of these parts.
	joins := func(version eventstore.Version, claim, account eventstore.Stream) func(*logBuilder) {
		return func(c *logBuilder) {
			c.log = append(c.log, forged{claim, version, domain.EmailClaimed{User: eve}, "user:u_eve", caused("c11"), day, "c11"},
				forged{account, 1, domain.SignedUp{User: eve}, "user:u_eve", caused("c11"), day, ""})
		}
	}
	amounts := func(change func(*domain.Deposited)) func(*logBuilder) {
		return edit(4, func(f *forged) { e := f.event.(domain.Deposited); change(&e); f.event = e })
	}
	for _, tt := range []struct {
		name string
		want want
		lie  func(*logBuilder)
	}{
		{"a version left out", want{audit.VersionGap, 4}, edit(4, func(f *forged) { f.version = 4 })},
		{"a version used twice", want{audit.VersionGap, 6}, edit(6, func(f *forged) { f.version = 4 })},
		{"a time before Kassa", want{audit.TimeImpossible, 4}, edit(4, func(f *forged) { f.time = eventstore.Earliest.Add(-time.Microsecond) })},
		{"a balance that is not the sum", want{audit.FactBroken, 4}, amounts(func(e *domain.Deposited) { e.Available += 1000 })},
		{"postings that do not balance", want{audit.FactBroken, 4}, amounts(func(e *domain.Deposited) {
			e.Postings = []domain.Posting{{Account: domain.HouseCash, Amount: -30}, {Account: domain.AvailableOf(ada), Amount: 31}}
		})},
		{"a hold that ends twice", want{audit.FactBroken, 11}, func(c *logBuilder) {
			c.log = append(c.log, c.log[5])
			c.log[10].version = 6
		}},
		{"a command done twice", want{audit.CommandRepeated, 11}, func(c *logBuilder) {
			c.deposit(ada, 5, "pay-2")
			c.log[10].cause, c.log[10].command = c.log[3].cause, c.log[3].command
		}},
		{"a command without its mark", want{audit.ColumnDiffers, 4}, edit(4, func(f *forged) { f.command = "" })},
		{"a mark without a command", want{audit.ColumnDiffers, 6}, edit(6, func(f *forged) { f.command = "6" })},
		{"a mark in the middle of an append", want{audit.ColumnDiffers, 2}, edit(2, func(f *forged) { f.command = "c1" })},
		{"a fact of another person", want{audit.WrongStream, 11}, more(stream, 6, "operator", domain.AdminGranted{User: bob})},
		{"a fact of an unknown account", want{audit.FactBroken, 11}, more(eventstore.AccountStream(eve), 1, "operator", domain.AdminGranted{User: eve})},
		{"an account's fact in an e-mail's stream", want{audit.WrongStream, 11}, more(email, 2, "operator", domain.AdminGranted{User: ada})},
		{"a stream of no kind", want{audit.WrongStream, 11}, more("unknown-1", 1, "operator", domain.AdminGranted{User: ada})},
		{"a claim in an account's stream", want{audit.WrongStream, 11}, more(stream, 6, "user:u_ada", domain.EmailClaimed{User: ada})},
		{"an e-mail claimed again", want{audit.ClaimNotAlone, 11}, joins(2, email, eventstore.AccountStream(eve))},
		{"a claim that begins an e-mail's stream again", want{audit.ClaimNotAlone, 11}, joins(1, email, eventstore.AccountStream(eve))},
		{"a claim that is not the first of its stream", want{audit.ClaimNotAlone, 11}, joins(2, eventstore.EmailStream("e"), eventstore.AccountStream(eve))},
		{"a sign-up in another's stream", want{audit.WrongStream, 12}, joins(1, eventstore.EmailStream("e"), eventstore.AccountStream("u_zoe"))},
		{"a claim without a sign-up, at the end", want{audit.SignUpUnpaired, 11}, more(eventstore.EmailStream("e"), 1, "user:u_eve", domain.EmailClaimed{User: eve})},
		{"a claim and a sign-up in two appends", want{audit.SignUpUnpaired, 11}, func(c *logBuilder) {
			more(eventstore.EmailStream("e"), 1, "user:u_eve", domain.EmailClaimed{User: eve})(c)
			more(eventstore.AccountStream(eve), 1, "user:u_eve", domain.SignedUp{User: eve})(c)
		}},
		{"a sign-up without a claim", want{audit.SignUpUnpaired, 11}, func(c *logBuilder) {
			more(eventstore.AccountStream(eve), 1, "user:u_eve", domain.SignedUp{User: eve})(c)
			more(stream, 6, "operator", domain.AdminGranted{User: ada})(c)
		}},
		{"two claims of one person", want{audit.ClaimNotAlone, 12}, func(c *logBuilder) {
			joins(1, eventstore.EmailStream("e"), eventstore.EmailStream("f"))(c)
			c.log[11].event = domain.EmailClaimed{User: eve}
		}},
		{"a price in an account's stream", want{audit.WrongStream, 11}, more(stream, 6, "operator", domain.PriceSet{Price: 1})},
		{"a price that does not follow in its stream", want{audit.VersionGap, 11}, more(eventstore.PricesStream, 2, "operator", domain.PriceSet{Price: 1})},
		{"an account's fact among the prices", want{audit.WrongStream, 11}, more(eventstore.PricesStream, 1, "operator", domain.AdminGranted{User: ada})},
		{"a price of nothing", want{audit.FactBroken, 11}, more(eventstore.PricesStream, 1, "operator", domain.PriceSet{})},
		{"a price of a credit without a currency", want{audit.FactBroken, 11}, more(eventstore.PricesStream, 1, "operator", domain.PriceSet{Price: 1, CreditPrice: 150})},
		{"a period closed in an account's stream", want{audit.WrongStream, 11}, more(stream, 6, "user:u_bob", february)},
		{"a closed period that does not follow in its stream", want{audit.VersionGap, 11}, more(eventstore.PeriodsStream, 2, "user:u_bob", february)},
		{"a period closed before its end", want{audit.FactBroken, 11}, more(eventstore.PeriodsStream, 1, "user:u_bob", closing(func(e *domain.PeriodClosed) { e.Until = day.Add(1) }))},
		{"a period closed up to a later entry", want{audit.FactBroken, 11}, more(eventstore.PeriodsStream, 1, "user:u_bob", closing(func(e *domain.PeriodClosed) { e.Position = 11 }))},
		{"a period closed twice", want{audit.FactBroken, 12}, func(c *logBuilder) {
			c.by("user:u_bob", february)
			c.by("user:u_bob", february)
		}},
		{"a second claim of a user who has signed up", want{audit.SignUpUnpaired, 11}, more(eventstore.EmailStream("e"), 1, "user:u_ada", domain.EmailClaimed{User: ada})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := validLog()
			tt.lie(c)
			l := forge(t, c.log)
			_, err := l.verify(t)
			finds(t, err, tt.want)
			exportFinds(t, l, err)
			var f *audit.Fault
			if at := int(tt.want.at); errors.As(err, &f) && f.Stream != c.log[at-1].stream && f.Code != audit.SignUpUnpaired {
				t.Errorf("the fault is in stream %q, the entry in %q", f.Stream, c.log[at-1].stream)
			}
		})
	}
}

// A valid log has no faults, at the limits too.
func TestNothingIsForged(t *testing.T) {
	c := validLog()
	_, err := forge(t, c.log).verify(t)
	must(t, err)
	c.log[3].time = eventstore.Earliest
	_, err = forge(t, c.log).verify(t)
	must(t, err)
}

// decided returns the events of a decision that must not be refused.
func decided(events []domain.Event, err error) []domain.Event {
	if err != nil {
		panic(err)
	}
	return events
}

// A forger who rewrites an entry, the tree and the head leaves a log without
// contradictions. Only a head that was kept elsewhere reveals it.
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

	// Every head from the forged entry on reveals it, and none before it.
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

// headAt is the head of the log at this size.
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

// rewritten changes the time of the entry and of its append, and every node that
// follows. It returns the first changed position too.
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
