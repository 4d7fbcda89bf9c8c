package catalog

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
)

// Films are embedded for a new model while the vectors of the current one are in use,
// with any number of dimensions; a question with the new model is not answered before
// all films have a vector of it. Switching and switching back lose nothing.
func TestSwitchOfModels(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c, movies := db.open(t), shipped(t)[:40]
		mustImport(t, c, movies, small, Report{Added: 40, Embedded: 40})
		half := errors.New("the worker is gone")
		calls := 0
		wide := hashing{model: "wide-1", dims: 512, before: func([]string) error {
			if calls++; calls > 1 {
				return half
			}
			return nil
		}}
		if _, err := c.Import(ctx, nil, wide); !errors.Is(err, half) {
			t.Fatalf("the import that breaks off: %v", err)
		}
		if _, err := c.Nearest(ctx, query(t, hashing{model: "wide-1", dims: 512}, "love")); !errors.Is(err, ErrModel) {
			t.Errorf("asking a model that some films lack: %v", err)
		}
		if err := c.Use(ctx, "wide-1"); !errors.Is(err, ErrIncomplete) {
			t.Errorf("using a model that some films lack: %v", err)
		}
		if got, want := c.Models(), (Model{"wide-1", 512, batchFilms, false, false, DefaultWeights.Vectors}); len(got) != 2 || got[1] != want {
			t.Errorf("models are %v, want the second to be %v", got, want)
		}
		wide.before = nil
		mustImport(t, c, nil, wide, Report{Embedded: 40 - batchFilms})

		other := db.open(t) // another process
		for _, model := range []string{"wide-1", "small-1", "wide-1", ""} {
			if err := c.Use(ctx, model); err != nil {
				t.Fatal(err)
			}
			if err := other.catchUp(ctx); err != nil || other.Model() != model || c.Model() != model {
				t.Errorf("used is %q, elsewhere %q, %v; want %q", c.Model(), other.Model(), err, model)
			}
			for _, embed := range []hashing{small, wide} { // answers of both are under way
				ask(t, other, embed, movies[20].Title)
			}
		}

		// A film without a vector of the model keeps it from being used.
		mustImport(t, c, []Movie{solaris()}, small, Report{Added: 1, Embedded: 1})
		if err := c.Use(ctx, "wide-1"); !errors.Is(err, ErrIncomplete) {
			t.Errorf("using a model that a film lacks: %v", err)
		}
		mustImport(t, c, nil, wide, Report{Embedded: 1})
		if err := c.Use(ctx, "wide-1"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Drop(ctx, "wide-1"); !errors.Is(err, ErrInUse) {
			t.Errorf("dropping the model that is used: %v", err)
		}
		if n, err := c.Drop(ctx, "small-1"); n != 41 || err != nil {
			t.Errorf("dropped %d vectors, %v", n, err)
		}
		if _, err := c.Drop(ctx, "small-1"); !errors.Is(err, ErrModel) {
			t.Errorf("dropping a model that is not there: %v", err)
		}
		ask(t, other, wide, movies[20].Title)
	})
}

// What a model's vectors count is stored with the model: other processes rank by it at
// once, and another model keeps its own.
func TestVectorsWeighByModel(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		ctx := context.Background()
		c := db.open(t)
		mustImport(t, c, shipped(t)[:40], small, Report{Added: 40, Embedded: 40})
		other := db.open(t)
		q := query(t, small, "two brothers and the sea")
		scores := func(c *Catalogue) []Match {
			t.Helper()
			found, err := c.Nearest(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		before := scores(c)
		if err := c.Weigh(ctx, "small-1", 1); err != nil {
			t.Fatal(err)
		}
		heavy := DefaultWeights
		heavy.Vectors = 1
		after := scores(c)
		q.Weights = &heavy
		if want := scores(c); !slices.Equal(after, want) || slices.Equal(after, before) {
			t.Errorf("with vectors at 1 the films are %v, want %v and not %v", after, want, before)
		}
		q.Weights = nil
		if err := other.catchUp(ctx); err != nil || !slices.Equal(scores(other), after) {
			t.Errorf("another process finds %v, %v; want %v", scores(other), err, after)
		}
		if got := other.Models(); len(got) != 1 || got[0].Weight != 1 {
			t.Errorf("models are %v, want one of weight 1", got)
		}
		for _, weight := range []float64{-0.1, 10.1, math.NaN(), math.Inf(1)} {
			if err := c.Weigh(ctx, "small-1", weight); !errors.Is(err, ErrWeight) {
				t.Errorf("a weight of %v: %v", weight, err)
			}
		}
		if err := c.Weigh(ctx, "wide-1", 1); !errors.Is(err, ErrModel) {
			t.Errorf("weighing a model that is not there: %v", err)
		}
	})
}
