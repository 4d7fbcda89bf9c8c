package editing_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/editing"
	"kassa/httpapi/problem"
	"kassa/internal/app/apptest"
	"kassa/schema"
)

const boss = domain.UserID("u_boss")

// desk is an editor of a few films, and what it has recorded.
type desk struct {
	editing.Editor
	t        *testing.T
	db       *schema.SQLite
	meet     func() // called when a change was planned, before it is embedded and stored
	mu       sync.Mutex
	recorded []catalog.Edition
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	films, err := catalog.Open(t.Context(), db)
	must(t, err)
	shipped, err := catalog.Shipped()
	must(t, err)
	bag := apptest.BagOfWords{}
	_, err = films.Import(t.Context(), shipped[:3], bag)
	must(t, err)
	d := &desk{t: t, db: db, meet: func() {}}
	d.Editor.Catalogue = films
	d.Editor.Models = func() []catalog.Embedder { d.meet(); return []catalog.Embedder{bag} }
	d.Editor.Embed = func(ctx context.Context, text string) (string, []float32, error) {
		vectors, err := bag.EmbedAll(ctx, []string{text})
		return bag.ModelVersion(), vectors[0], err
	}
	d.Editor.Record = func(_ context.Context, _ domain.UserID, e catalog.Edition) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.recorded = append(d.recorded, e)
	}
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lamp is a film that an admin adds.
func lamp(description string) catalog.Movie {
	return catalog.Movie{ID: "the-keeper-of-the-lamp-2021", Title: "The Keeper of the Lamp", TitleRU: "Хранитель лампы", Year: 2021, Description: description}
}

// version is that of the film as it is stored.
func (d *desk) version(id string) string {
	d.t.Helper()
	film, err := d.Film(d.t.Context(), id)
	must(d.t, err)
	return film.Version
}

// atOnce does changes at once: none is stored before all are planned.
func (d *desk) atOnce(changes ...func() (editing.Done, error)) (done []editing.Done, errs []error) {
	var planned, ended sync.WaitGroup
	planned.Add(len(changes))
	d.meet = func() { planned.Done(); planned.Wait() }
	defer func() { d.meet = func() {} }()
	done, errs = make([]editing.Done, len(changes)), make([]error, len(changes))
	for i, change := range changes {
		ended.Go(func() { done[i], errs[i] = change() })
	}
	ended.Wait()
	return done, errs
}

// twice does the same change twice at once: it is done once, and neither is refused.
func (d *desk) twice(what string, change func() (editing.Done, error)) {
	d.t.Helper()
	before := len(d.recorded)
	_, errs := d.atOnce(change, change)
	if err := errors.Join(errs...); err != nil || len(d.recorded) != before+1 {
		d.t.Errorf("%s twice: %v; %d are recorded", what, err, len(d.recorded)-before)
	}
}

func code(err error) domain.Code {
	if refusal := domain.RefusalIn(err); refusal != nil {
		return refusal.Code
	}
	return ""
}

// The same request twice at once, as of a form that was sent twice, is one change, and not
// that of another admin.
func TestTwiceAtOnce(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	film := lamp("A widow and a heron.")
	d.twice("a new film is saved", func() (editing.Done, error) { return d.Save(ctx, boss, film, "") })
	film = lamp("A widow and a gull.")
	opened := d.version(film.ID)
	d.twice("a film is saved", func() (editing.Done, error) { return d.Save(ctx, boss, film, opened) })
	d.twice("it is undone", func() (editing.Done, error) { return d.Undo(ctx, boss, 2) })
	if again := d.version(film.ID); again != opened {
		t.Errorf("the version is %s, want %s", again, opened)
	}
	d.twice("a film is removed", func() (editing.Done, error) { return d.Remove(ctx, boss, film.ID, opened) })
	u := catalog.Upload{Films: []catalog.Movie{film}}
	plan, err := d.Preview(ctx, u, false)
	must(t, err)
	d.twice("a file is taken", func() (editing.Done, error) { return d.Take(ctx, boss, u, false, plan.Digest()) })
	if _, err := d.Undo(ctx, "u_eve", 2); code(err) != problem.NotUndoable {
		t.Errorf("an older edition is undone: %v", err)
	}
}

