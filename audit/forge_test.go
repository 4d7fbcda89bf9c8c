package audit_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// forged is an entry that somebody writes past the store. What is left empty is
// what the store would have written.
type forged struct {
	stream  eventstore.Stream
	version eventstore.Version
	event   domain.Event
	cause   eventstore.Cause
	time    time.Time
	command string
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
				Type: f.event.Type(), Schema: domain.SchemaVersion, Time: f.time, Actor: "operator", Cause: f.cause}, payload)
			command := sql.NullString{String: f.command, Valid: f.command != ""}
			exec(t, c, `INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)`,
				at, string(f.stream), f.version, command, grown(t, &tree, entry), entry)
		}
		setHead(t, c, &tree)
	})
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

const ada, bob = domain.UserID("u_ada"), domain.UserID("u_bob")

// A log of five entries that is as it should be, and what a forger who keeps the
// tree right may write in it.
func TestForgedFacts(t *testing.T) {
	command := func(id string) eventstore.Cause { return eventstore.Command{ID: id, Content: "c"}.Cause() }
	day := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	opened := domain.Account{User: ada}
	bonus := decided(domain.Account{}.SignUp(ada, nil, 10))[1]
	must(t, opened.Apply(bonus))
	deposit := decided(opened.Deposit(30, "sandbox", "p"))[0].(domain.Deposited)
	must(t, opened.Apply(deposit))
	asked := decided(opened.RequestPrediction(domain.Question{Prediction: "p_1", Price: 5, Limit: 3, ExpiresAt: day}))[0]
	must(t, opened.Apply(asked))
	answered := decided(opened.Complete("p_1", domain.Answer{}))[0]

	stream := eventstore.AccountStream(ada)
	email := eventstore.EmailStream("hash-of-ada")
	fair := func() []forged {
		return []forged{
			{email, 1, domain.EmailClaimed{User: ada}, command("1"), day, "1"},
			{stream, 1, domain.SignedUp{User: ada}, command("1"), day, ""},
			{stream, 2, bonus, command("1"), day, ""},
			{stream, 3, deposit, command("2"), day, "2"},
			{stream, 4, asked, command("3"), day.Add(-time.Hour), "3"}, // another process, whose clock is behind
			{stream, 5, answered, eventstore.ByPosition(5), day, ""},
		}
	}
	more := func(f ...forged) func([]forged) []forged {
		return func(log []forged) []forged { return append(log, f...) }
	}
	edit := func(at eventstore.Position, change func(*forged)) func([]forged) []forged {
		return func(log []forged) []forged { change(&log[at-1]); return log }
	}
	tooMuch := deposit
	tooMuch.Available += 1000
	lopsided := deposit
	lopsided.Postings = []domain.Posting{{Account: domain.HouseCash, Amount: -30}, {Account: domain.AvailableOf(ada), Amount: 31}}

	for _, tt := range []struct {
		name string
		at   eventstore.Position // 0: no fault
		log  []forged
	}{
		{"as it should be", 0, fair()},
		{"a version left out", 4, edit(4, func(f *forged) { f.version = 4 })(fair())},
		{"a version used twice", 6, edit(6, func(f *forged) { f.version = 4 })(fair())},
		{"a time before Kassa", 4, edit(4, func(f *forged) { f.time = eventstore.Earliest.Add(-time.Microsecond) })(fair())},
		{"the first time there can be", 0, edit(4, func(f *forged) { f.time = eventstore.Earliest })(fair())},
		{"a balance that is not the sum", 4, edit(4, func(f *forged) { f.event = tooMuch })(fair())},
		{"postings that do not balance", 4, edit(4, func(f *forged) { f.event = lopsided })(fair())},
		{"a hold that ends twice", 7, more(forged{stream, 6, answered, eventstore.ByPosition(5), day, ""})(fair())},
		{"a command done twice", 7, more(forged{stream, 6, domain.AdminGranted{User: ada}, command("2"), day, "2"})(fair())},
		{"a command without its mark", 4, edit(4, func(f *forged) { f.command = "" })(fair())},
		{"a mark without a command", 6, edit(6, func(f *forged) { f.command = "6" })(fair())},
		{"a mark in the middle of an append", 2, edit(2, func(f *forged) { f.command = "1" })(fair())},
		{"a fact of another person", 7, more(forged{stream, 6, domain.AdminGranted{User: bob}, "", day, ""})(fair())},
		{"a fact of nobody", 7, more(forged{eventstore.AccountStream(bob), 1, domain.AdminGranted{User: bob}, "", day, ""})(fair())},
		{"an account's fact in an e-mail's stream", 7, more(forged{email, 2, domain.AdminGranted{User: ada}, "", day, ""})(fair())},
		{"a stream of no kind", 7, more(forged{"till-1", 1, domain.AdminGranted{User: ada}, "", day, ""})(fair())},
		{"a claim in an account's stream", 7, more(forged{stream, 6, domain.EmailClaimed{User: ada}, "", day, ""})(fair())},
		{"an e-mail claimed again", 7, more(
			forged{email, 2, domain.EmailClaimed{User: bob}, command("9"), day, "9"},
			forged{eventstore.AccountStream(bob), 1, domain.SignedUp{User: bob}, command("9"), day, ""})(fair())},
		{"a claim that is not the first of its stream", 7, more(
			forged{eventstore.EmailStream("b"), 2, domain.EmailClaimed{User: bob}, command("9"), day, "9"},
			forged{eventstore.AccountStream(bob), 1, domain.SignedUp{User: bob}, command("9"), day, ""})(fair())},
		{"a sign-up in another's stream", 8, more(
			forged{eventstore.EmailStream("b"), 1, domain.EmailClaimed{User: bob}, command("9"), day, "9"},
			forged{eventstore.AccountStream("u_eve"), 1, domain.SignedUp{User: bob}, command("9"), day, ""})(fair())},
		{"a claim without a sign-up, at the end", 7, more(
			forged{eventstore.EmailStream("b"), 1, domain.EmailClaimed{User: bob}, command("9"), day, "9"})(fair())},
		{"a claim and a sign-up in two appends", 7, more(
			forged{eventstore.EmailStream("b"), 1, domain.EmailClaimed{User: bob}, command("9"), day, "9"},
			forged{eventstore.AccountStream(bob), 1, domain.SignedUp{User: bob}, command("10"), day, "10"})(fair())},
		{"a sign-up without a claim", 7, more(
			forged{eventstore.AccountStream(bob), 1, domain.SignedUp{User: bob}, command("9"), day, "9"},
			forged{stream, 6, domain.AdminGranted{User: ada}, command("10"), day, "10"})(fair())},
		{"two claims of one person", 8, more(
			forged{eventstore.EmailStream("b"), 1, domain.EmailClaimed{User: bob}, command("9"), day, "9"},
			forged{eventstore.EmailStream("c"), 1, domain.EmailClaimed{User: bob}, command("9"), day, ""},
			forged{eventstore.AccountStream(bob), 1, domain.SignedUp{User: bob}, command("9"), day, ""})(fair())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := forge(t, tt.log).verify(t)
			if tt.at == 0 {
				must(t, err)
				return
			}
			faultAt(t, err, tt.at)
		})
	}
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

// rewritten changes who did what the entry tells and what was appended with it,
// and every node that follows. It gives the first changed position too.
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
				rec.Actor = "somebody else"
				entry = eventstore.EncodeEntry(rec.Envelope, payload)
			}
			exec(t, c, `UPDATE events SET entry = ?, hashes = ? WHERE position = ?`, entry, grown(t, &tree, entry), rec.Position)
		}
		setHead(t, c, &tree)
		exec(t, c, `COMMIT`)
	}), first
}
