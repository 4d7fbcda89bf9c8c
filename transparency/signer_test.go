package transparency_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
	"kassa/transparency"
)

const origin = "kassa.example.com/ledger"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ledger is a log with the place of its signed heads, and work that makes it grow.
type ledger struct {
	store *eventstore.Store
	heads transparency.Heads
	exec  func(t *testing.T, statement string) // with the rights of the database's owner
	work  *eventstoretest.Workload
	bytes string // the database's type of bytes
}

func (l *ledger) grow(t *testing.T, entries int) {
	t.Helper()
	_, err := l.work.Step(t.Context(), l.store, entries)
	must(t, err)
}

// inSQLite opens a ledger in the file.
func inSQLite(t *testing.T, path string) *ledger {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), path)
	must(t, err)
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	t.Cleanup(func() {
		audittest.CheckLedger(t, store)
		store.Close()
		must(t, db.Close())
	})
	return &ledger{store, transparency.SQLiteHeads(db), func(t *testing.T, statement string) {
		t.Helper()
		_, err := db.Write.ExecContext(t.Context(), statement)
		must(t, err)
	}, eventstoretest.NewWorkload(1, 5), "BLOB"}
}

func inPostgres(t *testing.T, url string) *ledger {
	t.Helper()
	pool, err := schema.OpenPostgres(t.Context(), url, 6)
	must(t, err)
	store, err := eventstore.Postgres(t.Context(), pool)
	must(t, err)
	owner, err := pgxpool.New(t.Context(), url)
	must(t, err)
	t.Cleanup(func() {
		audittest.CheckLedger(t, store)
		store.Close()
		pool.Close()
		owner.Close()
	})
	return &ledger{store, transparency.PostgresHeads(pool), func(t *testing.T, statement string) {
		t.Helper()
		_, err := owner.Exec(t.Context(), statement)
		must(t, err)
	}, eventstoretest.NewWorkload(1, 5), "bytea"}
}

