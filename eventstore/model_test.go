package eventstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
)

// model is the log as a slice: what the store promises, said in thirty lines.
type model struct {
	log      []entry
	versions map[eventstore.Stream]eventstore.Version
	commands map[string]done
}

type entry struct {
	stream  eventstore.Stream
	version eventstore.Version
}

type done struct {
	content     string
	first, last eventstore.Position
}

func (m *model) append(a eventstore.Append) (first, last eventstore.Position, replayed bool, err error) {
	command, named := a.Cause.Command()
	if then, ok := m.commands[command.ID]; named && ok {
		if then.content != command.Content {
			return 0, 0, false, eventstore.ErrKeyReused
		}
		return then.first, then.last, true, nil
	}
	for _, w := range a.Writes {
		if m.versions[w.Stream] != w.Expected {
			return 0, 0, false, eventstore.ErrConflict
		}
	}
	first = eventstore.Position(len(m.log) + 1)
	for _, w := range a.Writes {
		for range w.Events {
			m.versions[w.Stream]++
			m.log = append(m.log, entry{w.Stream, m.versions[w.Stream]})
		}
	}
	last = eventstore.Position(len(m.log))
	if named {
		m.commands[command.ID] = done{command.Content, first, last}
	}
	return first, last, false, nil
}

// Random appends over a few streams, with right and wrong versions, with keys
// used again for the same and for other things, by two processes one of which
// now and then starts anew, and with commits that fail on either side: the store
// does what the model does.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "kassa-model-")
		noError(t, err)
		defer os.RemoveAll(dir)
		m := model{versions: map[eventstore.Stream]eventstore.Version{}, commands: map[string]done{}}
		two := []*process{start(t, dir), start(t, dir)}
		defer func() { two[0].stop(t); two[1].stop(t) }()
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			which := rapid.IntRange(0, 1).Draw(t, "process")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				two[which].stop(t)
				two[which] = start(t, dir)
			case 1:
				two[which].faults.Once(eventstore.BeforeCommit, fails)
			case 2:
				two[which].faults.Once(eventstore.AfterCommit, fails)
			default:
				step(t, &m, two[which], drawAppend(t, &m))
			}
		}
		compare(t, &m, two[0].store)
	})
}

// process is a store with its own connections to the file in a folder.
type process struct {
	db     *schema.SQLite
	store  *eventstore.Store
	faults *eventstore.Faults
}

func start(t *rapid.T, dir string) *process {
	ctx := t.Context()
	db, err := schema.OpenSQLite(ctx, filepath.Join(dir, "kassa.db"))
	noError(t, err)
	store, faults, err := eventstore.OpenFaults(ctx, db)
	noError(t, err)
	return &process{db, store, faults}
}

func (p *process) stop(t *rapid.T) {
	p.store.Close()
	noError(t, p.db.Close())
}

func noError(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func drawAppend(t *rapid.T, m *model) eventstore.Append {
	var a eventstore.Append
	streams := rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 1, 3, rapid.ID).Draw(t, "streams")
	for i, n := range streams {
		stream := eventstore.Stream(fmt.Sprint("s-", n))
		expected := m.versions[stream]
		if rapid.IntRange(0, 7).Draw(t, "wrong") == 0 {
			expected += eventstore.Version(rapid.SampledFrom([]int{-1, 1}).Draw(t, "by"))
		}
		least := 0 // a version only
		if i == 0 {
			least = 1
		}
		one := plain(stream, expected, rapid.IntRange(least, 3).Draw(t, "events"))
		one.Writes = append(a.Writes, one.Writes...)
		a = one
	}
	if rapid.Bool().Draw(t, "by a command") {
		a = commanded(a, fmt.Sprint("key-", rapid.IntRange(0, 5).Draw(t, "key")), rapid.SampledFrom([]string{"this", "that"}).Draw(t, "content"))
	}
	return a
}

// step appends, and where the outcome is unknown does what a caller does: it
// looks.
func step(t *rapid.T, m *model, p *process, a eventstore.Append) {
	before, err := p.store.Head(t.Context())
	noError(t, err)
	r, err := p.store.Append(t.Context(), a)
	if errors.Is(err, eventstore.ErrUnknown) {
		after, err := p.store.Head(t.Context())
		noError(t, err)
		if after.Size != before.Size {
			if _, last, _, err := m.append(a); err != nil || last != after.Size {
				t.Fatalf("a commit of unknown outcome led to size %d, the model says %d, %v", after.Size, last, err)
			}
		}
		return
	}
	first, last, replayed, want := m.append(a)
	if !errors.Is(err, want) || (want == nil && err != nil) {
		t.Fatalf("the store says %v, the model %v", err, want)
	}
	if want != nil {
		if len(r.Events) > 0 {
			t.Fatalf("a receipt of %d events came with %v", len(r.Events), err)
		}
		return
	}
	if r.Events[0].Position != first || r.Position() != last || r.Replayed != replayed {
		t.Fatalf("the receipt is of %d to %d, replayed %t; the model says %d to %d, %t",
			r.Events[0].Position, r.Position(), r.Replayed, first, last, replayed)
	}
}

func compare(t *rapid.T, m *model, store *eventstore.Store) {
	log := eventstoretest.CheckLog(t, store)
	if len(log) != len(m.log) {
		t.Fatalf("the log has %d entries, the model %d", len(log), len(m.log))
	}
	for i, want := range m.log {
		if log[i].Stream != want.stream || log[i].Version != want.version {
			t.Fatalf("position %d is version %d of %s, the model says %+v", i+1, log[i].Version, log[i].Stream, want)
		}
	}
}
