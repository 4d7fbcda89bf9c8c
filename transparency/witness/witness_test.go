package witness_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	cosigning "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/transparency"
	"kassa/transparency/witness"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ledger is a signed log in a file.
type ledger struct {
	store  *eventstore.Store
	signer *transparency.Signer
	work   *eventstoretest.Workload
	file   *schema.SQLite
}

func open(t *testing.T, path string, seed uint64, keys transparency.Keys) *ledger {
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
	return &ledger{store, &transparency.Signer{Log: store, Heads: transparency.SQLiteHeads(db), Keys: keys}, eventstoretest.NewWorkload(seed, 5), db}
}

// grow appends entries and signs the head.
func (l *ledger) grow(t *testing.T, entries int) transparency.Checkpoint {
	t.Helper()
	_, err := l.work.Step(t.Context(), l.store, entries)
	must(t, err)
	signed, err := l.signer.Sign(t.Context())
	must(t, err)
	return signed
}

// site publishes one ledger after the other at one address.
type site struct {
	at     *witness.Log
	shows  atomic.Pointer[ledger]
	spoil  atomic.Bool // a byte of each tile is another
	closed atomic.Bool
}

func publish(t *testing.T, l *ledger) *site {
	t.Helper()
	s := &site{}
	s.shows.Store(l)
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	var err error
	s.at, err = witness.At(server.URL)
	must(t, err)
	return s
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	l := s.shows.Load()
	signed, err := l.signer.Heads.Last(r.Context())
	body := signed.Note
	if path, is := strings.CutPrefix(r.URL.Path, "/log/tile/"); err == nil && is {
		var tile transparency.Tile
		if tile, err = transparency.ParseTile(path); err == nil {
			body, err = tile.Read(r.Context(), l.store, signed.Head)
		}
		if err == nil && s.spoil.Load() {
			body[5] ^= 1
		}
	}
	if err != nil || s.closed.Load() {
		http.Error(w, fmt.Sprint(err), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write(body)
}

// world is a published log, with its keys and the folder of a witness.
type world struct {
	*ledger
	site   *site
	keys   transparency.Keys // private
	public transparency.Keys
	folder string
	key    note.Verifier // of the witness
}

const origin = "kassa.example.com/ledger"

func newWorld(t *testing.T) world {
	t.Helper()
	private, public, err := transparency.NewKey(origin)
	must(t, err)
	w := world{folder: filepath.Join(t.TempDir(), "witness")}
	w.keys, err = transparency.ParseKeys(private)
	must(t, err)
	w.public, err = transparency.ParsePublicKeys(public)
	must(t, err)
	cosigns, err := witness.NewKey(w.folder, "witness.example.org/w1")
	must(t, err)
	w.key, err = cosigning.NewVerifierForCosignatureV1(cosigns)
	must(t, err)
	w.ledger = open(t, filepath.Join(t.TempDir(), "kassa.db"), 1, w.keys)
	w.site = publish(t, w.ledger)
	return w
}

func (w world) witness(t *testing.T) *witness.Witness {
	t.Helper()
	opened, err := witness.Open(w.folder, w.public)
	must(t, err)
	t.Cleanup(func() { must(t, opened.Close()) })
	return opened
}

// A witness follows a log by its address alone, through tiles that are full and partial, and
// cosigns each head; what it has seen is there after a restart, and another process cannot
// take its folder meanwhile. Without a key it verifies all the same.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	first := w.grow(t, 5)
	for _, entries := range []int{0, 30, 300, 300} {
		if entries > 0 {
			first = w.grow(t, entries)
		}
		watching, err := witness.Open(w.folder, w.public)
		must(t, err)
		head, err := watching.Check(t.Context(), w.site.at)
		if err != nil || head.Head != first.Head {
			t.Fatalf("the head of size %d: %v, %v", first.Head.Size, head.Head, err)
		}
		if opened, err := note.Open(head.Note, note.VerifierList(w.key)); err != nil || len(opened.Sigs) != 1 {
			t.Errorf("the cosigned note: %v\n%s", err, head.Note)
		}
		if _, err := w.public.Open(head.Note); err != nil {
			t.Errorf("by the key of the log: %v", err)
		}
		if _, err := witness.Open(w.folder, w.public); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("opened twice: %v", err)
		}
		must(t, watching.Close())
	}
	must(t, os.Remove(filepath.Join(w.folder, "witness.key")))
	last := w.grow(t, 3)
	if head, err := w.witness(t).Check(t.Context(), w.site.at); err != nil || string(head.Note) != string(last.Note) {
		t.Errorf("without a key: %v\n%s", err, head.Note)
	}
}