// onBoth runs a test over a new ledger of each engine.
func onBoth(t *testing.T, test func(t *testing.T, l *ledger)) {
	t.Run("SQLite", func(t *testing.T) { test(t, inSQLite(t, filepath.Join(t.TempDir(), "kassa.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, inPostgres(t, schematest.Postgres(t))) })
}

// newKey makes the keys of a file with one key.
func newKey(t *testing.T) (keys transparency.Keys, private, public string) {
	t.Helper()
	private, public, err := transparency.NewKey(origin)
	must(t, err)
	keys, err = transparency.ParseKeys(private)
	must(t, err)
	return keys, private, public
}

func (l *ledger) signer(keys transparency.Keys) *transparency.Signer {
	return &transparency.Signer{Log: l.store, Heads: l.heads, Keys: keys}
}

func sign(t *testing.T, s *transparency.Signer) transparency.Checkpoint {
	t.Helper()
	signed, err := s.Sign(t.Context())
	must(t, err)
	return signed
}

// An empty log has no signed head. What is signed is verified by package note, is kept, and
// stays the same until the log grows; the next head is a continuation.
func TestSignedHeads(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledger) {
		keys, _, public := newKey(t)
		s := l.signer(keys)
		if first := sign(t, s); first.Note != nil {
			t.Errorf("an empty log has the signed head %s", first.Note)
		}
		l.grow(t, 5)
		first := sign(t, s)
		if again := sign(t, s); string(again.Note) != string(first.Note) {
			t.Errorf("signed again, it is\n%s\nand was\n%s", again.Note, first.Note)
		}
		verifier, err := note.NewVerifier(public)
		must(t, err)
		opened, err := note.Open(first.Note, note.VerifierList(verifier))
		must(t, err)
		head, err := l.store.Head(t.Context())
		must(t, err)
		if lines := strings.Split(opened.Text, "\n"); lines[0] != origin || first.Head != head {
			t.Errorf("of the head %v this is signed:\n%s", head, opened.Text)
		}
		l.grow(t, 4)
		next := sign(t, s)
		if next.Head.Size <= first.Head.Size {
			t.Fatalf("after %d entries %d are signed", first.Head.Size, next.Head.Size)
		}
		proof, err := tlog.ProveTree(int64(next.Head.Size), int64(first.Head.Size), l.store.Nodes(t.Context()))
		must(t, err)
		must(t, tlog.CheckTree(proof, int64(next.Head.Size), tlog.Hash(next.Head.Root), int64(first.Head.Size), tlog.Hash(first.Head.Root)))
		if kept, err := l.heads.Last(t.Context()); err != nil || string(kept.Note) != string(next.Note) {
			t.Errorf("kept is %s, %v", kept.Note, err)
		}
	})
}

// A log that was set back is not signed: not while it is shorter, and not when it has grown
// beyond the signed head in another way. What is published stays as it was.
func TestARestoredLogIsNotSigned(t *testing.T) {
	url := schematest.Postgres(t)
	l := inPostgres(t, url)
	keys, _, _ := newKey(t)
	l.grow(t, 5)
	back := schematest.Backup(t, url)
	l.grow(t, 3)
	signed := sign(t, l.signer(keys))
	back()
	after := inPostgres(t, url)
	refused := func(when string) {
		t.Helper()
		_, err := after.signer(keys).Sign(t.Context())
		if !errors.Is(err, transparency.ErrNotExtended) || !strings.Contains(err.Error(), "older backup") {
			t.Errorf("%s: %v", when, err)
		}
		if kept, err := after.heads.Last(t.Context()); err != nil || string(kept.Note) != string(signed.Note) {
			t.Errorf("%s: published is %s, %v", when, kept.Note, err)
		}
	}
	refused("shorter")
	after.work = eventstoretest.NewWorkload(2, 5)
	for range 4 {
		after.grow(t, 3)
	}
	refused("grown again")
}

// With the whole database an old signed head is put back too: only the file outside of it
// knows better.
func TestARestoredDatabaseIsNotSigned(t *testing.T) {
	folder := t.TempDir()
	path, old, outside := filepath.Join(folder, "kassa.db"), filepath.Join(folder, "old.db"), filepath.Join(folder, "signed-head")
	keys, _, _ := newKey(t)
	l := inSQLite(t, path)
	signer := l.signer(keys)
	signer.File = outside
	l.grow(t, 5)
	sign(t, signer)
	l.exec(t, `VACUUM INTO '`+old+`'`)
	l.grow(t, 3)
	newest := sign(t, signer)

	restored := inSQLite(t, old)
	sign(t, restored.signer(keys)) // nothing in the database shows it
	restored.work = eventstoretest.NewWorkload(2, 5)
	again := restored.signer(keys)
	again.File = outside
	for range 4 {
		if _, err := again.Sign(t.Context()); !errors.Is(err, transparency.ErrNotExtended) {
			t.Errorf("of a restored database: %v", err)
		}
		restored.grow(t, 3)
	}
	if kept, err := os.ReadFile(outside); err != nil || string(kept) != string(newest.Note) {
		t.Errorf("the file has %s, %v", kept, err)
	}
}

// A crash between the file and the database leaves the file ahead: signing goes on. Where one
// of them has none, nothing is signed until a person has said which one counts.
func TestTheFileIsAheadAfterACrash(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledger) {
		keys, _, _ := newKey(t)
		s := l.signer(keys)
		l.grow(t, 4)
		sign(t, s)
		s.File = filepath.Join(t.TempDir(), "signed-head")
		if _, err := s.Sign(t.Context()); !errors.Is(err, transparency.ErrOneIsGone) {
			t.Errorf("with a file that is not there: %v", err)
		}
		_, err := s.Keep(t.Context())
		must(t, err)
		l.grow(t, 2)
		crashing, stop := context.WithCancel(t.Context())
		stop()
		if _, err := s.Sign(crashing); err == nil {
			t.Error("signed without a database")
		}
		sign(t, s)
		written, err := os.ReadFile(s.File)
		must(t, err)
		l.grow(t, 2)
		other := l.signer(keys) // without the file: the file falls behind
		sign(t, other)
		newest := sign(t, s)
		if now, err := os.ReadFile(s.File); err != nil || string(now) != string(newest.Note) || string(now) == string(written) {
			t.Errorf("the file has %s, %v", now, err)
		}
		l.remove(t)
		if _, err := s.Sign(t.Context()); !errors.Is(err, transparency.ErrOneIsGone) {
			t.Errorf("with no head in the database: %v", err)
		}
		if kept, err := s.Keep(t.Context()); err != nil || string(kept.Note) != string(newest.Note) {
			t.Errorf("kept is %s, %v", kept.Note, err)
		}
		sign(t, s)
	})
}

// remove deletes the signed head, as only the owner of the database can.
func (l *ledger) remove(t *testing.T) {
	t.Helper()
	drop, create := `ALTER TABLE signed_head DISABLE TRIGGER signed_head_stays`, `ALTER TABLE signed_head ENABLE ALWAYS TRIGGER signed_head_stays`
	if l.bytes == "BLOB" {
		drop, create = `DROP TRIGGER signed_head_stays`, `CREATE TRIGGER signed_head_stays BEFORE DELETE ON signed_head
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END`
	}
	l.exec(t, drop)
	l.exec(t, `DELETE FROM signed_head`)
	l.exec(t, create)
}

// A signed head that somebody wrote into the database, or a file, without the key stops
// signing; so does one in a form that is none.
func TestAForgedHeadIsNotContinued(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledger) {
		keys, _, _ := newKey(t)
		alien, _, _ := newKey(t)
		l.grow(t, 4)
		sign(t, l.signer(alien))
		if _, err := l.signer(keys).Sign(t.Context()); !errors.Is(err, transparency.ErrForeign) {
			t.Errorf("a head that another key has signed: %v", err)
		}
		l.exec(t, `UPDATE signed_head SET note = CAST('forged' AS `+l.bytes+`)`)
		if _, err := l.signer(alien).Sign(t.Context()); err == nil || !strings.Contains(err.Error(), "no signed checkpoint") {
			t.Errorf("no head at all: %v", err)
		}
	})
}

