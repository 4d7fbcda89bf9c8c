package transparency_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/transparency"
	"kassa/transparency/witness"
)

// watcher is a witness that takes submissions over HTTP.
type watcher struct {
	*witness.Witness
	line  string // of the policy
	asked atomic.Int64
	away  atomic.Bool
}

func newWatcher(t *testing.T, name string, public transparency.Keys) *watcher {
	t.Helper()
	folder := filepath.Join(t.TempDir(), name)
	key, err := witness.NewKey(folder, "witness.example.org/"+name)
	must(t, err)
	w := &watcher{}
	w.Witness, err = witness.Open(folder, public)
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	handler := w.Handler(func(error) {})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		if w.away.Load() {
			http.Error(out, "away", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	w.line = fmt.Sprintf("witness %s %s %s\n", name, key, server.URL)
	return w
}

func publicOf(t *testing.T, public string) transparency.Keys {
	t.Helper()
	keys, err := transparency.ParsePublicKeys(public)
	must(t, err)
	return keys
}

// A head is cosigned by all witnesses that answer, and published with their cosignatures,
// which witnesses verify as their own; a quorum is enough. While the log does not grow
// nobody is asked again.
func TestCosignatures(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledger) {
		keys, _, public := newKey(t)
		var three []*watcher
		policy := ""
		for _, name := range []string{"w1", "w2", "w3"} {
			three = append(three, newWatcher(t, name, publicOf(t, public)))
			policy += three[len(three)-1].line
		}
		parsed, err := transparency.ParsePolicy([]byte(policy + "group g 2 w1 w2 w3\nquorum g\n"))
		must(t, err)
		c := &transparency.Collector{Log: l.store, Heads: l.heads, Policy: parsed}
		must(t, c.Collect(t.Context())) // nothing is signed yet
		signed := transparency.Checkpoint{}
		collects := func(want int, quorum bool) {
			t.Helper()
			l.grow(t, 7)
			signed = sign(t, l.signer(keys))
			if err := c.Collect(t.Context()); quorum && err != nil || !quorum && !errors.Is(err, transparency.ErrNoQuorum) {
				t.Errorf("with %d witnesses: %v", want, err)
			}
			published, cosigned, err := l.heads.Published(t.Context())
			must(t, err)
			if published.Head != signed.Head || quorum && string(published.Note) != string(cosigned.Note) {
				t.Errorf("published is %s, cosigned %s", published.Note, cosigned.Note)
			}
			if quorum && (cosigned.Head != signed.Head || cosigned.Witnesses != want || cosigned.Asked != 3 || time.Since(cosigned.At) > time.Minute || strings.Count(string(cosigned.Note), "\n— ") != want+1) {
				t.Errorf("cosigned is %+v\n%s", cosigned, cosigned.Note)
			}
			if _, err := keys.Open(published.Note); err != nil {
				t.Errorf("by the key of the log: %v", err)
			}
		}
		collects(3, true)
		asked := three[0].asked.Load()
		must(t, c.Collect(t.Context()))
		if three[0].asked.Load() != asked {
			t.Error("a head that was just cosigned was submitted again")
		}
		three[1].away.Store(true)
		collects(2, true)
		quorum := signed
		three[2].away.Store(true)
		collects(1, false)
		if _, cosigned, err := l.heads.Published(t.Context()); err != nil || cosigned.Head != quorum.Head || !cosigned.Quorum {
			t.Errorf("without a quorum the cosigned head is %+v, %v", cosigned, err)
		}
		three[1].away.Store(false) // it has missed heads, and says which one it has
		c = &transparency.Collector{Log: l.store, Heads: l.heads, Policy: parsed}
		collects(2, true)
	})
}

// A witness that has cosigned a head which the log does not continue is no mere absence:
// the service says so, and signs and answers all the same.
func TestAWitnessContradicts(t *testing.T) {
	keys, _, public := newKey(t)
	w := newWatcher(t, "w1", publicOf(t, public))
	policy, err := transparency.ParsePolicy([]byte(w.line + "quorum w1\n"))
	must(t, err)
	cosigns := func(seed uint64, size eventstore.Position) (*ledger, error) {
		l := inSQLite(t, filepath.Join(t.TempDir(), "kassa.db"))
		l.work = eventstoretest.NewWorkload(seed, 5)
		for sign(t, l.signer(keys)).Head.Size < size {
			l.grow(t, 1)
		}
		return l, (&transparency.Collector{Log: l.store, Heads: l.heads, Policy: policy}).Collect(t.Context())
	}
	_, err = cosigns(1, 20)
	must(t, err)
	for _, size := range []eventstore.Position{5, 40} { // a shorter log, and a longer one with other entries
		l, err := cosigns(2, size)
		if !errors.Is(err, transparency.ErrContradicted) {
			t.Errorf("a log of %d entries: %v", size, err)
		}
		if cosigned, err := l.heads.Cosigned(t.Context()); err != nil || cosigned.Note != nil {
			t.Errorf("it is cosigned: %s, %v", cosigned.Note, err)
		}
	}
}

// A policy that asks nobody, or counts a witness twice, is refused.
func TestParsePolicy(t *testing.T) {
	_, _, public := newKey(t)
	w := newWatcher(t, "w1", publicOf(t, public))
	for text, want := range map[string]string{
		w.line:                   "must define a quorum",
		w.line + "quorum none\n": "needs a witness",
		w.line + strings.Replace(strings.Replace(w.line, "witness w1 ", "witness w2 ", 1), "http://127.0.0.1", "http://localhost", 1) + "group g all w1 w2\nquorum g\n": "counts twice",
		strings.Replace(w.line, "http://", "ftp://", 1) + "quorum w1\n": "no http",
		"rubbish": "unknown keyword",
	} {
		_, err := transparency.ParsePolicy([]byte(text))
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) || want == "" && err != nil {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
