package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Errors of edits.
var (
	ErrStale    = errors.New("the films were changed meanwhile")
	ErrNoFilm   = errors.New("the catalogue has no such film")
	ErrShipped  = errors.New("a film that Kassa comes with can be changed, and not removed")
	ErrTooMany  = errors.New("too many films for one edit: kassa catalog import takes any number")
	ErrNoUndo   = errors.New("only the last edition can be undone, and only while its films are kept")
	ErrNoUpload = errors.New("there is no such upload")
	// ErrUnknown: the connection failed at the commit, and what it left is not found.
	ErrUnknown = errors.New("it is not known whether the catalogue was changed")
)

const (
	// EditMax is how many films one edit changes at most: all are embedded before, and
	// stored in one transaction, for which the ledger of an embedded default waits.
	EditMax = 1000
	// editionsKept is of how many editions the films are kept, so that the tables stay small.
	editionsKept = 100
)

// EditionKind is how an edition was made.
type EditionKind string

// The kinds of editions.
const (
	SavedFilm   EditionKind = "film"    // by the form of one film
	RemovedFilm EditionKind = "removal" // of one film
	TakenUpload EditionKind = "upload"  // of a file
	Undone      EditionKind = "undo"    // of the edition before it
)

// An Edition is a change of the catalogue by an admin: done as a whole or not at all, and
// recorded with what each film was before. Imports by the console are none.
type Edition struct {
	Number   int64 // from 1
	Kind     EditionKind
	By       string // the admin's id
	At       time.Time
	Films    int  // that were changed
	Undoable bool // what each film was is still kept

	undoes int64 // of the kind Undone: the edition that must be the last; 0: any
}

// An Edit is what an admin wants to change.
type Edit struct {
	Films  []Movie
	Merge  bool     // as WithMerge
	Remove []string // ids of films that an operator brought in
	Whole  bool     // those that an operator brought in and that are not among Films are removed
}

// A Change is what happens to one film. Before is nil where it is added, After where it is
// removed. A removed version of a film that Kassa comes with is replaced by Kassa's.
type Change struct {
	ID            string
	Before, After *Movie

	hash     [sha256.Size]byte // of the stored film; zero where there is none
	wasOwn   bool
	willBe   bool // an operator's own
	replaces *item
}

// FieldChange is a field of a film before and after, as in a Sheet.
type FieldChange struct{ Field, Before, After string }

// Fields are the fields that differ, in the order of forms.
func (c Change) Fields() []FieldChange { return Differences(c.Before, c.After) }

// Differences are the fields in which two films differ; nil is no film.
func Differences(before, after *Movie) (list []FieldChange) {
	was, is := Sheet{}, Sheet{}
	if before != nil {
		was = before.Sheet()
	}
	if after != nil {
		is = after.Sheet()
	}
	for _, field := range SheetFields() {
		if was[field] != is[field] {
			list = append(list, FieldChange{field, was[field], is[field]})
		}
	}
	return list
}

// A Plan is what an edit changes, by the films that are stored.
type Plan struct {
	Changes   []Change // by id
	Unchanged int
}

