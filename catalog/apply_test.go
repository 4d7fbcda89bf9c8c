package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// waiting is an embedder that says when it is asked, and answers when it may.
type waiting struct {
	hashing
	asked chan struct{}
	may   chan struct{}
}

func newWaiting(model string) waiting {
	return waiting{hashing{model: model, dims: 16}, make(chan struct{}), make(chan struct{})}
}

func (w waiting) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	select {
	case w.asked <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-w.may:
		return w.hashing.EmbedAll(ctx, texts)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// filling runs Fill until the test ends. It gives how each time ended, and stops it before.
func filling(t *testing.T, c *Catalogue, models ...Embedder) (times chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	times, over := make(chan error, 10), make(chan error, 1)
	go func() { over <- c.Fill(ctx, models, func(err error) { times <- err }) }()
	return times, func() {
		t.Helper()
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
}

// filmsOf is how many films have a vector of a model.
func filmsOf(c *Catalogue, model string) int {
	for _, m := range c.Models() {
		if m.Version == model {
			return m.Films
		}
	}
	return 0
}

// An edition waits for the first model alone. While another one still embeds what it changed,
// it is found, and the next edition is made.
func TestEditionsWaitForOneModel(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		c := db.open(t)
		mustImport(t, c, shipped(t)[:3], small, Report{Added: 3, Embedded: 3})
		slow := newWaiting("slow-1")
		times, stop := filling(t, c, small, slow)
		edited(t, c, Edit{Films: []Movie{lighthouse()}})
		<-slow.asked
		if got := foundFirst(t, c, "widow lighthouse heron"); got != lighthouse().ID {
			t.Errorf("%s is found first", got)
		}
		second := lighthouse()
		second.ID, second.Year = "the-keeper-of-the-lamp-2022", 2022
		if made := edited(t, c, Edit{Films: []Movie{second}}); made.Number != 2 {
			t.Errorf("the edition is %+v", made)
		}
		if n := filmsOf(c, slow.model); n != 0 {
			t.Errorf("%d films have a vector of the model that waits", n)
		}
		close(slow.may)
		for n := 0; n < c.Len(); n = filmsOf(c, slow.model) { // the second may have come in with the first
			select {
			case <-slow.asked:
			case err := <-times:
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if filmsOf(c, small.model) != 5 {
			t.Errorf("the models are %+v", c.Models())
		}
		stop()
	})
}

// A model that fails is reported, and the next edition tries again. The end of the service ends
// a model that is embedding.
func TestFillFailsAndEnds(t *testing.T) {
	c := given(t, shipped(t)[:3], small)
	broken := errors.New("no memory")
	var fails atomic.Bool
	fails.Store(true)
	slow := newWaiting("slow-1")
	close(slow.may)
	slow.before = func([]string) error {
		if fails.Load() {
			return broken
		}
		return nil
	}
	times, stop := filling(t, c, slow)
	edited(t, c, Edit{Films: []Movie{lighthouse()}})
	<-slow.asked
	if err := <-times; !errors.Is(err, broken) {
		t.Errorf("it ended with %v", err)
	}
	fails.Store(false)
	film := lighthouse()
	film.Description = "A widow."
	edited(t, c, Edit{Films: []Movie{film}})
	for done := false; !done; {
		select {
		case <-slow.asked:
		case err := <-times:
			done = err == nil
		}
	}
	if filmsOf(c, slow.model) != 4 {
		t.Errorf("the models are %+v", c.Models())
	}
	stop()

	ended := newWaiting("slow-2")
	times, stop = filling(t, c, ended)
	edited(t, c, Edit{Films: []Movie{lighthouse()}})
	<-ended.asked
	stop()
	if len(times) > 0 {
		t.Errorf("the end is reported as %v", <-times)
	}
}

// lossy is a store whose answers to changes get lost after the commit, and that cannot be read
// whole where a test says so.
type lossy struct {
	store
	unreadable *bool
}

var errLost = fmt.Errorf("%w: the connection ended", ErrUnknown)

func (l lossy) apply(ctx context.Context, model string, e Edition, changes []Change) (int64, error) {
	n, err := l.store.apply(ctx, model, e, changes)
	return n, errors.Join(err, errLost)
}

func (l lossy) addSynonyms(ctx context.Context, groups []Synonyms, now time.Time) (int, error) {
	n, err := l.store.addSynonyms(ctx, groups, now)
	return n, errors.Join(err, errLost)
}

func (l lossy) removeSynonyms(ctx context.Context, ids []string) (int, error) {
	n, err := l.store.removeSynonyms(ctx, ids)
	return n, errors.Join(err, errLost)
}

func (l lossy) read(ctx context.Context) (stored, error) {
	if *l.unreadable {
		return stored{}, errors.New("it cannot be read")
	}
	return l.store.read(ctx)
}

// A change whose answer got lost is looked for. One that is stored is said to be, whatever
// fails after it.
func TestLostAnswersOfEdits(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := t.Context()
		c := db.open(t)
		unreadable := false
		c.store = lossy{c.store, &unreadable}
		if made := edited(t, c, Edit{Films: []Movie{lighthouse()}}); made.Number != 1 {
			t.Errorf("the edition is %+v", made)
		}
		group := synonymsOf(t, "gumshoe", "shamus")
		if added, err := c.AddSynonyms(ctx, group); !added || err != nil {
			t.Errorf("added: %v, %v", added, err)
		}
		unreadable = true
		if removed, err := c.RemoveSynonyms(ctx, group.ID); !removed || err == nil {
			t.Errorf("removed: %v, %v", removed, err)
		}
		if added, err := c.AddSynonyms(ctx, group); !added || err == nil {
			t.Errorf("added: %v, %v", added, err)
		}
		film := lighthouse()
		film.Runtime = 90
		p, err := c.Plan(ctx, Edit{Films: []Movie{film}})
		if err != nil {
			t.Fatal(err)
		}
		if made, err := c.Apply(ctx, p, Edition{Kind: SavedFilm, By: "u"}, small); made.Number != 2 || err == nil {
			t.Errorf("the edition is %+v, %v", made, err)
		}
	})
}

// A commit that the server refuses has changed nothing. Of a connection that ends in it nobody
// knows, where the change is not found.
func TestOutcomesOfEdits(t *testing.T) {
	db := newPostgres(t)
	c := db.open(t)
	owner, err := pgx.Connect(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	for how, unknown := range map[string]bool{`RAISE EXCEPTION 'no'`: false, `PERFORM pg_terminate_backend(pg_backend_pid())`: true} {
		if _, err := owner.Exec(t.Context(), `CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN `+how+`; RETURN NULL; END $$;
			DROP TRIGGER IF EXISTS fail ON editions; DROP TRIGGER IF EXISTS fail ON synonyms;
			CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON editions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
			CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON synonyms DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`); err != nil {
			t.Fatal(err)
		}
		p, err := c.Plan(t.Context(), Edit{Films: []Movie{lighthouse()}})
		if err != nil {
			t.Fatal(err)
		}
		if made, err := c.Apply(t.Context(), p, Edition{Kind: SavedFilm, By: "u"}, small); err == nil || errors.Is(err, ErrUnknown) != unknown || made.Number != 0 {
			t.Errorf("%s: the edition is %+v, %v", how, made, err)
		}
		if added, err := c.AddSynonyms(t.Context(), synonymsOf(t, "gumshoe", "shamus")); added || err == nil || errors.Is(err, ErrUnknown) != unknown {
			t.Errorf("%s: added: %v, %v", how, added, err)
		}
	}
}