// Two different changes at once are those of two admins: one is refused.
func TestTwoAdminsAtOnce(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	refused := func(what string, want domain.Code, changes ...func() (editing.Done, error)) {
		t.Helper()
		done, errs := d.atOnce(changes...)
		winner, loser := done[0], errs[1]
		if errs[0] != nil {
			winner, loser = done[1], errs[0]
		}
		if winner.Edition.Number == 0 || code(loser) != want {
			t.Errorf("%s: %+v, %v", what, done, errs)
		}
	}
	save := func(description, version string) func() (editing.Done, error) {
		return func() (editing.Done, error) { return d.Save(ctx, boss, lamp(description), version) }
	}
	refused("two new films", problem.FilmChanged, save("One.", ""), save("Two.", ""))
	opened := d.version(lamp("").ID)
	refused("two changes", problem.FilmChanged, save("Three.", opened), save("Four.", opened))
	undo := func(by domain.UserID) func() (editing.Done, error) {
		return func() (editing.Done, error) { return d.Undo(ctx, by, 2) }
	}
	refused("two admins undo", problem.NotUndoable, undo(boss), undo("u_eve"))
}

// A change that has begun is done although the client leaves, and recorded, also where the
// catalogue cannot be read after it.
func TestStoredChangesAreRecorded(t *testing.T) {
	d := newDesk(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	words := []string{"gumshoe", "shamus"}
	done, err := d.Save(gone, boss, lamp("A widow."), "")
	if err != nil || done.Edition.Number != 1 {
		t.Errorf("saved: %+v, %v", done, err)
	}
	group, err := d.AddSynonyms(gone, boss, words)
	must(t, err)
	must(t, d.RemoveSynonyms(gone, boss, group.ID))
	_, err = d.Undo(gone, boss, 1)
	must(t, err)

	_, err = d.db.Write.ExecContext(t.Context(), `UPDATE movies SET hash = zeroblob(32)`) // reading all films fails
	must(t, err)
	if _, err = d.AddSynonyms(t.Context(), boss, words); err == nil {
		t.Error("the catalogue was read")
	}
	if err := d.RemoveSynonyms(t.Context(), boss, group.ID); err == nil {
		t.Error("the catalogue was read")
	}
	if _, err := d.Save(t.Context(), boss, lamp("A widow."), ""); err == nil {
		t.Error("the catalogue was read")
	}
	want := []catalog.EditionKind{catalog.SavedFilm, "synonyms_added", "synonyms_removed", catalog.Undone, "synonyms_added", "synonyms_removed", catalog.SavedFilm}
	if len(d.recorded) != len(want) {
		t.Fatalf("recorded are %+v", d.recorded)
	}
	for i, kind := range want {
		if d.recorded[i].Kind != kind {
			t.Errorf("recorded are %+v, want %v", d.recorded, want)
		}
	}
}

// One group of words is tried at a time. Another trial waits a little, and ends with its client.
func TestOneTrialAtATime(t *testing.T) {
	d := newDesk(t)
	words := []string{"gumshoe", "shamus"}
	embed, asked, may := d.Embed, make(chan struct{}), make(chan struct{})
	d.Embed = func(ctx context.Context, text string) (string, []float32, error) {
		asked <- struct{}{}
		<-may
		return embed(ctx, text)
	}
	first := make(chan error, 1)
	go func() { _, _, err := d.TrySynonyms(t.Context(), words, "a gumshoe"); first <- err }()
	<-asked
	d.TrialWait = time.Millisecond
	if _, _, err := d.TrySynonyms(t.Context(), words, "a gumshoe"); code(err) != problem.Unavailable {
		t.Errorf("the second is refused with %v", err)
	}
	d.TrialWait = time.Hour
	gone, leave := context.WithCancel(t.Context())
	waits := make(chan error, 1)
	go func() { _, _, err := d.TrySynonyms(gone, words, "a gumshoe"); waits <- err }()
	leave()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Errorf("the third ends with %v", err)
	}
	go func() {
		for range asked {
		}
	}()
	close(may)
	must(t, <-first)
	_, _, err := d.TrySynonyms(t.Context(), words, "a gumshoe")
	must(t, err)
	close(asked)
}