// Digest identifies the plan: another one for the same edit means that the stored films
// have changed.
func (p Plan) Digest() string {
	sum := sha256.New()
	for _, c := range p.Changes {
		after := [sha256.Size]byte{}
		if c.After != nil {
			_, after, _ = c.After.content() // a film always encodes
		}
		fmt.Fprintf(sum, "%s %x %t %x %t\n", c.ID, c.hash, c.wasOwn, after, c.willBe)
	}
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

// Count is how many films the plan adds, changes and removes.
func (p Plan) Count() (added, changed, removed int) {
	for _, c := range p.Changes {
		switch {
		case c.Before == nil:
			added++
		case c.After == nil:
			removed++
		default:
			changed++
		}
	}
	return added, changed, removed
}

// Record is a film as it is stored.
type Record struct {
	Movie
	Version string // of its content
	Own     bool   // an operator brought it in
}

func recordVersion(hash [sha256.Size]byte) string { return hex.EncodeToString(hash[:8]) }

// Record reads a film from the database: it is what was written last, by any process.
func (c *Catalogue) Record(ctx context.Context, id string) (Record, error) {
	if !idForm.MatchString(id) { // a database may fail on what is in it
		return Record{}, ErrNoFilm
	}
	read, err := c.store.films(ctx, []string{id}, nil)
	if err != nil {
		return Record{}, err
	}
	if len(read) == 0 {
		return Record{}, ErrNoFilm
	}
	return Record{read[0].Movie, recordVersion(read[0].hash), read[0].own}, nil
}

// Version identifies the stored film that a change is of, as in its Record; "" where there
// is none.
func (c Change) Version() string {
	if c.hash == [sha256.Size]byte{} {
		return ""
	}
	return recordVersion(c.hash)
}

// Plan compares an edit with the stored films. Its films are held to the rules of files.
func (c *Catalogue) Plan(ctx context.Context, e Edit) (Plan, error) {
	if len(e.Films)+len(e.Remove) > EditMax {
		return Plan{}, ErrTooMany
	}
	if err := checkAll(e.Films); err != nil {
		return Plan{}, fmt.Errorf("edit films:\n%w", err)
	}
	movies, remove := e.Films, e.Remove
	if e.Merge {
		var err error
		if movies, err = (&importing{store: c.store}).merged(ctx, movies); err != nil {
			return Plan{}, err
		}
	}
	if e.Whole {
		rest, err := c.ownBeside(ctx, movies)
		if err != nil {
			return Plan{}, err
		}
		remove = slices.Concat(remove, rest)
	}
	if n := slices.IndexFunc(e.Remove, func(id string) bool { return !idForm.MatchString(id) }); n >= 0 {
		return Plan{}, fmt.Errorf("remove film %q: %w", Abridge(e.Remove[n]), ErrNoFilm)
	}
	ids := slices.Clone(remove)
	for _, m := range movies {
		ids = append(ids, m.ID)
	}
	read, err := c.store.films(ctx, ids, nil)
	if err != nil {
		return Plan{}, err
	}
	there := make(map[string]storedFilm, len(read))
	for _, f := range read {
		there[f.ID] = f
	}
	p, err := planned(movies, remove, there)
	if err == nil && len(p.Changes) > EditMax {
		err = ErrTooMany
	}
	return p, err
}

// ownBeside are the ids of the operator's films that are not among the given.
func (c *Catalogue) ownBeside(ctx context.Context, movies []Movie) ([]string, error) {
	given := make(map[string]bool, len(movies))
	for _, m := range movies {
		given[m.ID] = true
	}
	own, err := c.store.ownFilms(ctx)
	return slices.DeleteFunc(own, func(id string) bool { return given[id] }), err
}

func planned(movies []Movie, remove []string, there map[string]storedFilm) (p Plan, err error) {
	change := func(id string, after *Movie, own bool) {
		c := Change{ID: id, After: after, willBe: own}
		if f, ok := there[id]; ok {
			c.Before, c.hash, c.wasOwn = &f.Movie, f.hash, f.own
		}
		p.Changes = append(p.Changes, c)
	}
	for _, m := range movies {
		_, hash, err := m.content()
		if err != nil {
			return Plan{}, fmt.Errorf("encode film %s: %w", m.ID, err)
		}
		if f, ok := there[m.ID]; ok && f.hash == hash {
			p.Unchanged++
			continue
		}
		change(m.ID, &m, true)
	}
	for _, id := range remove {
		switch f, ok := there[id]; {
		case !ok:
			return Plan{}, fmt.Errorf("remove film %s: %w", id, ErrNoFilm)
		case !f.own:
			return Plan{}, fmt.Errorf("remove film %s: %w", id, ErrShipped)
		}
		shipped, err := shippedFilm(id)
		if err != nil {
			return Plan{}, err
		}
		change(id, shipped, false)
	}
	slices.SortFunc(p.Changes, func(a, b Change) int { return strings.Compare(a.ID, b.ID) })
	return p, nil
}

var shippedOnce = sync.OnceValues(Shipped)

// shippedFilm is a film that Kassa comes with, nil where it does not.
func shippedFilm(id string) (*Movie, error) {
	movies, err := shippedOnce()
	if err != nil {
		return nil, err
	}
	if n, ok := number(movies, id); ok {
		return &movies[n], nil
	}
	return nil, nil
}

// stale reports whether what is stored of a film is not what the change begins with.
func (c Change) stale(hash []byte, own bool) bool {
	if len(hash) == 0 {
		return c.hash != [sha256.Size]byte{}
	}
	return string(hash) != string(c.hash[:]) || own != c.wasOwn
}

// drops reports whether the stored film is deleted, and perhaps another stored in its place.
func (c Change) drops() bool { return c.Before != nil && (c.After == nil || c.wasOwn && !c.willBe) }

// kept are the stored forms of the film before and after, "" for none.
func (c Change) kept() (before, after string, err error) {
	if c.Before != nil {
		content, _, err := c.Before.content()
		if err != nil {
			return "", "", err
		}
		before = string(content)
	}
	if c.replaces != nil {
		after = string(c.replaces.content)
	}
	return before, after, nil
}

// Editions lists the newest editions, the newest first.
func (c *Catalogue) Editions(ctx context.Context, limit int) ([]Edition, error) {
	return c.store.editions(ctx, limit)
}

// EditionChanges are the films of an edition, by id; none where they are no longer kept.
func (c *Catalogue) EditionChanges(ctx context.Context, number int64) ([]Change, error) {
	return c.store.editionChanges(ctx, number)
}

// keptChange is a change as it was recorded.
func keptChange(id string, before, after *string, wasOwn, willBe bool) (c Change, err error) {
	c = Change{ID: id, wasOwn: wasOwn, willBe: willBe}
	if before != nil {
		f, failed := newStoredFilm([]byte(*before), wasOwn)
		c.Before, c.hash, err = &f.Movie, f.hash, failed
	}
	if after != nil {
		f, failed := newStoredFilm([]byte(*after), willBe)
		c.After, err = &f.Movie, errors.Join(err, failed)
	}
	return c, err
}

// Undo makes the films of the last edition what they were before it, as an edition of its
// own, which can be undone too. It is refused with ErrNoUndo for any other edition, and with
// ErrStale where a film was changed by an import since.
func (c *Catalogue) Undo(ctx context.Context, number int64, by string, model Embedder) (Edition, error) {
	made, err := c.store.editionChanges(ctx, number)
	if err != nil {
		return Edition{}, err
	}
	if len(made) == 0 {
		return Edition{}, ErrNoUndo
	}
	var p Plan
	for _, m := range made {
		back := Change{ID: m.ID, Before: m.After, After: m.Before, wasOwn: m.willBe, willBe: m.wasOwn}
		if m.After != nil {
			if _, back.hash, err = m.After.content(); err != nil {
				return Edition{}, err
			}
		}
		p.Changes = append(p.Changes, back)
	}
	return c.Apply(ctx, p, Edition{Kind: Undone, By: by, undoes: number}, model)
}

// Await is Writer.Await.
func (c *Catalogue) Await(ctx context.Context, within time.Duration) (current int, behind []string, err error) {
	return Writer{c.store}.Await(ctx, within)
}

// Upload is a file of films that an admin has sent, and that does not count yet.
type Upload struct {
	ID       string    `json:"-"`
	By       string    `json:"-"` // the admin's id
	At       time.Time `json:"-"`
	Name     string    // of the file
	Films    []Movie
	Merge    bool // as WithMerge
	Problems []Problem
	LeftOut  int // rows that are no films
}

// uploadKept is for how long an upload can be taken over.
const uploadKept = 24 * time.Hour

// KeepUpload keeps an upload for a day, in place of the one that its admin has sent before.
func (c *Catalogue) KeepUpload(ctx context.Context, u Upload) error {
	return c.store.keepUpload(ctx, u, time.Now().UTC())
}

// Upload reads an upload of an admin. It is ErrNoUpload where its day is over, or it is
// another's.
func (c *Catalogue) Upload(ctx context.Context, id, by string) (Upload, error) {
	return c.store.upload(ctx, id, by, uploadsSince(time.Now()))
}

// DropExpired deletes the uploads whose day is over.
func (c *Catalogue) DropExpired(ctx context.Context, now time.Time) error {
	return c.store.dropUploads(ctx, uploadsSince(now))
}

// uploadsSince is when the oldest upload was sent that can be taken over.
func uploadsSince(now time.Time) time.Time { return now.UTC().Add(-uploadKept) }
