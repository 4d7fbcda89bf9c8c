package catalog

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

func synonymsOf(t *testing.T, list ...string) Synonyms {
	t.Helper()
	group, err := NewSynonyms(list...)
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func TestNewSynonyms(t *testing.T) {
	a, b := synonymsOf(t, " Ковёр-самолёт ", "flying  carpet", "flying carpet"), synonymsOf(t, "flying carpet", "ковёр-самолёт")
	if !reflect.DeepEqual(a, b) || len(a.ID) != 8 || len(a.Words) != 2 {
		t.Errorf("%+v and %+v", a, b)
	}
	for words, says := range map[string]string{
		"": "has no word", "ship": "two different words", "ship|ships": "two different words", "ship|the": "has no word that films are searched by",
		"ship|a,b": "holds a comma", "ship|a\x00b": "holds a comma or a control character", "ship|\xff": "holds a comma", "ship|one two three four five six": "is too long",
		"ship|" + strings.Repeat("x", 101): "is too long", strings.Repeat("ship|boat|", 1) + numberedWords(49): "at most 50",
	} {
		if _, err := NewSynonyms(strings.Split(words, "|")...); !errors.Is(err, ErrSynonyms) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", words, err, says)
		}
	}
}

func numberedWords(n int) string {
	return strings.TrimSuffix(strings.Join(strings.Split(strings.ReplaceAll(numbered(n), `"`, "x"), ", "), "|"), "|")
}

// A group is used like one of the lexicon, in another process too, until it is removed;
// the catalogue's version changes with it.
func TestSynonymsCount(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		movies := shipped(t)[:30]
		c, other := db.open(t), db.open(t)
		mustImport(t, c, movies, small, Report{Added: 30, Embedded: 30})
		if err := other.catchUp(ctx); err != nil {
			t.Fatal(err)
		}
		before := other.Version()
		keyword := movies[7].Keywords[0]
		group := synonymsOf(t, "flumadiddle", keyword)
		score := func(c *Catalogue) float64 {
			t.Helper()
			matches, err := c.Nearest(ctx, Query{Text: "flumadiddle", Limit: 30})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range matches {
				if m.MovieID == movies[7].ID && m.Score > 0.1 { // below are only letters that two words share
					return m.Score
				}
			}
			return 0
		}
		if score(other) != 0 || score(other.WithSynonyms(group)) == 0 || score(other) != 0 {
			t.Errorf("scores %v and with the group %v", score(other), score(other.WithSynonyms(group)))
		}
		const slip = "flumadidle" // is corrected to a word that is known
		if now, with := other.Read(slip).Text, other.WithSynonyms(group).Read(slip).Text; now == "flumadiddle" || with != "flumadiddle" {
			t.Errorf("%q is read as %q, and with the group as %q", slip, now, with)
		}
		w := Writer{c.store}
		for _, want := range []int{1, 0} {
			if n, err := w.AddSynonyms(ctx, group); n != want || err != nil {
				t.Errorf("added %d, %v, want %d", n, err, want)
			}
		}
		if err := other.catchUp(ctx); err != nil || score(other) == 0 || other.Version() == before {
			t.Errorf("score %v, version %s and before %s, %v", score(other), other.Version(), before, err)
		}
		if list, err := w.Synonyms(ctx); err != nil || !reflect.DeepEqual(list, []Synonyms{group}) {
			t.Errorf("listed %+v, %v", list, err)
		}
		if n, err := w.RemoveSynonyms(ctx, group.ID, "none"); n != 1 || err != nil {
			t.Errorf("removed %d, %v", n, err)
		}
		if err := other.catchUp(ctx); err != nil || score(other) != 0 || other.Version() != before {
			t.Errorf("score %v, version %s and before %s, %v", score(other), other.Version(), before, err)
		}
	})
}

// Await ends when every process that follows the catalogue has loaded a change, and
// names one that has not. That one is not waited for again, and a process that stops
// normally is removed.
func TestAwait(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		w := Writer{db.open(t).store}
		await := func(within time.Duration, wantCurrent, wantBehind int) {
			t.Helper()
			if current, behind, err := w.Await(ctx, within); current != wantCurrent || len(behind) != wantBehind || err != nil {
				t.Errorf("%d have it, %q have not, %v", current, behind, err)
			}
		}
		await(time.Minute, 0, 0)
		following, stop := context.WithCancel(ctx)
		ended := make(chan error, 2)
		for range 2 {
			c := db.open(t)
			go func() { ended <- c.Follow(following, log) }()
		}
		for end := time.Now().Add(time.Minute); ; {
			if readers, err := w.store.readers(ctx); err != nil || len(readers) == 2 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the processes that follow are not noted")
			}
		}
		if _, err := w.AddSynonyms(ctx, synonymsOf(t, "gumshoe", "shamus")); err != nil {
			t.Fatal(err)
		}
		await(time.Minute, 2, 0)
		if err := w.store.noteReader(ctx, reader{"killed", 0}); err != nil {
			t.Fatal(err)
		}
		await(time.Millisecond, 2, 1)
		await(time.Minute, 2, 0)
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		await(time.Minute, 0, 0)
	})
}
