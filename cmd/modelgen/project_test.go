package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// sparse returns a vector of some features, the same for the same source.
func sparse(r *rand.Rand) map[int]float64 {
	v := make(map[int]float64)
	for range 10 {
		v[r.IntN(200)] = r.Float64() + 0.1
	}
	return v
}

// A query's inner products with the documents are preserved, also when the query has
// features that no document has.
func TestFoldKeepsProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var documents []map[int]float64
	for range 30 {
		documents = append(documents, sparse(r))
	}
	p := newProjection(documents, 384)
	for range 50 {
		query := sparse(r)
		query[1000] = 3
		folded := p.fold(unit(query))
		for i, d := range documents {
			want := productOf(unit(query), unit(d))
			if got := dot(folded, p.fold(unit(d))); math.Abs(got-want) > 1e-9 {
				t.Fatalf("product with document %d is %g, was %g", i, got, want)
			}
		}
	}
}

// With fewer dimensions, what all documents share is kept, and what only one has is
// not: that is how words that occur together become similar.
func TestFoldKeepsWhatIsShared(t *testing.T) {
	var documents []map[int]float64
	for i := range 40 {
		documents = append(documents, map[int]float64{i % 2: 1, 2 + i%2: 1, 10 + i: 0.1})
	}
	p := newProjection(documents, 2)
	if together := productOfFolded(p, 0, 2); together < 0.9 {
		t.Errorf("features that occur together have the cosine %g", together)
	}
	if apart := productOfFolded(p, 0, 3); math.Abs(apart) > 0.1 {
		t.Errorf("features that never occur together have the cosine %g", apart)
	}
}

func productOfFolded(p *projection, a, b int) float64 {
	x, y := p.fold([]term{{a, 1}}), p.fold([]term{{b, 1}})
	return dot(x, y) / math.Sqrt(dot(x, x)*dot(y, y))
}

// Equal documents take one dimension, and cause no division by zero.
func TestFoldOfEqualDocuments(t *testing.T) {
	d := map[int]float64{1: 1, 2: 2}
	p := newProjection([]map[int]float64{d, d, {}, {3: 1}}, 384)
	used := 0
	for k, row := range p.factor {
		if row[k] > 0 {
			used++
		}
	}
	if used != 2 {
		t.Errorf("%d dimensions, want 2", used)
	}
	for _, x := range p.fold([]term{{1, 1}, {3, 1}, {99, 1}}) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			t.Errorf("coordinate is %g", x)
		}
	}
}

func productOf(a, b []term) float64 {
	var sum float64
	for _, x := range a {
		for _, y := range b {
			if x.feature == y.feature {
				sum += x.weight * y.weight
			}
		}
	}
	return sum
}