// contradiction wants the alarm, kept once in the folder with both notes, and what was seen
// unchanged.
func contradiction(t *testing.T, w *witness.Witness, at *witness.Log, kind witness.Kind) {
	t.Helper()
	before := w.Last()
	for range 2 {
		_, err := w.Check(t.Context(), at)
		found, is := errors.AsType[*witness.Contradiction](err)
		if !is || found.Kind != kind {
			t.Fatalf("instead of %s: %v", kind, err)
		}
	}
	kept, err := w.Evidence()
	if err != nil || len(kept) != 1 || !strings.Contains(kept[0], string(kind)) {
		t.Fatalf("the evidence is %v, %v", kept, err)
	}
	text, err := os.ReadFile(kept[0])
	if err != nil || strings.Count(string(text), "\n— ") < 2 || !strings.Contains(string(text), string(before.Note)) {
		t.Errorf("the evidence has %s, %v", text, err)
	}
	if string(w.Last().Note) != string(before.Note) {
		t.Error("what contradicts was kept as the last head")
	}
}

// What a dishonest or restored log can show is an alarm of its kind.
func TestContradictions(t *testing.T) {
	for kind, change := range map[witness.Kind]func(t *testing.T, w world){
		witness.Rollback: func(t *testing.T, w world) { // the restore of an older backup
			old := open(t, filepath.Join(t.TempDir(), "old.db"), 1, w.keys)
			old.grow(t, 5)
			w.site.shows.Store(old)
		},
		witness.SplitView: func(t *testing.T, w world) { // a larger log, with other entries
			other := open(t, filepath.Join(t.TempDir(), "other.db"), 2, w.keys)
			for other.grow(t, 5).Head.Size < 60 {
			}
			w.site.shows.Store(other)
		},
		witness.WrongTiles: func(t *testing.T, w world) { w.grow(t, 5); w.site.spoil.Store(true) },
		witness.OtherLog: func(t *testing.T, w world) {
			private, _, err := transparency.NewKey(origin + "-2")
			must(t, err)
			keys, err := transparency.ParseKeys(private)
			must(t, err)
			other := open(t, filepath.Join(t.TempDir(), "other.db"), 1, keys)
			for other.grow(t, 5).Head.Size < 60 {
			}
			w.site.shows.Store(other)
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			for w.grow(t, 5).Head.Size < 20 {
			}
			watching := w.witness(t)
			_, err := watching.Check(t.Context(), w.site.at)
			must(t, err)
			change(t, w)
			contradiction(t, watching, w.site.at, kind)
		})
	}
}

// A log that is not reached, or shows what its key has not signed, is no contradiction:
// nothing is known.
func TestUnknown(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 5)
	watching := w.witness(t)
	_, err := watching.Check(t.Context(), w.site.at)
	must(t, err)
	stranger := newWorld(t) // of the same name, with another key
	stranger.grow(t, 9)
	w.site.shows.Store(stranger.ledger)
	if _, err := watching.Check(t.Context(), w.site.at); !errors.Is(err, witness.ErrUnsigned) {
		t.Errorf("a head that another key has signed: %v", err)
	}
	w.site.closed.Store(true)
	_, err = watching.Check(t.Context(), w.site.at)
	if _, unreachable := errors.AsType[*witness.UnreachableError](err); !unreachable {
		t.Errorf("a log that does not answer: %v", err)
	}
	if kept, err := watching.Evidence(); err != nil || len(kept) > 0 {
		t.Errorf("the evidence is %v, %v", kept, err)
	}
}

// submission is the body of add-checkpoint.
func submission(t *testing.T, l *ledger, old eventstore.Head, signed transparency.Checkpoint) string {
	t.Helper()
	text := fmt.Sprintf("old %d\n", old.Size)
	if 0 < old.Size && old.Size < signed.Head.Size {
		proof, err := tlog.ProveTree(int64(signed.Head.Size), int64(old.Size), l.store.Nodes(t.Context()))
		must(t, err)
		for _, hash := range proof {
			text += hash.String() + "\n"
		}
	}
	return text + "\n" + string(signed.Note)
}

func submit(t *testing.T, h http.Handler, body string) (status int, kind, answer string) {
	t.Helper()
	out := httptest.NewRecorder()
	h.ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/add-checkpoint", strings.NewReader(body)))
	text, err := io.ReadAll(out.Body)
	must(t, err)
	return out.Code, out.Header().Get("Content-Type"), string(text)
}