// While a key is replaced both sign; then the old one only verifies.
func TestKeysAreReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledger) {
		oldKeys, old, oldPublic := newKey(t)
		_, next, nextPublic := newKey(t)
		l.grow(t, 4)
		first := sign(t, l.signer(oldKeys))
		both, err := transparency.ParseKeys("# since May\n" + next + "\n" + old)
		must(t, err)
		signed := sign(t, l.signer(both))
		if signed.Head != first.Head || strings.Count(string(signed.Note), "\n— "+origin) != 2 {
			t.Errorf("with both keys it is\n%s", signed.Note)
		}
		for _, public := range []string{oldPublic, nextPublic} {
			verifier, err := note.NewVerifier(public)
			must(t, err)
			if _, err := note.Open(signed.Note, note.VerifierList(verifier)); err != nil {
				t.Errorf("by %s: %v", public, err)
			}
		}
		lost, err := transparency.ParseKeys(next + oldPublic)
		must(t, err)
		l.grow(t, 2)
		if signed := sign(t, l.signer(lost)); strings.Count(string(signed.Note), "\n— "+origin) != 1 {
			t.Errorf("with the new key it is\n%s", signed.Note)
		}
	})
}

// Of signers at the same time each publishes heads that continue each other: what is lost is
// never published.
func TestSignersAtTheSameTime(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledger) {
		keys, _, _ := newKey(t)
		l.grow(t, 3)
		var all sync.WaitGroup
		var mu sync.Mutex
		var signed []transparency.Checkpoint
		for range 4 {
			all.Go(func() {
				for range 6 {
					c, err := l.signer(keys).Sign(t.Context())
					if err != nil {
						continue // another was faster
					}
					mu.Lock()
					signed = append(signed, c)
					mu.Unlock()
				}
			})
		}
		for range 6 {
			l.grow(t, 2)
		}
		all.Wait()
		last := sign(t, l.signer(keys))
		for _, c := range signed {
			if err := l.store.Extends(t.Context(), last.Head, c.Head); err != nil {
				t.Errorf("the head of size %d was published: %v", c.Head.Size, err)
			}
		}
		if len(signed) == 0 {
			t.Error("nobody signed")
		}
	})
}

// What is no key file is refused, and no error shows a private key.
func TestParseKeys(t *testing.T) {
	_, private, public := newKey(t)
	foreign, _, err := transparency.NewKey("other.example.com/ledger")
	must(t, err)
	for text, want := range map[string]string{
		"": "no private key", public: "no private key", "PRIVATE+KEY+x": "no private key of the form", private + foreign: "of several logs", "rubbish": "no public key",
		strings.Replace(private, "+A", "+B", 1): "no private key of the form",
	} {
		_, err := transparency.ParseKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), strings.TrimSpace(private[len(private)-20:])) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	if keys, err := transparency.ParseKeys(private + public); err != nil || len(keys.Public()) != 1 || keys.Public()[0] != public {
		t.Errorf("a key beside its own public one: %v, %v", keys.Public(), err)
	}
}