// The answers of add-checkpoint are those of C2SP tlog-witness.
func TestAddCheckpoint(t *testing.T) {
	w := newWorld(t)
	first := w.grow(t, 5)
	second := w.grow(t, 10)
	other := newWorld(t)
	foreign := other.grow(t, 5)
	fork := open(t, filepath.Join(t.TempDir(), "fork.db"), 2, w.keys)
	var forked transparency.Checkpoint
	for forked.Head.Size < second.Head.Size {
		forked = fork.grow(t, 1)
	}
	watching := w.witness(t)
	h := watching.Handler(func(error) {})
	good := submission(t, w.ledger, first.Head, second)
	for _, tt := range []struct {
		name, body string
		status     int
		answer     string
	}{
		{"a proof before the first head", "old 5\n\n" + string(second.Note), 409, "0\n"},
		{"the first head is taken", submission(t, w.ledger, eventstore.Head{}, first), 200, "— witness.example.org/w1 "},
		{"again from nothing", submission(t, w.ledger, eventstore.Head{}, second), 409, fmt.Sprintf("%d\n", first.Head.Size)},
		{"without a proof", fmt.Sprintf("old %d\n\n%s", first.Head.Size, second.Note), 422, "proof"},
		{"with a proof where nothing is to prove", fmt.Sprintf("old %d\n%s\n\n%s", first.Head.Size, tlog.Hash{}, first.Note), 422, "proof"},
		{"of another key", submission(t, other.ledger, eventstore.Head{}, foreign), 403, "not signed"},
		{"of another log", strings.Replace(good, origin+"\n", "other.example.com\n", 1), 404, "no log of that name"},
		{"an old size above the head's", fmt.Sprintf("old %d\n\n%s", second.Head.Size, first.Note), 400, "form"},
		{"no old size", "\n" + good, 400, "form"},
		{"an old size with a zero before it", strings.Replace(good, "old ", "old 0", 1), 400, "form"},
		{"a line that is no hash", strings.Replace(good, "\n", "\nAAAA\n", 1), 400, "form"},
		{"a proof that is too long", strings.Replace(good, "\n", "\n"+strings.Repeat(tlog.Hash{}.String()+"\n", 64), 1), 400, "form"},
		{"larger than a submission can be", good + strings.Repeat("x", 70_000), 400, "form"},
		{"the next head", good, 200, "— witness.example.org/w1 "},
		{"the same head again", submission(t, w.ledger, second.Head, second), 200, "— witness.example.org/w1 "},
		{"an older head", submission(t, w.ledger, first.Head, first), 409, fmt.Sprintf("%d\n", second.Head.Size)},
	} {
		status, kind, answer := submit(t, h, tt.body)
		if status != tt.status || !strings.Contains(answer, tt.answer) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, answer, tt.status, tt.answer)
		}
		if strings.HasSuffix(tt.answer, "\n") && (kind != "text/x.tlog.size" || answer != tt.answer) {
			t.Errorf("%s: a conflict is %q as %s", tt.name, answer, kind)
		}
	}
	if forked.Head.Size == second.Head.Size {
		status, _, answer := submit(t, h, submission(t, fork, forked.Head, forked))
		if kept, err := watching.Evidence(); status != 409 || !strings.Contains(answer, "split_view") || err != nil || len(kept) != 1 {
			t.Errorf("another head of the same size: %d %s, evidence %v", status, answer, kept)
		}
	}
}

// Of submissions at the same time the witness keeps the largest: none that it has cosigned
// is larger than the one that it keeps.
func TestSubmissionsAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	watching := w.witness(t)
	h := watching.Handler(func(error) {})
	first := w.grow(t, 5)
	if status, _, answer := submit(t, h, submission(t, w.ledger, eventstore.Head{}, first)); status != 200 {
		t.Fatal(status, answer)
	}
	var next []transparency.Checkpoint
	for range 8 {
		next = append(next, w.grow(t, 3))
	}
	var largest atomic.Int64
	var all sync.WaitGroup
	for _, signed := range next {
		body := submission(t, w.ledger, first.Head, signed)
		all.Go(func() {
			if status, _, _ := submit(t, h, body); status == 200 {
				largest.Store(int64(signed.Head.Size)) // one alone succeeds: the others continue an older head
			}
		})
		all.Go(func() { _, _ = watching.Check(context.WithoutCancel(t.Context()), w.site.at) })
	}
	all.Wait()
	if last := int64(watching.Last().Head.Size); last < largest.Load() || last != int64(next[7].Head.Size) {
		t.Errorf("the last head has %d entries, and one of %d was cosigned", last, largest.Load())
	}
}
